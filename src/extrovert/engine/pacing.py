"""Pacing: a live source's records handed over at the times that they carry, at a chosen speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

import msgspec

from extrovert.core.errors import InputError
from extrovert.core.event import Arrival, Batch, Spoilt
from extrovert.core.log import Position
from extrovert.core.ports import LiveSource, TimedSource
from extrovert.core.time import to_us
from extrovert.engine.clock import Clock
from extrovert.engine.intake import Intake

__all__ = ["Paced", "split"]


class _Place(msgspec.Struct):
    """`taken` lines of the batch after `source` have been taken; the event time `first_us` was that of `began_us`."""

    source: Position
    taken: int
    first_us: int | None
    began_us: int


class Paced:
    """A timed source made of a live one, which is read as it is needed, and once.

    The first record comes at once, and each other one as long after it as their times differ, divided by the speed. A
    record that is earlier than the one before it comes together with that. `decode` makes a record of a line, or raises
    `InputError`. After a pause between two lives of the engine, all goes on as much later.
    """

    def __init__(self, source: LiveSource, decode: Callable[[bytes], Any], *, now_us: int, paused_us: int = 0) -> None:
        assert source.speed is not None
        self.name = source.name
        self._source = source
        self._decode = decode
        self._speed = source.speed
        self._now_us = now_us
        self._paused_us = paused_us
        self._failed: Spoilt | None = None

    def heard_us(self, now_us: int) -> int:
        """Now: what has been recorded does not fall silent."""
        return now_us

    def read(self, position: Any) -> Iterator[Arrival]:
        """The arrivals after a position."""
        if position:
            place = msgspec.convert(position, _Place)
            place.began_us += self._paused_us
        else:
            place = _Place(None, 0, None, self._now_us)
        at_us = 0
        while (batch := self._batch(place)) is not None:
            found = self._found(batch.text.split(b"\n"), batch.line, batch.spoilt)
            for number, (line, one) in enumerate(found[place.taken :], start=place.taken + 1):
                at_us = max(at_us, self._due_us(place, one))
                place.taken = number
                last = number == len(found)
                after = _Place(batch.position, 0, place.first_us, place.began_us) if last else place
                yield Arrival(
                    at_us,
                    self._source.stream,
                    None if isinstance(one, Spoilt) else one,
                    line=line,
                    spoilt=one if isinstance(one, Spoilt) else None,
                    position=msgspec.to_builtins(after),
                )
            place = _Place(batch.position, 0, place.first_us, place.began_us)
        if self._failed is not None:
            after = msgspec.to_builtins(place)
            yield Arrival(max(at_us, self._now_us), self._source.stream, None, spoilt=self._failed, position=after)

    def _batch(self, place: _Place) -> Batch | None:
        try:
            return self._source.read(place.source)
        except Exception as error:
            self._failed = Spoilt(None, b"", f"source `{self.name}` cannot be read: {type(error).__name__}: {error}")
            return None

    def _found(self, lines: list[bytes], first: int, spoilt: tuple[Spoilt, ...]) -> list[tuple[int | None, Any]]:
        """Records, and what is none, in order of their lines."""
        found: list[tuple[int | None, Any]] = [(one.line, one) for one in spoilt]
        for number, line in enumerate(lines, start=first):
            if line.strip():
                try:
                    found.append((number, self._decode(line.strip())))
                except InputError as error:
                    found.append((number, Spoilt(number, line, error.cause)))
        return sorted(found, key=lambda one: one[0] or 0)

    def _due_us(self, place: _Place, one: Any) -> int:
        """When this record is due; what has no time is due at once."""
        moment = getattr(one, self._source.at, None)
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            return place.began_us
        event_us = to_us(moment)
        if place.first_us is None:
            place.first_us = event_us
        return place.began_us + round((event_us - place.first_us) / self._speed)


def split(
    sources: Sequence[TimedSource | LiveSource], intake: Intake, clock: Clock
) -> tuple[list[TimedSource], list[LiveSource]]:
    """The sources that are read in order of time (live ones with a speed too), and those that are read at once."""
    fold = intake.shard.fold
    now_us = max(clock.now_us(), fold.at_us, fold.context.expiry.now_us)
    paused_us = now_us - fold.at_us if fold.at_us else 0
    timed: list[TimedSource] = []
    live: list[LiveSource] = []
    for source in sources:
        if hasattr(source, "heard_us"):
            timed.append(cast(TimedSource, source))
        elif (found := cast(LiveSource, source)).speed is None:
            live.append(found)
        else:
            decode = partial(intake.decode, intake.stream(found.stream))
            timed.append(Paced(found, decode, now_us=now_us, paused_us=paused_us))
    return timed, live
