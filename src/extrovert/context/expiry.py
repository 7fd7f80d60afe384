"""`before(t)`: the one read of time that views may make. It is true until t, and whoever read it is told at t."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Any

from extrovert.context.reads import Readable, Watcher, scope
from extrovert.core.time import to_us

__all__ = ["ExpiryState", "before"]

FEW = 64


def before(moment: datetime) -> bool:
    """Whether it is earlier than `moment`: a tracked read that expires then, in views and in turns."""
    here = scope()
    return here.look(here.context.expiry, to_us(moment))


class ExpiryState(Readable):
    """The moments that somebody waits for. The token of a moment is whether it lies ahead."""

    __slots__ = ("_moments", "now_us")

    def __init__(self) -> None:
        super().__init__("before", "clock")
        self.now_us = 0
        self._moments: list[int] = []

    def look(self, selector: Any) -> tuple[bool, bool]:
        ahead = self.now_us < selector
        return ahead, ahead

    def watch(self, selector: Any, watcher: Watcher) -> None:
        if selector not in self.watchers and selector > self.now_us:
            if len(self._moments) > 2 * len(self.watchers) + FEW:  # most are waited for no more
                self._moments = [moment for moment in self.watchers if moment > self.now_us]
                heapify(self._moments)
            heappush(self._moments, selector)
        super().watch(selector, watcher)

    def next_us(self) -> int | None:
        """The earliest moment ahead that somebody waits for."""
        while self._moments and self._moments[0] not in self.watchers:
            heappop(self._moments)
        return self._moments[0] if self._moments else None

    def expired(self) -> Iterator[dict[Watcher, None]]:
        """Takes the moments that have come off the list; gives those who wait for each."""
        while self._moments and self._moments[0] <= self.now_us:
            yield self.watchers.get(heappop(self._moments), {})
