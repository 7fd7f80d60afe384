"""Schedules: an operator that makes an event of each moment of a timetable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from extrovert.context.operator import Failure, Figures
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import from_us, span_us, to_us

if TYPE_CHECKING:
    from typing import Any

    from extrovert.context.live import LiveContext

__all__ = ["Schedule", "Tick", "Timetable"]

_DAY = timedelta(days=1)


class Tick(Record):
    """A moment `at` of the schedule named `schedule`, which is its key.

    `missed` counts the moments since the tick before that came while the engine was down.
    """

    schedule: str
    at: datetime
    missed: int = 0


class Timetable:
    """The moments `every` so often.

    With a first moment `at`, from there on; with a time of day, daily; with neither, at whole multiples of `every`
    since 1970 UTC. Days are those of the time zone of `at`, by its clock: 2:00 stays 2:00 when summer time begins. A
    time that the clock skips then is taken as much later as the clock is put forward; of one that it shows twice, the
    first is taken. What is not whole days goes by elapsed time. The zone's rules are those of the `tzinfo` handed in.
    """

    def __init__(self, where: str, every: timedelta, at: datetime | time | None) -> None:
        if every <= timedelta(0):
            raise DeclarationError(f"{where}: every= must be above zero.")
        if at is not None and at.tzinfo is None:
            raise DeclarationError(f"{where}: at= has no time zone; give one, for example tzinfo=ZoneInfo(…) or UTC.")
        if isinstance(at, time) and every != _DAY:
            raise DeclarationError(
                f"{where}: a time of day is for every=timedelta(days=1). For other spans give the first moment as a "
                f"datetime."
            )
        self.definition = canonical([span_us(every), repr(at)]).decode()
        self._every = every
        self._days = every.days if at is not None and every % _DAY == timedelta(0) else 0
        self._every_us = span_us(every)
        self._begin_us = to_us(at) if isinstance(at, datetime) else 0
        self._first = datetime.combine(date(1970, 1, 2), at) if isinstance(at, time) else at

    def next_us(self, after_us: int) -> int:
        """The first moment later than `after_us`."""
        if not self._days or self._first is None:
            number = max(0, (after_us - self._begin_us) // self._every_us + 1)
            return self._begin_us + number * self._every_us
        first = self._first
        local = from_us(after_us).astimezone(first.tzinfo).replace(tzinfo=None)
        number = max(0, (local - first.replace(tzinfo=None)) // self._every - 1)
        while (moment_us := self._moment_us(number)) <= after_us:
            number += 1
        return moment_us

    def _moment_us(self, number: int) -> int:
        assert self._first is not None
        return to_us(self._first + number * self._every)  # by the clock on the wall: a datetime adds days so

    def latest(self, first_us: int, now_us: int) -> tuple[int, int]:
        """The latest moment up to `now_us`, and how many there are from the moment `first_us` on before it."""
        if not self._days:
            number = (now_us - first_us) // self._every_us
            return first_us + number * self._every_us, number
        number = 0
        while (next_us := self.next_us(first_us)) <= now_us:
            first_us, number = next_us, number + 1
        return first_us, number


class Schedule(msgspec.Struct, frozen=True):
    """A schedule as declared: its ticks come on the stream of its name."""

    name: str
    timetable: Timetable
    on: Sequence[str] = ()

    @property
    def makes(self) -> str:
        return self.name

    @property
    def definition(self) -> str:
        return self.timetable.definition

    def begin(self, context: LiveContext) -> _Ticking:
        return _Ticking(self, context)


class _Ticking:
    """A schedule's state: the moment that comes next. It begins with the first moment that it is told of, which it asks
    for as one that is over already."""

    def __init__(self, declared: Schedule, context: LiveContext) -> None:
        self._declared = declared
        self._context = context
        self._next_us: int | None = None
        context.wake_at(0, declared.name)

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        return ()

    def passed(self, offset: int) -> None:
        name, timetable, now_us = self._declared.name, self._declared.timetable, self._context.expiry.now_us
        if offset < self._context.begins.get(name, 0):
            self._context.wake_at(0, name)  # it was not declared yet
            return
        if self._next_us is None:
            self._next_us = timetable.next_us(now_us - 1)
        elif now_us < self._next_us:
            return
        if self._next_us <= now_us:
            at_us, missed = timetable.latest(self._next_us, now_us)
            self._context.produce(name, Tick(name, from_us(at_us), missed), offset)
            self._next_us = timetable.next_us(at_us)
        self._context.wake_at(self._next_us, name)

    def save(self) -> bytes:
        return msgspec.json.encode(self._next_us)

    def load(self, state: bytes) -> None:
        self._next_us = msgspec.json.decode(state, type=int | None)
        self._context.wake_at(self._next_us or 0, self._declared.name)

    def figures(self) -> Figures:
        """The tick that comes next."""
        return Figures("schedule", next_us=self._next_us)
