"""Feeding: timed sources, read in order of time."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from extrovert.core.event import Arrival
from extrovert.core.log import Position
from extrovert.core.ports import TimedSource

__all__ = ["Feeding"]

MAX_BATCH = 5_000


class _Open:
    """A source being read: the arrival that comes next, and the position after those taken."""

    def __init__(self, source: TimedSource, position: Position) -> None:
        self.source = source
        self.position = position
        self._arrivals: Iterator[Arrival] = source.read(position)
        self.next = next(self._arrivals, None)

    def take(self, now_us: int) -> list[Arrival]:
        """The arrivals of the next moment, if it has come, up to a batch."""
        taken: list[Arrival] = []
        first = self.next
        while (
            self.next is not None
            and first is not None
            and self.next.at_us <= now_us
            and self.next.at_us == first.at_us
            and len(taken) < MAX_BATCH
        ):
            taken.append(self.next)
            self.next = next(self._arrivals, None)
        if taken:
            last = taken[-1].position
            self.position = self.position + len(taken) if last is None else last
        return taken


class Feeding:
    """All timed sources of an engine."""

    def __init__(self, sources: Sequence[TimedSource], positions: Mapping[str, Position]) -> None:
        self._open = [_Open(source, positions.get(source.name, 0)) for source in sources]
        self._by_name = {one.source.name: one for one in self._open}

    def next_us(self) -> int | None:
        """When the next arrival is due."""
        due = [one.next.at_us for one in self._open if one.next is not None]
        return min(due) if due else None

    def take(self, now_us: int) -> tuple[str, list[Arrival], Position] | None:
        """The next arrivals that are due, of one source and moment: (source, arrivals, position after them)."""
        due = [one for one in self._open if one.next is not None and one.next.at_us <= now_us]
        if not due:
            return None
        first = min(due, key=lambda one: one.next.at_us if one.next is not None else 0)
        return first.source.name, first.take(now_us), first.position

    def heard(self, now_us: int) -> dict[str, int]:
        """When each timed source was last heard."""
        return {one.source.name: one.source.heard_us(now_us) for one in self._open}

    def heard_from(self, source: str, now_us: int) -> int | None:
        """When the timed source of this name was last heard; None where there is none."""
        one = self._by_name.get(source)
        return None if one is None else one.source.heard_us(now_us)

    def next_beat_us(self, names: Container[str], now_us: int) -> int | None:
        """When one of the sources of these names, that says so at intervals, may next say that it is there.

        One that has stalled is looked at as often as before.
        """
        beats: list[int] = []
        for one in self._open:
            every_us: int | None = getattr(one.source, "heartbeat_us", None)
            if one.source.name in names and every_us is not None:
                heard_us = one.source.heard_us(now_us)
                beats.append(now_us + every_us - (now_us - heard_us) % every_us)
        return min(beats, default=None)

    def heard_us(self, now_us: int) -> int:
        """When the source that was silent longest was last heard; now, where there is none."""
        return min([one.source.heard_us(now_us) for one in self._open]) if self._open else now_us
