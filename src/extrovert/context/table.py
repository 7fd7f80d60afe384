"""Tables: the current row per key, folded from a stream or written by turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import compress
from operator import attrgetter, is_, ne
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from msgspec.structs import fields

from extrovert.context.history import Beyond, HistoryState
from extrovert.context.index import Index, IndexState
from extrovert.context.indexable import check_indexable
from extrovert.context.keyed import Keyed
from extrovert.context.lifetime import Lifetime
from extrovert.context.range_index import RangeIndex, RangeIndexState
from extrovert.context.reads import Readable, scope
from extrovert.context.sizes import SizeState
from extrovert.context.timeline import Timeline, Timing
from extrovert.context.where import found
from extrovert.context.whole import WholeTable
from extrovert.core.errors import BeforeHistory, DeclarationError, MissingRow
from extrovert.core.record import Record
from extrovert.core.time import to_us

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.shards import Border
    from extrovert.context.view import ViewState

__all__ = ["SMALL", "Fold", "Listener", "Table", "TableIndex", "TableState", "field_name"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

Fold = Callable[[Any, Any], Any]
Listener = Callable[[Sequence[Any], Sequence[Any]], None]

NO_TIMING = Timing()
MOST_WRITTEN = 1_000
"""A table of which more has changed than this, and than twice its rows, is written to a snapshot as a whole."""

SMALL = 4
"""Batches below this are quicker written row by row."""


def field_name(owner: str, record: type[Record], field: Any) -> str:
    """The name of a field given as `Flight.flight_id` or as text. Raises `DeclarationError` if there is none such."""
    name = field if isinstance(field, str) else getattr(field, "__name__", repr(field))
    if name not in record.__struct_fields__:
        known = ", ".join(record.__struct_fields__)
        raise DeclarationError(f"{owner}: `{record.__name__}` has no field `{name}`. Its fields are: {known}.")
    return name


class Table(Keyed[K, R]):
    """A table as declared: `table[key]`, `table.get(key)`, indexes. Reads give what is true now, and are tracked.

    `made_by` says what makes its rows, where no stream and no turn does. Made by `App.table`.
    """

    def __init__(
        self,
        name: str,
        record: type[R],
        key: str,
        *,
        stream: str,
        fed: bool = False,
        fold: Fold | None = None,
        turns_own: frozenset[str] = frozenset(),
        shard_by: str = "",
        replicated: bool = False,
        timing: Timing = NO_TIMING,
        made_by: str = "",
    ) -> None:
        self.name = name
        self.record = record
        self.key = key
        self.key_of: Callable[[Any], Any] = attrgetter(key)
        self.stream = stream
        self.fed = fed
        self.fold = fold
        self.turns_own = turns_own
        self.shard_by = shard_by or key
        self.replicated = replicated
        self.shard_of: Callable[[Any], Any] = attrgetter(self.shard_by)
        self.timing = timing
        self.made_by = made_by
        self.indexes: list[Index[Any, R] | RangeIndex[Any, R]] = []

    @property
    def key_type(self) -> Any:
        """The type of the rows' keys: text or whole numbers."""
        return next(field.type for field in fields(self.record) if field.name == self.key)

    def __getitem__(self, key: K) -> R:
        """The row at `key`. Raises `MissingRow` if there is none; that too is a read."""
        here = scope()
        row = here.row(self.name, key)
        if row is None:
            raise MissingRow("Table", self.name, key, here.label)
        return row

    def get(self, key: K) -> R | None:
        """The row at `key`, or None."""
        return scope().row(self.name, key)

    def __contains__(self, key: K) -> bool:
        return scope().row(self.name, key) is not None

    def all(self) -> Iterable[R]:
        """All rows in order of their keys. A change of any row is then a change of what was read."""
        here = scope()
        whole = here.context.tables[self.name].whole
        return here.rows(self.name, whole, None, lambda _row: True)

    def count(self) -> int:
        """How many rows there are. Cheaper than the rows, and changes only when the number does."""
        here = scope()
        return here.count(self.name, here.context.tables[self.name].sizes, None, lambda _row: True)

    def as_of(self, key: K, at: datetime) -> R | None:
        """The row at `key` as it was at the event time `at`, or None. It changes when a late row corrects that past.

        Raises `BeforeHistory` where `at` lies before the history that the table keeps.
        """
        if self.timing.history_us is None:
            raise DeclarationError(
                f"Table `{self.name}` keeps no history to read as of {at.isoformat()}. Declare it: "
                f'app.table("{self.name}", …, order_by=<an event time>, history=timedelta(…)).'
            )
        row = scope().as_of(self.name, key, to_us(at))
        if isinstance(row, Beyond):
            raise BeforeHistory(self.name, key, at, timedelta(microseconds=self.timing.history_us))
        return row

    def where(
        self, conditions: Mapping[Any, Any], *, order: Any = None, descending: bool = False, limit: int | None = None
    ) -> tuple[R, ...]:
        """Rows of which all `conditions` hold, found by an index: `{Flight.origin: "JFK", Flight.at: between(a, b)}`.

        They come in the order of `order`, else of the field that is between two values, else of their keys. Raises
        `DeclarationError`, which names the index to declare, where none fits.
        """
        return tuple(found(self, conditions, order, descending, limit))

    @overload
    def index(self, a: A, /) -> Index[A, R]: ...
    @overload
    def index(self, a: A, b: B, /) -> Index[tuple[A, B], R]: ...
    @overload
    def index(self, a: A, b: B, c: C, /) -> Index[tuple[A, B, C], R]: ...
    def index(self, *fields: Any) -> Any:
        """Declares an equality index: `by_route = flights.index(Flight.origin, Flight.destination)`."""
        names = self._names(fields)
        for name in names:
            check_indexable(self.name, self.record, name, ordered=False)
        index: Index[Any, R] = Index(self.name, names, self.key, self.record)
        self.indexes.append(index)
        return index

    @overload
    def range_index(self, a: A, /) -> RangeIndex[tuple[A], R]: ...
    @overload
    def range_index(self, a: A, b: B, /) -> RangeIndex[tuple[A, B], R]: ...
    @overload
    def range_index(self, a: A, b: B, c: C, /) -> RangeIndex[tuple[A, B, C], R]: ...
    @overload
    def range_index(self, a: A, b: B, c: C, d: D, /) -> RangeIndex[tuple[A, B, C, D], R]: ...
    def range_index(self, *fields: Any) -> Any:
        """Declares an ordered index over one to four fields, for intervals and for the first rows under a prefix.

        The fields' types have an order of their own, so None is not among their values.
        """
        names = self._names(fields)
        for name in names:
            check_indexable(self.name, self.record, name, ordered=True)
        index: RangeIndex[Any, R] = RangeIndex(self.name, names, self.key, self.record)
        self.indexes.append(index)
        return index

    def _names(self, fields: Iterable[Any]) -> tuple[str, ...]:
        names = tuple(field_name(f"An index of table `{self.name}`", self.record, field) for field in fields)
        if not names:
            raise DeclarationError(f"An index of table `{self.name}` names no field.")
        return names


class TableIndex(Protocol):
    """What finds the rows of a table, and follows it: told of each row before it is written."""

    name: str

    @property
    def watched(self) -> bool: ...

    @property
    def place_of(self) -> Callable[[Any], Any]: ...

    def move(self, key: Any, old: Any, new: Any) -> None: ...

    def add(self, keys: Sequence[Any], rows: Sequence[Any], /) -> None: ...


class TableState(Readable):
    """The rows of a table in one live context. The token of a row is the offset that wrote it; 0 where there is none.

    `listeners` are told of each change, as (keys, rows); a row is None where it was deleted.
    """

    __slots__ = (
        "_written",
        "by_turns",
        "context",
        "declared",
        "indexes",
        "key_of",
        "lifetime",
        "listeners",
        "rows",
        "sizes",
        "timeline",
        "versions",
        "views",
        "whole",
    )

    def __init__(self, declared: Table[Any, Any], context: LiveContext) -> None:
        super().__init__("row", declared.name)
        self.declared = declared
        self.context = context
        self.key_of = declared.key_of
        self.rows: dict[Any, Any] = {}
        self.versions: dict[Any, int] = {}
        self.indexes: list[TableIndex] = [_index_state(index, self) for index in declared.indexes]
        self.views: list[ViewState] = []
        self.listeners: list[Listener] = []
        self.by_turns: set[Any] = set()
        self.whole = WholeTable(self)
        self._written: list[Any] | None = []
        self.sizes = SizeState(self)
        timing = declared.timing
        self.timeline = None if timing.order_by is None else Timeline(self, timing)
        self.lifetime = None if timing.ttl_us is None else Lifetime(timing.ttl_us)

    def take_written(self) -> dict[Any, None] | None:
        """The keys of the rows that were written or deleted since the last call; None: more than are worth telling."""
        written, self._written = self._written, []
        return None if written is None else dict.fromkeys(written)

    def _note(self, keys: Iterable[Any]) -> None:
        """Notes what was written, up to twice as much as there is."""
        if self._written is not None:
            self._written.extend(keys)
            if len(self._written) > 2 * len(self.rows) + MOST_WRITTEN:
                self._written = None

    @property
    def history(self) -> HistoryState | None:
        """What the rows were; None where that is not kept."""
        return None if self.timeline is None else self.timeline.history

    def look(self, selector: Any) -> tuple[Any, int]:
        return self.rows.get(selector), self.versions.get(selector, 0)

    def token(self, selector: Any) -> int:
        return self.versions.get(selector, 0)

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.declared, f"row `{selector}` of table `{self.name}`", (value,))

    def put(self, key: Any, row: Any, offset: int) -> None:
        """Writes the row at `key` (None deletes) and touches whoever read it, directly or through an index.

        In a table with an order a late row enters history only.
        """
        if self.timeline is not None:
            row, shown = self.timeline.take(key, row, offset)
            if not shown:
                return
        self._write(key, row, offset)

    def expire(self, offset: int) -> None:
        """Deletes the rows whose time to live has ended."""
        assert self.lifetime is not None
        for key in self.lifetime.due(self.context.expiry.now_us):
            self._write(key, None, offset)

    def _write(self, key: Any, row: Any, offset: int) -> None:
        old = self.rows.get(key)
        if row is None and old is None:
            return
        context = self.context
        if context.copies is not None:
            context.copies.keep_row(self, key)
        for index in self.indexes:
            index.move(key, old, row)
        if row is None:
            del self.rows[key]
            del self.versions[key]
            self.by_turns.discard(key)
        else:
            self.rows[key] = row
            self.versions[key] = offset
        if self.lifetime is not None:
            self._lives(key, row)
        self.whole.version = offset
        self._note((key,))
        if (old is None or row is None) and self.sizes.watchers:
            self.context.touch(self.sizes.watchers[None])
        self._tell(key, row)

    def _lives(self, key: Any, row: Any) -> None:
        assert self.lifetime is not None
        if row is None:
            self.lifetime.gone(key)
        else:
            from_us = self.context.expiry.now_us if self.timeline is None else self.timeline.time_of(row)
            self.lifetime.is_due(key, from_us + self.lifetime.ttl_us)

    def put_many(self, keys: Sequence[Any], rows: Sequence[Any], offsets: Sequence[int]) -> None:
        """Writes rows (none is None) at their offsets: in the end the same as `put` one by one.

        Who reads is told once for the batch, so of two rows of one key only the last is seen.
        """
        one_by_one = self.context.copies is not None or self.timeline is not None or self.lifetime is not None
        if one_by_one or len(keys) < SMALL:
            for key, row, offset in zip(keys, rows, offsets, strict=True):
                self.put(key, row, offset)
            return
        latest = dict(zip(keys, rows, strict=True)) if self.indexes or self.views or self.watchers else {}
        if self.indexes:
            self._move_in_indexes(latest)
        size = len(self.rows)
        self.rows.update(zip(keys, rows, strict=True))
        if self.sizes.watchers and len(self.rows) != size:
            self.context.touch(self.sizes.watchers[None])
        self.versions.update(zip(keys, offsets, strict=True))
        self.whole.version = offsets[-1]
        self._note(keys)
        self._tell_of(latest)
        for listener in self.listeners:
            listener(keys, rows)

    def _move_in_indexes(self, latest: dict[Any, Any]) -> None:
        """Brings the indexes to the rows that are about to be written; loops in C over those that stay in place."""
        present, keys, news = self.rows, list(latest), list(latest.values())
        olds = list(map(present.get, keys, news))
        fresh = [key for key in compress(keys, map(is_, olds, news)) if key not in present]
        for index in self.indexes:
            changes = zip(keys, olds, news, strict=True)
            if not index.watched:
                before, after = list(map(index.place_of, olds)), map(index.place_of, news)
                changes = compress(changes, map(ne, before, after))
            for key, old, new in changes:
                index.move(key, old, new)
            index.add(fresh, list(map(latest.__getitem__, fresh)))

    def _tell_of(self, latest: dict[Any, Any]) -> None:
        touch = self.context.touch
        if self.watchers:
            for key in filter(self.watchers.__contains__, latest):
                touch(self.watchers[key])
        if self.whole.watchers:
            touch(self.whole.watchers[None])
        for view in self.views:
            for key in latest:
                view.row_changed(key)

    def _tell(self, key: Any, row: Any) -> None:
        watchers = self.watchers.get(key)
        if watchers is not None:
            self.context.touch(watchers)
        if self.whole.watchers:
            self.context.touch(self.whole.watchers[None])
        for view in self.views:
            view.row_changed(key)
        for listener in self.listeners:
            listener((key,), (row,))


def _index_state(index: Index[Any, Any] | RangeIndex[Any, Any], table: TableState) -> IndexState | RangeIndexState:
    return IndexState(index, table) if isinstance(index, Index) else RangeIndexState(index, table)
