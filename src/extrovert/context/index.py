"""Indexes: rows of a table by other fields, for equality or in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from extrovert.context.ordered import Ordered
from extrovert.context.reads import Readable, Watcher, scope
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["Index", "IndexState", "Interval", "RangeIndex", "RangeIndexState", "keys_in"]

_NOWHERE = object()

V = TypeVar("V")
R = TypeVar("R", bound=Record)


class Index(Generic[V, R]):
    """An equality index as declared: `index[value]` gives the rows in order of their keys. Made by `Table.index`."""

    def __init__(self, table: str, fields: tuple[str, ...], key: str) -> None:
        self.table = table
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
        for place, key in zip(places, keys, strict=True):
            self._add(place, key)
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
        border.counts(index.table.declared, f"index `{self.name}` at `{selector}`", index.declared.fields, selector)


class Interval(tuple[Any, Any, int | None]):
    """A selector of a range index: entries from `low` on, below `high`, at most `limit` of them.

    `low` and `high` are tuples of leading field values; `high` includes everything that begins with it. None is open.
    """

    __slots__ = ()

    @property
    def low(self) -> tuple[Any, ...] | None:
        return self[0]

    @property
    def high(self) -> tuple[Any, ...] | None:
        return self[1]

    @property
    def limit(self) -> int | None:
        return self[2]

    def widened(self, more: int) -> Interval:
        """The same with room for `more` entries."""
        limit = self.limit
        return Interval((self[0], self[1], None if limit is None else limit + more))

    def holds(self, entry: tuple[Any, ...]) -> bool:
        """Whether an entry (field values, then key) lies between low and high."""
        low, high = self[0], self[1]
        return (low is None or entry >= low) and (high is None or entry[: len(high)] <= high)


class RangeIndex(Generic[V, R]):
    """An ordered index as declared, by one or more fields and then by key. Made by `Table.range_index`."""

    def __init__(self, table: str, fields: tuple[str, ...], key: str) -> None:
        self.table = table
        self.fields = fields
        self.name = f"{table}.{'<'.join(fields)}"
        self.entry_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*fields, key)
        self.order_of = self.entry_of

    def between(self, low: Any = None, high: Any = None, *, limit: int | None = None) -> tuple[R, ...]:
        """Rows with `low` ≤ leading fields ≤ `high`, in order; a bare value stands for the first field alone.

        With `limit`, the first so many; only these are then what was read.
        """
        here = scope()
        state = here.context.ranges[self.name]
        interval = Interval((_leading(low), _leading(high), limit))
        found = here.rows(self.table, state, interval, lambda row: interval.holds(self.entry_of(row)))
        return tuple(found)[:limit]

    def under(self, *prefix: Any, limit: int | None = None) -> tuple[R, ...]:
        """The first `limit` rows whose leading fields equal `prefix`, in the order of the fields that follow."""
        return self.between(prefix, prefix, limit=limit)


def _leading(bound: Any) -> tuple[Any, ...] | None:
    return bound if bound is None or isinstance(bound, tuple) else (bound,)  # pyright: ignore[reportUnknownVariableType]


class RangeIndexState(Readable):
    """The entries of a range index, sorted. The token of an interval is the (key, version) of each row in it."""

    __slots__ = ("_heads", "declared", "entries", "entry_of", "table")

    def __init__(self, declared: RangeIndex[Any, Any], table: TableState) -> None:
        super().__init__("range", declared.name)
        self.declared = declared
        self.table = table
        self.entry_of = declared.entry_of
        self.entries = Ordered()
        self._heads: dict[Any, dict[Interval, None]] = {}

    def look(self, selector: Any) -> tuple[tuple[Any, ...], Any]:
        keys = keys_in(self.entries, selector)
        rows, versions = self.table.rows, self.table.versions
        return tuple([rows[key] for key in keys]), tuple([(key, versions[key]) for key in keys])

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.table.declared, f"index `{self.name}` at `{list(selector)}`", value)

    @property
    def place_of(self) -> Callable[[Any], Any]:
        """Where a row stands in the index."""
        return self.entry_of

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know of changes."""
        return bool(self.watchers)

    def move(self, key: Any, old: Any, new: Any) -> None:
        """The row at `key` is about to change from `old` to `new` (None where there is none)."""
        before = None if old is None else self.entry_of(old)
        after = None if new is None else self.entry_of(new)
        self._touch(before)
        if before == after:
            return
        if before is not None:
            self.entries.remove(before)
        if after is not None:
            self.entries.add(after)
            self._touch(after)

    def add(self, _keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """The `rows`, whose keys have none, are about to come."""
        for entry in map(self.entry_of, rows):
            self.entries.add(entry)
            self._touch(entry)

    def watch(self, selector: Any, watcher: Watcher) -> None:
        super().watch(selector, watcher)
        self._heads.setdefault(_head(selector), {})[selector] = None

    def unwatch(self, selector: Any, watcher: Watcher) -> None:
        super().unwatch(selector, watcher)
        if selector not in self.watchers:
            head = self._heads.get(_head(selector), {})
            head.pop(selector, None)
            if not head:
                self._heads.pop(_head(selector), None)

    def _touch(self, entry: tuple[Any, ...] | None) -> None:
        if entry is None or not self.watchers:
            return
        for head in (entry[0], _ANY):
            for interval in self._heads.get(head, ()):
                if interval.holds(entry):
                    self.table.context.touch(self.watchers[interval])


def keys_in(entries: Ordered, interval: Interval) -> list[Any]:
    """The keys of those of the `entries` that lie in the interval, in order."""
    found: list[Any] = []
    for entry in entries.since(interval.low):
        if len(found) == interval.limit or not interval.holds(entry):
            break
        found.append(entry[-1])
    return found


class _Any:
    """Stands for intervals that do not fix the first field."""


_ANY = _Any()


def _head(interval: Interval) -> Any:
    low, high = interval.low, interval.high
    return low[0] if low and high and low[0] == high[0] else _ANY
