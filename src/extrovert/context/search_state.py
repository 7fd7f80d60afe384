"""The state of a search in one live context: an index that proposes, over a table that decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from extrovert.context.index import IndexState
from extrovert.context.keywords import Keywords, Ranked, Terms
from extrovert.context.operator import Figures
from extrovert.context.query import Hit, Query, accepts, fused
from extrovert.context.reads import Readable, swap
from extrovert.context.table import TableState
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.ports import Embedder

if TYPE_CHECKING:
    from extrovert.context.operator import Failure
    from extrovert.context.shards import Border
    from extrovert.context.vectors import Vectors

__all__ = ["SearchState", "Waiting"]

DEPTH = 50
"""How many rows each of words and meaning proposes at least, before the two lists become one."""
MAX_CODES = 1_000
"""How many queries' vectors are kept."""
FEW = 200
"""Where an index leaves fewer rows than this, each is scored; else where it leaves fewer than the rarest word does."""


class Waiting(NamedTuple):
    """A row that has no vector yet: its text, and the fingerprint of that."""

    key: Any
    text: str
    mark: str


class SearchState(Readable):
    """The index of a search. The token of a query is the (key, version) of each of its hits.

    It follows its table as an index does, in the same step as each row is written, and is part of the operators for
    the sake of snapshots.
    """

    __slots__ = ("_codes", "embedder", "keywords", "since_us", "table", "text_of", "vectors", "waiting")

    def __init__(self, name: str, text: tuple[str, ...], embedder: Embedder | None, table: TableState) -> None:
        super().__init__("search", name)
        self.table = table
        self.keywords = Keywords()
        self.text_of = _text_of(text)
        self.embedder = embedder
        self.vectors: Vectors | None = None
        self.waiting: dict[Any, None] = {}
        self.since_us = 0
        self._codes: dict[str, Any] = {}
        if self.embedder is not None:
            from extrovert.context import vectors

            self.vectors = vectors.Vectors(self.embedder.dimensions)
        table.indexes.append(self)

    # ---- read

    def look(self, selector: Any) -> tuple[list[Hit[Any]], Any]:
        hits = self.find(selector, {})
        versions = self.table.versions
        return hits, tuple([(hit.key, versions[hit.key]) for hit in hits])

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.table.declared, f"search `{self.name}`", (hit.row for hit in value))

    def token(self, selector: Any) -> Any:
        try:
            return self.look(selector)[1]
        except Exception as error:  # a user's condition, which will tell its reader the same
            return f"{type(error).__name__}: {error}"

    def find(self, query: Query, instead: Mapping[Any, Any]) -> list[Hit[Any]]:
        """The hits, with the rows `instead` (None: none there) in the place of those of these keys.

        How rare words are is taken from the table as it is.
        """
        passes = accepts(query)
        rows = self.table.rows
        outer = swap(None)  # a condition that looks at more than its row would not be told when that changes
        try:
            if self.vectors is None:
                ranked = self._by_keywords(query, query.limit, passes, instead)
            else:
                depth = max(DEPTH, 2 * query.limit)
                lists = (
                    self._by_keywords(query, depth, passes, instead),
                    self._by_meaning(query, depth, passes, instead),
                )
                ranked = fused(lists)[: query.limit]
        finally:
            swap(outer)
        return [Hit(instead[key] if key in instead else rows[key], -less, key) for less, key in ranked]

    def _by_keywords(
        self, query: Query, limit: int, passes: Callable[[Any], bool], instead: Mapping[Any, Any]
    ) -> list[Ranked]:
        keywords, rows = self.keywords, self.table.rows
        terms = Terms(keywords, query.text)
        bucket = self._in_bucket(query)
        if bucket is not None and len(bucket) <= max(FEW, terms.rarest):
            found = keywords.best_of(terms, limit, [key for key in bucket if key not in instead])
        elif query.where or query.condition or instead:
            found = keywords.best(terms, limit, lambda key: key not in instead and passes(rows[key]))
        else:
            return keywords.best(terms, limit)
        for key, row in instead.items():
            score = 0.0 if row is None or not passes(row) else terms.score(self.text_of(row))
            if score:
                found.append((-score, key))
        return sorted(found)[:limit] if instead else found

    def _by_meaning(
        self, query: Query, limit: int, passes: Callable[[Any], bool], instead: Mapping[Any, Any]
    ) -> list[Ranked]:
        """The rows that have a vector like that of the query. Those `instead` have none."""
        vectors, rows = self.vectors, self.table.rows
        assert vectors is not None
        if not vectors.keys or not query.text.strip():
            return []
        code = self._code(query.text)
        keys = self._in_bucket(query)
        if keys is not None and len(keys) <= FEW:
            return vectors.best_of(code, limit, [key for key in keys if key not in instead])
        if query.where or query.condition or instead:
            return vectors.best(code, limit, lambda key: key not in instead and passes(rows[key]))
        return vectors.best(code, limit)

    def _code(self, text: str) -> Any:
        from extrovert.context.vectors import decoded, encoded

        code = self._codes.get(text)
        if code is None:
            assert self.embedder is not None
            [vector] = self.embedder.embed([text])
            code = self._codes[text] = decoded(encoded(vector, self.embedder.dimensions))
            if len(self._codes) > MAX_CODES:
                del self._codes[next(iter(self._codes))]
        return code

    def _in_bucket(self, query: Query) -> Collection[Any] | None:
        """The keys of the rows that pass, where an index over the very fields of the filter knows them."""
        names = {name for name, _ in query.where}
        for index in self.table.indexes if names else ():
            if isinstance(index, IndexState) and set(index.declared.fields) == names:
                values = dict(query.where)
                place = [values[name] for name in index.declared.fields]
                bucket = index.buckets.get(tuple(place) if len(place) > 1 else place[0])
                return () if bucket is None else bucket.keys
        return None

    # ---- following its table

    @property
    def place_of(self) -> Callable[[Any], Any]:
        """What of a row the index holds."""
        return self.text_of

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know of changes."""
        return bool(self.watchers)

    def move(self, key: Any, old: Any, new: Any) -> None:
        """The row at `key` is about to change from `old` to `new` (None where there is none)."""
        before, after = self.text_of(old), self.text_of(new)
        if before != after:
            if after is None:
                self.keywords.remove(key)
            else:
                self.keywords.put(key, after)
            self._await(key, after)
        self._touch()

    def add(self, keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """The `rows` at `keys`, where there is none, are about to come."""
        for key, row in zip(keys, rows, strict=True):
            text = self.text_of(row)
            self.keywords.put(key, text)
            self._await(key, text)
        if keys:
            self._touch()

    def _await(self, key: Any, text: str | None) -> None:
        """The row at `key` has another text than its vector, if it has one, was made of."""
        if self.vectors is None:
            return
        self.vectors.remove(key)
        if text is None or not text.strip():
            self.waiting.pop(key, None)
        elif key not in self.waiting:
            if not self.waiting:
                self.since_us = self.table.context.expiry.now_us
            self.waiting[key] = None

    def _touch(self) -> None:
        """A row of the table changes: any search may have other hits, since how rare a word is hangs on all rows."""
        for watchers in self.watchers.values():
            self.table.context.touch(watchers)

    # ---- vectors

    def batch(self, limit: int) -> list[Waiting]:
        """The rows that have waited longest for a vector."""
        rows = self.table.rows
        texts = [(key, self.text_of(rows[key])) for key in islice(self.waiting, limit)]
        return [Waiting(key, text, fingerprint(text)) for key, text in texts]

    def embedded(self, model: str, keys: Sequence[Any], marks: Sequence[str], vectors: Sequence[str]) -> None:
        """Vectors came, made by `model` of texts with these fingerprints; those of other texts are dropped."""
        if self.vectors is None or self.embedder is None or self.embedder.name != model:
            return
        from extrovert.context.vectors import decoded

        rows = self.table.rows
        for key, mark, vector in zip(keys, marks, vectors, strict=True):
            if key in self.waiting and fingerprint(self.text_of(rows[key])) == mark:
                del self.waiting[key]
                if vector:
                    self.vectors.put(key, decoded(vector))
        self.since_us = self.table.context.expiry.now_us
        self._touch()

    # ---- as an operator

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        return ()

    def passed(self, offset: int) -> None: ...

    def save(self) -> bytes:
        if self.vectors is None:
            return b"null"
        return canonical(_Saved(self.vectors.keys, self.vectors.codes(), list(self.waiting), self.since_us))

    def load(self, state: bytes) -> None:
        if self.vectors is None:
            return
        saved = msgspec.json.decode(state, type=_Saved)
        self.vectors.restore(saved.keys, saved.codes)
        self.waiting = dict.fromkeys(saved.waiting)
        self.since_us = saved.since_us

    def figures(self) -> Figures:
        """The rows that wait for their vectors."""
        return Figures("search", "rows without vectors" if self.vectors is not None else "", len(self.waiting))


class _Saved(msgspec.Struct):
    """The vectors by key, and the rows that wait for one."""

    keys: list[Any]
    codes: bytes
    waiting: list[Any]
    since_us: int


def _text_of(fields: tuple[str, ...]) -> Callable[[Any], Any]:
    """The text of a row, its fields one below the other; None where there is no row."""
    texts = attrgetter(*fields)
    if len(fields) == 1:
        return lambda row: None if row is None else texts(row) or ""
    return lambda row: None if row is None else "\n".join([text or "" for text in texts(row)])
