"""Moments: when an offset was, to the minute, so that a prompt can say how old a row is.

What is kept is the first offset of each minute in which anything happened, and of what is long past the first of each
hour: a few megabytes for years. A row that did not change has the same moment as before, but once, when its minute is
rounded to its hour.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["Moments", "SavedMoments"]

MINUTE_US = 60_000_000
HOUR = 60
MOST = 20_000
"""With so many minutes, about two weeks in which something always happens, the older half is rounded to hours."""

SavedMoments = tuple[Sequence[int], Sequence[int]]
"""The first offsets, and the minutes since 1970 in which they were."""


class Moments:
    """When offsets were, in one live context. A fold of the log, like all that is in it."""

    __slots__ = ("_begins", "_end", "_minutes")

    def __init__(self) -> None:
        self._begins = array("q")
        self._minutes = array("q")
        self._end = 1

    def passed(self, end: int, at_us: int) -> None:
        """The entry before the offset `end` was applied at `at_us`."""
        minute = at_us // MINUTE_US
        minutes = self._minutes
        if not minutes or minute > minutes[-1]:
            minutes.append(minute)
            self._begins.append(self._end)
            if len(minutes) >= MOST:
                self._round()
        self._end = end

    def at_us(self, offset: int) -> int | None:
        """The minute in which this offset was, in microseconds; None where that is not known any more."""
        place = bisect_right(self._begins, offset) - 1
        return self._minutes[place] * MINUTE_US if place >= 0 else None

    def _round(self) -> None:
        """Keeps of the older half the first of each hour."""
        half = len(self._minutes) // 2
        hours: dict[int, int] = {}
        for minute, offset in zip(self._minutes[:half], self._begins[:half], strict=True):
            hours.setdefault(minute // HOUR * HOUR, offset)
        self._minutes = array("q", [*hours, *self._minutes[half:]])
        self._begins = array("q", [*hours.values(), *self._begins[half:]])

    def save(self) -> SavedMoments:
        """What is a fold of the log."""
        return self._begins.tolist(), self._minutes.tolist()

    def load(self, saved: SavedMoments, end: int) -> None:
        """Takes up what was saved when `end` was the next offset."""
        self._begins, self._minutes = (array("q", one) for one in saved)
        self._end = end
