"""Equality indexes: rows of a table by other fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from extrovert.context.reads import Readable, scope
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["CountState", "Index", "IndexState"]

_NOWHERE = object()

V = TypeVar("V")
R = TypeVar("R", bound=Record)


class Index(Generic[V, R]):
    """An equality index as declared: `index[value]` gives the rows in order of their keys. Made by `Table.index`."""

    def __init__(self, table: str, fields: tuple[str, ...], key: str, record: type[R]) -> None:
        self.table = table
        self.record = record
        self.fields = fields
        self.name = f"{table}.{'+'.join(fields)}"
        self.value_of: Callable[[Any], Any] = attrgetter(*fields)
        self.order_of: Callable[[Any], Any] = attrgetter(key)

    def __getitem__(self, value: V) -> tuple[R, ...]:
        """The rows whose fields equal `value` (a tuple for several fields), in order of their keys."""
        here = scope()
        state = here.context.indexes[self.name]
        return tuple(here.rows(self.table, state, value, lambda row: self.value_of(row) == value))

    def count(self, value: V) -> int:
        """How many rows there are at `value`. Cheaper than the rows, and changes only when the number does."""
        here = scope()
        counts = here.context.indexes[self.name].counts
        return here.count(self.table, counts, value, lambda row: self.value_of(row) == value)


class IndexState(Readable):
    """The buckets of an equality index. The token of a bucket is (latest change of who is in it, latest row in it)."""

    __slots__ = ("buckets", "counts", "declared", "table", "value_of")

    def __init__(self, declared: Index[Any, Any], table: TableState) -> None:
        super().__init__("index", declared.name)
        self.declared = declared
        self.table = table
        self.value_of = declared.value_of
        self.buckets: dict[Any, Bucket] = {}
        self.counts = CountState(self)

    def look(self, selector: Any) -> tuple[tuple[Any, ...], Any]:
        bucket = self.buckets.get(selector)
        if bucket is None:
            return (), 0
        rows, versions = self.table.rows, self.table.versions
        keys = bucket.in_order()
        return tuple([rows[key] for key in keys]), tuple([versions[key] for key in keys])

    def token(self, selector: Any) -> Any:
        bucket = self.buckets.get(selector)
        if bucket is None:
            return 0
        versions = self.table.versions
        return tuple([versions[key] for key in bucket.in_order()])

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.table.declared, f"index `{self.name}` at `{selector}`", value)

    @property
    def place_of(self) -> Callable[[Any], Any]:
        """Where a row stands in the index."""
        return self.value_of

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know of changes."""
        return bool(self.watchers or self.counts.watchers)

    def move(self, key: Any, old: Any, new: Any) -> None:
        """The row at `key` is about to change from `old` to `new` (None where there is none)."""
        before = _NOWHERE if old is None else self.value_of(old)
        after = _NOWHERE if new is None else self.value_of(new)
        stays = before == after
        if not stays:
            if before is not _NOWHERE:
                self._remove(before, key)
            if after is not _NOWHERE:
                self._add(after, key)
        if self.watchers or self.counts.watchers:
            self._touch(before, moved=not stays)
            if not stays:
                self._touch(after, moved=True)

    def add(self, keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """The `rows` at `keys`, where there is none, are about to come."""
        places = list(map(self.value_of, rows))
        buckets = self.buckets
        for place, key in zip(places, keys, strict=True):
            bucket = buckets.get(place)
            if bucket is None:
                bucket = buckets[place] = Bucket()
            bucket.keys[key] = None
            bucket.order = None
        if self.watched:
            for place in places:
                self._touch(place, moved=True)

    def _add(self, value: Any, key: Any) -> None:
        bucket = self.buckets.get(value)
        if bucket is None:
            bucket = self.buckets[value] = Bucket()
        bucket.keys[key] = None
        bucket.order = None

    def _remove(self, value: Any, key: Any) -> None:
        bucket = self.buckets[value]
        del bucket.keys[key]
        bucket.order = None
        if not bucket.keys:
            del self.buckets[value]

    def _touch(self, value: Any, *, moved: bool) -> None:
        watchers = self.watchers.get(value)
        if watchers is not None:
            self.table.context.touch(watchers)
        if moved:
            counting = self.counts.watchers.get(value)
            if counting is not None:
                self.table.context.touch(counting)


class Bucket:
    """The keys at one value of an index; `order` is them sorted, made when read, or None."""

    __slots__ = ("keys", "order")

    def __init__(self) -> None:
        self.keys: dict[Any, None] = {}
        self.order: list[Any] | None = None

    def in_order(self) -> list[Any]:
        if self.order is None:
            self.order = sorted(self.keys)
        return self.order


class CountState(Readable):
    """The sizes of an index's buckets; the token is the size itself."""

    __slots__ = ("index",)

    def __init__(self, index: IndexState) -> None:
        super().__init__("count", index.name)
        self.index = index

    def look(self, selector: Any) -> tuple[int, int]:
        bucket = self.index.buckets.get(selector)
        size = 0 if bucket is None else len(bucket.keys)
        return size, size

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        index = self.index
        border.counts(
            index.table.declared,
            f"index `{self.name}` at `{selector}`",
            index.declared.fields,
            selector if len(index.declared.fields) > 1 else (selector,),
        )
