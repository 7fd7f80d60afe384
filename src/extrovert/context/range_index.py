"""Range indexes: rows of a table in the order of other fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from extrovert.context.interval import Bounds, ByInterval, Interval
from extrovert.context.ordered import Ordered, Place
from extrovert.context.reads import scope
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["RangeCountState", "RangeIndex", "RangeIndexState", "keys_in"]

V = TypeVar("V")
R = TypeVar("R", bound=Record)

MANY = 10_000
"""More rows than this at a time are sorted, and not put in their places one by one."""


class RangeIndex(Generic[V, R]):
    """An ordered index as declared, by one or more fields and then by key. Made by `Table.range_index`."""

    def __init__(self, table: str, fields: tuple[str, ...], key: str, record: type[R]) -> None:
        self.table = table
        self.record = record
        self.fields = fields
        self.name = f"{table}.{'<'.join(fields)}"
        self.entry_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*fields, key)
        self.order_of = self.entry_of

    def between(
        self,
        low: Any = None,
        high: Any = None,
        *,
        bounds: Bounds = "[]",
        limit: int | None = None,
        descending: bool = False,
    ) -> tuple[R, ...]:
        """Rows with `low` ≤ leading fields ≤ `high`, in order; a bare value stands for the first field alone.

        `bounds` says which ends belong to it: "[)" leaves out the rows at `high`. With `limit`, the first so many
        (the last, from behind, with `descending`); only these are then what was read.
        """
        here = scope()
        state = here.context.ranges[self.name]
        interval = Interval((_leading(low), _leading(high), limit), bounds, descending=descending)
        found = here.rows(self.table, state, interval, lambda row: interval.holds(self.entry_of(row)))
        return tuple(found)[:limit]

    def under(self, *prefix: Any, limit: int | None = None, descending: bool = False) -> tuple[R, ...]:
        """The first `limit` rows whose leading fields equal `prefix`, in the order of the fields that follow."""
        return self.between(prefix, prefix, limit=limit, descending=descending)

    def first(self, *prefix: Any) -> R | None:
        """The first row whose leading fields equal `prefix` (of all rows, without one), or None."""
        return next(iter(self.under(*prefix, limit=1)), None)

    def last(self, *prefix: Any) -> R | None:
        """The last row whose leading fields equal `prefix`, or None."""
        return next(iter(self.under(*prefix, limit=1, descending=True)), None)

    def count_between(self, low: Any = None, high: Any = None, *, bounds: Bounds = "[]") -> int:
        """How many rows there are in an interval. Cheaper than the rows, and changes only when the number does."""
        here = scope()
        counts = here.context.ranges[self.name].counts
        interval = Interval((_leading(low), _leading(high), None), bounds)
        return here.count(self.table, counts, interval, lambda row: interval.holds(self.entry_of(row)))


def _leading(bound: Any) -> tuple[Any, ...] | None:
    return bound if bound is None or isinstance(bound, tuple) else (bound,)  # pyright: ignore[reportUnknownVariableType]


class RangeIndexState(ByInterval):
    """The entries of a range index, sorted. The token of an interval is the (key, version) of each row in it."""

    __slots__ = ("counts", "declared", "entries", "entry_of", "table")

    def __init__(self, declared: RangeIndex[Any, Any], table: TableState) -> None:
        super().__init__("range", declared.name)
        self.declared = declared
        self.table = table
        self.entry_of = declared.entry_of
        self.entries = Ordered()
        self.counts = RangeCountState(self)

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
        return bool(self.watchers or self.counts.watchers)

    def move(self, key: Any, old: Any, new: Any) -> None:
        """The row at `key` is about to change from `old` to `new` (None where there is none)."""
        before = None if old is None else self.entry_of(old)
        after = None if new is None else self.entry_of(new)
        if before is not None:
            self._touch(before)
        if before == after:
            return
        if before is not None:
            self.entries.remove(before)
        if after is not None:
            self.entries.add(after)
            self._touch(after)
        if self.counts.watchers:
            self.counts.moved(before, after)

    def add(self, _keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """The `rows`, whose keys have none, are about to come."""
        if len(rows) > MANY and not self.watched:
            self.entries.add_many(map(self.entry_of, rows))
            return
        for entry in map(self.entry_of, rows):
            self.entries.add(entry)
            self._touch(entry)
            if self.counts.watchers:
                self.counts.moved(None, entry)

    def _touch(self, entry: tuple[Any, ...]) -> None:
        if self.watchers:
            for interval in self.around(entry):
                self.table.context.touch(self.watchers[interval])


class RangeCountState(ByInterval):
    """How many entries of a range index lie in an interval; the token is the number itself."""

    __slots__ = ("index",)

    def __init__(self, index: RangeIndexState) -> None:
        super().__init__("count", index.name)
        self.index = index

    def look(self, selector: Any) -> tuple[int, int]:
        entries = self.index.entries
        start, end = _ends(entries, selector)
        size = max(0, entries.rank(end) - entries.rank(start))
        return size, size

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        fixed = tuple(low for low, high in zip(selector.low or (), selector.high or (), strict=False) if low == high)
        fields = self.index.declared.fields[: len(fixed)]
        border.counts(self.index.table.declared, f"index `{self.name}` at `{list(selector)}`", fields, fixed)

    def moved(self, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> None:
        """An entry changes its place (None: it comes or goes): tells those whose number it changes."""
        left = set[Interval]() if before is None else set(self.around(before))
        entered = set[Interval]() if after is None else set(self.around(after))
        for interval in left ^ entered:
            self.index.table.context.touch(self.watchers[interval])


def keys_in(entries: Ordered, interval: Interval) -> list[Any]:
    """The keys of those of the `entries` that lie in the interval, in order."""
    start, end = _ends(entries, interval)
    found = entries.back(start, end) if interval.descending else entries.between(start, end)
    return [entry[-1] for entry in (found if interval.limit is None else islice(found, interval.limit))]


def _ends(entries: Ordered, interval: Interval) -> tuple[Place, Place]:
    """The places between which the entries of an interval lie."""
    left, right = interval.bounds
    high = interval.high
    return (
        entries.place(interval.low, behind=left == "("),
        entries.end if high is None else entries.place(high, behind=right == "]"),
    )
