"""Windows as declared: keyed aggregates over event time, whose results are rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import msgspec

from extrovert.context.aggregates import Aggregate, Own
from extrovert.context.ahead import ahead_span
from extrovert.context.columns import Column, check_result, field_kinds
from extrovert.context.index import Index
from extrovert.context.panes import row_key
from extrovert.context.reads import scope
from extrovert.context.spans import Session, Sliding, Spans
from extrovert.context.stream import Stream
from extrovert.context.table import Table, field_name
from extrovert.context.windowing import WindowState
from extrovert.core.declaring import check_key, records
from extrovert.core.errors import DeclarationError, MissingRow
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import span_us, to_us

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Window"]

R = TypeVar("R", bound=Record)
TIMES = ("starts_at", "ends_at")
KEPT = 10
"""So many lengths of a window its row is kept, where nothing else is said."""


class Window(Table[str, R]):
    """Windows of a stream: a table of their rows, by `key@start`, such as `sensor-1@2026-01-01T00:05:00Z`.

    Reads are tracked like those of any table. Made by `App.window`.
    """

    def __init__(
        self,
        stream: Stream[Any],
        record: type[R],
        *,
        name: str,
        at: Any,
        spans: Spans,
        aggregates: Mapping[str, Aggregate[Any]],
        by: Any,
        disorder: timedelta,
        lateness: timedelta,
        idle_after: timedelta | None,
        ahead: timedelta | None,
        keep: timedelta | None,
        emit: str,
    ) -> None:
        self.label = f"Window `{name}`"
        followed = records(self.label, stream.event)
        key = stream.key if by is None else _field(self.label, followed, by)
        super().__init__(name, record, key, stream="", fed=True, made_by=f"window `{name}`")
        self.key_of = self._key_of
        self.spans = spans
        self.emit = emit
        self.on = (stream.name,)
        self.makes = ""
        self.by = None if key == stream.key else key
        self.at_field = _field(self.label, followed, at)
        self.aggregates = {name: aggregates[name] for name in aggregates}
        self.disorder_us, self.lateness_us = span_us(disorder), span_us(lateness)
        self.idle_us = None if idle_after is None else span_us(idle_after)
        self.ahead_us = ahead_span(self.label, ahead)
        self.keep_us = max(KEPT * spans.size_us, self.lateness_us) if keep is None else span_us(keep)
        self._check_times()
        self.over = {
            name: _field(f"{self.label}: `{name}`", followed, one.of)
            for name, one in self.aggregates.items()
            if one.of is not None
        }
        self._follow(followed)
        self.order = self._row_order()
        self.by_key: Index[Any, R] = self.index(key)

    # ---- reads

    @property
    def key_type(self) -> Any:
        """The key of a row is a text, made of two fields."""
        return str

    def row_key(self, key: str | int, start: datetime) -> str:
        """The key of the row of the window that begins at `start`."""
        return row_key(key, to_us(start))

    def __getitem__(self, key: str | tuple[str | int, datetime]) -> R:
        """`window[key, start]`: the row of the window of `key` that begins at `start`. Raises `MissingRow`.

        A text alone is the row's own key.
        """
        name = key if isinstance(key, str) else self.row_key(*key)
        here = scope()
        row = here.row(self.name, name)
        if row is None:
            raise MissingRow("Window", self.name, name, here.label)
        return row

    def get(self, key: str | int, start: datetime | None = None) -> R | None:
        """The row of the window of `key` that begins at `start`, or None. A text alone is the row's own key."""
        return scope().row(self.name, key if start is None else self.row_key(key, start))

    def at(self, key: str | int, moment: datetime) -> R | None:
        """The row of the window of `key` that holds the moment, or None; of sliding ones, the first that has a row."""
        spans, at_us = self.spans, to_us(moment)
        if isinstance(spans, Sliding):
            starts = range(spans.first(at_us), at_us + 1, spans.every_us)
            return next((row for start in starts if (row := scope().row(self.name, row_key(key, start)))), None)
        return next((row for row in self.of(key) if _bound(row, 0) <= moment < _bound(row, 1)), None)

    def of(self, key: str | int) -> tuple[R, ...]:
        """All rows of `key` that are kept, in order of time."""
        return tuple(sorted(self.by_key[key], key=lambda row: _bound(row, 0)))

    def latest(self, key: str | int) -> R | None:
        """The row of `key` that begins last, or None. It counts as a read of all its rows."""
        return max(self.by_key[key], key=lambda row: _bound(row, 0), default=None)

    if not TYPE_CHECKING:

        def range_index(self, *fields: Any) -> Any:
            """As in any table; only, the key of a row is made of two of its fields."""
            index = super().range_index(*fields)
            names = index.fields
            index.entry_of = index.order_of = lambda row: (*[getattr(row, name) for name in names], self.key_of(row))
            return index

    def _key_of(self, row: Any) -> str:
        return row_key(getattr(row, self.key), to_us(row.starts_at))

    # ---- as an operator

    @property
    def definition(self) -> str:
        """Changes when the same events would give other rows."""
        lengths = [self.disorder_us, self.lateness_us, self.idle_us, self.ahead_us, self.keep_us]
        told = [[name, one.definition, self.over.get(name, "")] for name, one in self.aggregates.items()]
        what = [self.on, self.key, self.at_field, repr(self.spans), self.emit, lengths, told]
        return canonical(what).decode()

    def begin(self, context: LiveContext) -> WindowState:
        """Its state in one live context, empty."""
        return WindowState(self, context)

    def state_types(self) -> tuple[Any, Any]:
        """The types of a key, and of the states in a cell, as a snapshot keeps them."""
        hints = get_type_hints(self.record)
        kept: list[Any] = []
        for name, one in self.aggregates.items():
            column = self.columns.get(self.over.get(name, ""))
            kept.append(one.kept(column.of if column else None))
        return hints[self.key], tuple[tuple(kept)]

    # ---- declaring

    def _check_times(self) -> None:
        lengths = {"disorder": self.disorder_us, "lateness": self.lateness_us}
        for name, length_us in lengths.items():
            if length_us < 0:
                raise DeclarationError(f"{self.label}: {name}= is less than nothing.")
        if self.idle_us is not None and self.idle_us <= 0:
            raise DeclarationError(f"{self.label}: idle_after= must be longer than nothing, or None for never.")
        if self.keep_us < self.lateness_us:
            raise DeclarationError(
                f"{self.label}: a late event can change a row for lateness={timedelta(microseconds=self.lateness_us)}, "
                f"so it must be kept as long; keep= is {timedelta(microseconds=self.keep_us)}."
            )
        if self.emit not in ("changes", "close"):
            raise DeclarationError(f'{self.label}: emit= is "changes" or "close", not {self.emit!r}.')
        merges = [name for name, one in self.aggregates.items() if isinstance(one, Own) and one.merges is None]
        if isinstance(self.spans, Session) and merges:
            raise DeclarationError(
                f"{self.label}: an event may join two sessions; say how with merge= of `{merges[0]}`."
            )

    def _follow(self, followed: Sequence[type[Record]]) -> None:
        """Which of the stream's records have what it takes, and their columns."""
        needs = {self.at_field: "", self.key: ""} if self.by is not None else {self.at_field: ""}
        for name, field in self.over.items():
            needs[field] = needs.get(field) or self.aggregates[name].takes
        self.follows = frozenset(one for one in followed if all(field in one.__struct_fields__ for field in needs))
        if not self.follows:
            fields = ", ".join(needs)
            raise DeclarationError(f"{self.label}: none of its stream's records has all of the fields {fields}.")
        self.columns: dict[str, Column] = {}
        for one in followed:
            if one in self.follows:
                check_key(self.label, one, self.key)
                self._check_moment(one)
                for field in needs:
                    column = Column(self.label, one, field, "")
                    if field in self.columns and self.columns[field].of != column.of:
                        raise DeclarationError(f"{self.label}: its stream's records differ in what `{field}` holds.")
                    self.columns[field] = column
                for name, field in self.over.items():
                    Column(f"{self.label}: `{name}`", one, field, self.aggregates[name].takes)

    def _check_moment(self, record: type[Record]) -> None:
        if not isinstance(field_kinds(record)[self.at_field], msgspec.inspect.DateTimeType):
            raise DeclarationError(
                f"{self.label}: at= must be a `datetime`, and `{self.at_field}` is none, or not always."
            )

    def _row_order(self) -> list[int]:
        """Where each field of the row lies in (key, start, end, closed, *aggregates)."""
        kinds = field_kinds(self.record)
        parts = [self.key, *TIMES, "closed", *self.aggregates]
        for name in (self.key, *TIMES, *self.aggregates):
            field_name(self.label, self.record, name)
        self.tells_closed = "closed" in kinds and "closed" not in self.aggregates
        for name, kind in dict.fromkeys(TIMES, msgspec.inspect.DateTimeType).items():
            if not isinstance(kinds[name], kind):
                raise DeclarationError(f"{self.label}: `{self.record.__name__}.{name}` must be a `datetime`.")
        if self.tells_closed and not isinstance(kinds["closed"], msgspec.inspect.BoolType):
            raise DeclarationError(f"{self.label}: `{self.record.__name__}.closed` must be a `bool`.")
        event = next(iter(self.follows))
        if type(kinds[self.key]) is not type(field_kinds(event)[self.key]):
            raise DeclarationError(
                f"{self.label}: `{self.record.__name__}.{self.key}` must hold the key of its stream."
            )
        for name, one in self.aggregates.items():
            column = self.columns.get(self.over.get(name, ""))
            check_result(f"{self.label}: `{name}`", self.record, name, one, column)
        unsaid = [name for name in self.record.__struct_fields__ if name not in parts]
        if unsaid:
            raise DeclarationError(
                f"{self.label}: nothing says what `{self.record.__name__}.{unsaid[0]}` is. Give {unsaid[0]}=count(), "
                f"or another aggregate."
            )
        return [parts.index(name) for name in self.record.__struct_fields__]


def _field(where: str, among: Sequence[type[Record]], field: Any) -> str:
    name = field if isinstance(field, str) else getattr(field, "__name__", repr(field))
    having = [one for one in among if name in one.__struct_fields__]
    return field_name(where, (having or among)[0], field)


def _bound(row: Any, which: int) -> datetime:
    moment: datetime = getattr(row, TIMES[which])
    return moment.astimezone(UTC)
