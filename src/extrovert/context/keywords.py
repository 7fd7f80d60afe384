"""Keyword search: an inverted index in memory, ranked by BM25, that documents enter and leave one by one.

Each document has a slot, a number that is given again when it leaves. With numpy, scores of long postings are summed up
at once (`tally`); without, one by one, to the same numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import nsmallest
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from extrovert.context.weights import Posting, Weigher, coded, norms

if TYPE_CHECKING:
    from extrovert.context.tally import Tally

__all__ = ["Keywords", "Ranked", "Terms", "words"]

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
    """The words of a query, with their weights as of now. `present` has those that any document has."""

    __slots__ = ("_weighers", "present")

    def __init__(self, index: Keywords, query: str) -> None:
        count = len(index.documents)
        by_length = norms((index.length / count if count else 0.0) or 1.0)
        self._weighers: dict[str, Weigher] = {}
        self.present: dict[str, tuple[Posting, Weigher]] = {}
        for word in sorted(set(words(query))):
            posting = index.postings.get(word)
            weigher = self._weighers[word] = Weigher(count, posting.size if posting else 0, by_length)
            if posting is not None:
                self.present[word] = posting, weigher

    def score(self, text: str) -> float:
        """The score that a text has, which need not be in the index. 0: it has none of the words."""
        found = words(text)
        often = Counter(found)
        asked = self._weighers.items()
        return sum(weigher(coded(often[word], len(found))) for word, weigher in asked if word in often)

    @property
    def rarest(self) -> int:
        """How many documents have the rarest of the words."""
        return min((posting.size for posting, _ in self.present.values()), default=0)


class Keywords:
    """The documents by key, and who has which word.

    `documents` maps a key to (slot, number of words, the words that it has), `keys` a slot to its key, `postings` a
    word to the documents that have it; `length` is that of all documents together, in words.
    """

    def __init__(self) -> None:
        self.documents: dict[Any, tuple[int, int, tuple[str, ...]]] = {}
        self.keys: list[Any] = []
        self.postings: dict[str, Posting] = {}
        self.length = 0
        self._free: list[int] = []
        self._tally: Tally | None = None
        if find_spec("numpy") is not None:
            from extrovert.context.tally import Tally

            self._tally = Tally()

    def put(self, key: Any, text: str) -> None:
        """The document at `key` is now `text`."""
        self.remove(key)
        found = words(text)
        if self._free:
            slot = self._free.pop()
            self.keys[slot] = key
        else:
            slot = len(self.keys)
            self.keys.append(key)
        often = Counter(found)
        postings = self.postings
        for word, times in often.items():
            posting = postings.get(word)
            if posting is None:
                posting = postings[word] = Posting()
            posting.put(slot, coded(times, len(found)))
        self.documents[key] = (slot, len(found), tuple(often))
        self.length += len(found)

    def remove(self, key: Any) -> None:
        """There is no document at `key` any more."""
        document = self.documents.pop(key, None)
        if document is None:
            return
        slot, length, has = document
        for word in has:
            posting = self.postings[word]
            posting.remove(slot)
            if not posting.size:
                del self.postings[word]
        self.keys[slot] = None
        self._free.append(slot)
        self.length -= length

    def best(self, terms: Terms, limit: int, accept: Accept | None = None) -> list[Ranked]:
        """The `limit` best documents that have any of the words and that `accept`, if given, lets in; best first."""
        room = limit if accept is None else 4 * limit
        looked = 0
        kept: list[Ranked] = []
        while limit > 0 and terms.present:
            found = self._best(terms, room)
            kept += found[looked:] if accept is None else [ranked for ranked in found[looked:] if accept(ranked[1])]
            if len(kept) >= limit or len(found) < room:
                break
            looked, room = len(found), 8 * room
        return kept[:limit]

    def _best(self, terms: Terms, room: int) -> list[Ranked]:
        keys = self.keys
        lists = list(terms.present.values())
        if self._tally is not None:
            slots, scores = self._tally.best(lists, len(keys), room)
            found = [(-score, keys[slot]) for slot, score in zip(slots, scores, strict=True)]
            return sorted(found) if len(found) <= room else nsmallest(room, found)
        totals: dict[int, float] = {}
        for posting, weigher in lists:
            weights = {code: weigher(code) for code in set(posting.codes)}
            for slot, code in zip(posting.slots, posting.codes, strict=True):
                if code:
                    totals[slot] = totals.get(slot, 0.0) + weights[code]
        return nsmallest(room, [(-score, keys[slot]) for slot, score in totals.items()])

    def best_of(self, terms: Terms, limit: int, keys: Iterable[Any]) -> list[Ranked]:
        """The `limit` best of these documents that have any of the words; each is looked at."""
        lists = list(terms.present.values())
        ranked: list[Ranked] = []
        for key in keys:
            slot = self.documents[key][0]
            total = sum([weigher(code) for posting, weigher in lists if (code := posting.code(slot))])
            if total:
                ranked.append((-total, key))
        return nsmallest(limit, ranked)
