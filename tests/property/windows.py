"""Windows over readings, in a live context of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from extrovert import App, Record, Session, Sliding, Tumbling, Window
from extrovert import aggregates as agg
from extrovert.context.live import LiveContext
from extrovert.context.windowing import WindowState

__all__ = ["BEGIN_US", "KEYS", "Reading", "Row", "Running", "Spans", "rows_of"]

BEGIN_US = 1_767_225_600_000_000
KEYS = ("cold", "warm")
Spans = Tumbling | Sliding | Session


class Reading(Record):
    sensor_id: str
    taken_at: datetime
    celsius: int | None
    room: str


class Row(Record):
    closed: bool
    sensor_id: str
    starts_at: datetime
    ends_at: datetime
    readings: int
    total: int
    mean: float | None
    least: int | None
    most: int | None
    median: float | None
    rooms: int
    common: list[tuple[str, int]]
    newest: int | None
    letters: int


def nothing() -> int:
    return 0


def add_letters(letters: int, reading: Reading) -> int:
    return letters + len(reading.room)


def both(one: int, other: int) -> int:
    return one + other


def rows_of(row: Row) -> Any:
    return row.sensor_id, row.starts_at


class Running:
    """Windows at work. `failed` has the places of the events that were not taken, counted from the first."""

    def __init__(self, idle_after: timedelta | None = None, **options: Any) -> None:
        app = App("house")
        readings = app.stream("readings", Reading, key=Reading.sensor_id)
        self.options: dict[str, Any] = options | {"idle_after": idle_after}
        self.window: Window[Row] = app.window(
            readings,
            Row,
            at=Reading.taken_at,
            ahead=None,
            readings=agg.count(),
            total=agg.sum(Reading.celsius),
            mean=agg.mean(Reading.celsius),
            least=agg.min(Reading.celsius),
            most=agg.max(Reading.celsius),
            median=agg.quantile(Reading.celsius, 0.5),
            rooms=agg.distinct(Reading.room),
            common=agg.top_k(Reading.room, 2),
            newest=agg.last(Reading.celsius),
            letters=agg.own(nothing, add_letters, merge=both),
            **self.options,
        )
        self.context: LiveContext = app.declared().fold().context
        state = self.context.operators["row"]
        assert isinstance(state, WindowState)
        self.state = state
        self.failed: list[int] = []
        self.offset = 1
        self.context.clock_is(BEGIN_US)

    def feed(self, readings: Sequence[Reading]) -> None:
        """Hands in a batch."""
        if readings:
            offsets = range(self.offset, self.offset + len(readings))
            keys = [reading.sensor_id for reading in readings]
            failures = self.context.fold("readings", keys, readings, offsets)
            self.failed += [self.offset - 1 + place for place, _ in failures]
            self.offset += len(readings)

    def wait(self, span_us: int) -> None:
        """Lets engine time pass, as a shard does."""
        until = self.context.expiry.now_us + span_us
        while (due := self.context.next_us()) is not None and due <= until:
            self.context.passed(due, self.offset)
            self.offset += 1
        self.context.clock_is(until)

    def again(self) -> Running:
        """Another that takes up the state of this one, as recovery does."""
        other = Running(**self.options)
        other.offset = self.offset
        other.context.clock_is(self.context.expiry.now_us)
        present, taken = self.context.tables["row"], other.context.tables["row"]
        for key, row in present.rows.items():
            taken.put(taken.key_of(row), row, present.versions[key])
        other.state.load(self.state.save())
        return other

    def rows(self) -> list[Row]:
        """All rows in order."""
        return sorted(self.context.tables["row"].rows.values(), key=rows_of)
