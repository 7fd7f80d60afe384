"""Keyword search: an inverted index in memory, ranked by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance
Framework: BM25 and Beyond", 2009), that documents enter and leave one by one.

The postings of a word lie in groups of equal shape, occurrences and length of the document, and so of equal weight,
whatever the averages are by now. They can therefore be walked by falling weight, and a query stops as soon as nothing
unseen can get among the best (the threshold algorithm: Fagin, Lotem and Naor, "Optimal Aggregation Algorithms for
Middleware", 2003).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from math import log1p
from typing import Any

__all__ = ["Keywords", "Ranked", "Terms", "words"]

K1 = 1.2
"""How soon more occurrences of a word in one document count no more."""
B = 0.75
"""How much the length of a document counts."""
GRAIN = 2.0**32
"""Weights are whole multiples of 1 / GRAIN: their sums are exact, so that they don't hang on the order of adding."""
STRIDE = 32
"""How many postings are looked at before it is asked whether that was enough."""

Shape = int
"""How often a word is in a document, and how long that is, in one number: occurrences * SPAN + length."""
SPAN = 1 << 32
Ranked = tuple[float, Any]
"""(minus its score, key): what sorts first is the best; of equal scores, the smallest key."""
Accept = Callable[[Any], bool]

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text: runs of letters, digits and `_` of any script, in Unicode's NFKC form, without case."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.casefold())


class Terms:
    """The words of a query with their weights as of now. `weights` maps a word to shape to weight."""

    __slots__ = ("_average", "_idf", "weights")

    def __init__(self, index: Keywords, query: str) -> None:
        count = len(index.documents)
        self._average = index.length / count if count else 1.0
        self._idf: dict[str, float] = {}
        self.weights: dict[str, dict[Shape, float]] = {}
        for word in sorted(set(words(query))):
            size = index.sizes.get(word, 0)
            self._idf[word] = log1p((count - size + 0.5) / (size + 0.5))
            shapes = index.postings.get(word)
            if shapes:
                self.weights[word] = {shape: self._weight(word, shape) for shape in shapes}

    def _weight(self, word: str, shape: Shape) -> float:
        often, length = divmod(shape, SPAN)
        norm = K1 * (1 - B + B * length / self._average)
        return round(GRAIN * self._idf[word] * often * (K1 + 1) / (often + norm)) / GRAIN

    def score(self, text: str) -> float:
        """The score that a text has, which need not be in the index. 0: it has none of the words."""
        found = words(text)
        length = _rounded(len(found))
        often = Counter(found)
        return sum(self._weight(word, often[word] * SPAN + length) for word in self._idf if word in often)


class Keywords:
    """The documents by key, and who has which word.

    `documents` maps a key to (number of words, word to shape), `postings` a word to shape to keys in order, `sizes` a
    word to the number of documents that have it; `length` is that of all documents together, in words.
    """

    def __init__(self) -> None:
        self.documents: dict[Any, tuple[int, dict[str, Shape]]] = {}
        self.postings: dict[str, dict[Shape, list[Any]]] = {}
        self.sizes: dict[str, int] = {}
        self.length = 0

    def put(self, key: Any, text: str) -> None:
        """The document at `key` is now `text`."""
        self.remove(key)
        found = words(text)
        length = _rounded(len(found))
        shapes: dict[int, Shape] = {}
        document: dict[str, Shape] = {}
        for word, often in Counter(found).items():
            shape = shapes.get(often) or shapes.setdefault(often, often * SPAN + length)
            document[word] = shape
            groups = self.postings.get(word)
            if groups is None:
                groups = self.postings[word] = {}
                self.sizes[word] = 0
            self.sizes[word] += 1
            keys = groups.get(shape)
            if keys is None:
                groups[shape] = [key]
            elif keys[-1] < key:
                keys.append(key)
            else:
                insort(keys, key)
        self.documents[key] = (len(found), document)
        self.length += len(found)

    def remove(self, key: Any) -> None:
        """There is no document at `key` any more."""
        length, document = self.documents.pop(key, (0, {}))
        self.length -= length
        for word, shape in document.items():
            groups = self.postings[word]
            keys = groups[shape]
            del keys[bisect_left(keys, key)]
            self.sizes[word] -= 1
            if not keys:
                del groups[shape]
                if not groups:
                    del self.postings[word], self.sizes[word]

    def best(self, terms: Terms, limit: int, accept: Accept | None = None) -> list[Ranked]:
        """The `limit` best documents that have any of the words and that `accept`, if given, lets in; best first."""
        lists: list[_Postings] = [_Postings(self.postings[word], weights) for word, weights in terms.weights.items()]
        documents, weighed = self.documents, list(terms.weights.items())
        found: list[Ranked] = []
        floor = 0.0
        seen: set[Any] = set()
        while limit > 0 and lists:
            for key in max(lists, key=_slope).take():
                if key in seen:
                    continue
                seen.add(key)
                shape_of = documents[key][1].get
                total = 0.0
                for word, weights in weighed:
                    shape = shape_of(word)
                    if shape is not None:
                        total += weights[shape]
                if total >= floor and (accept is None or accept(key)):
                    insort(found, (-total, key))
                    del found[limit:]
                    floor = -found[-1][0] if len(found) == limit else 0.0
            lists = list(filter(_head, lists))
            if len(found) == limit and lists and _is_enough(found[-1], lists):
                break
        return found

    def best_of(self, terms: Terms, limit: int, keys: Iterable[Any]) -> list[Ranked]:
        """The `limit` best of these documents that have any of the words; each is looked at."""
        documents, weighed = self.documents, terms.weights.items()
        ranked: list[Ranked] = []
        for key in keys:
            document = documents[key][1]
            total = sum(weights[document[word]] for word, weights in weighed if word in document)
            if total:
                ranked.append((-total, key))
        return nsmallest(limit, ranked)


_END: tuple[float, list[list[Any]]] = (0.0, [[]])


class _Postings:
    """The postings of one word, walked by falling weight, and in order of keys where that is equal.

    `head` is the weight of those that come next; 0 where there are none. `slope` is by how much it falls for each of
    them: walking where that is most brings what is unseen down soonest.
    """

    __slots__ = ("_groups", "_keys", "_place", "head", "slope")

    def __init__(self, shapes: dict[Shape, list[Any]], weights: dict[Shape, float]) -> None:
        by_weight: dict[float, list[list[Any]]] = {}
        for shape, keys in shapes.items():
            by_weight.setdefault(weights[shape], []).append(keys)
        self._groups = sorted(by_weight.items())
        self.head = 0.0
        self._next_group()

    def _next_group(self) -> None:
        self._place = 0
        self.head, groups = self._groups.pop() if self._groups else _END
        self._keys: Sequence[Any] = groups[0] if len(groups) == 1 else sorted(key for keys in groups for key in keys)
        drop = self.head - (self._groups[-1][0] if self._groups else 0.0)
        self.slope = drop / max(1, len(self._keys))

    @property
    def next_key(self) -> Any:
        """The key that comes next; there must be one."""
        return self._keys[self._place]

    def take(self) -> Sequence[Any]:
        """The next few keys."""
        taken = self._keys[self._place : self._place + STRIDE]
        self._place += len(taken)
        if self._place == len(self._keys):
            self._next_group()
        return taken


def _head(postings: _Postings) -> float:
    return postings.head


def _slope(postings: _Postings) -> float:
    return postings.slope


def _is_enough(worst: Ranked, lists: list[_Postings]) -> bool:
    """Whether no document unseen in all lists can come before `worst`.

    None scores more than the heads together; and one that scores as much stands in the present group of each list, at
    or behind the key that comes next there.
    """
    bound = sum(map(_head, lists))
    if -worst[0] != bound:
        return -worst[0] > bound
    return worst[1] < max(one.next_key for one in lists)


def _rounded(length: int) -> int:
    """A length to five binary digits, so that the shapes of long documents are few."""
    spare = max(0, length.bit_length() - 5)
    return length >> spare << spare
