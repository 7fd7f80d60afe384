"""The feed: a source that brings events in order of time, says that it is there, and stalls."""

from __future__ import annotations

from extrovert import Arrival
from extrovert.connectors.replay import Replay
from tests.sim.plan import BEGIN_US, Happening, Plan
from tests.sim.program import Cell

__all__ = ["Feed"]

BEAT_US = 250_000


class Feed(Replay):
    """What a plan's feed brings. While it stalls it says nothing, and what it would have brought comes afterwards."""

    def __init__(self, plan: Plan) -> None:
        self._stalls = sorted(
            (BEGIN_US + one.from_ms * 1000, BEGIN_US + (one.from_ms + one.for_ms) * 1000) for one in plan.stalls
        )
        arrivals = [self._arrival(at_us, one) for at_us, one in plan.timed() if one.by == "feed"]
        super().__init__("feed", lambda: iter(arrivals), heartbeat_us=BEAT_US)

    def _arrival(self, at_us: int, one: Happening) -> Arrival:
        for begins_us, ends_us in self._stalls:
            if begins_us <= at_us < ends_us:
                at_us = ends_us
        data = None if one.value is None else Cell(one.key, one.group, one.value, one.id)
        return Arrival(at_us, one.stream, data, one.key)

    def heard_us(self, now_us: int) -> int:
        """The latest heartbeat."""
        heard_us = super().heard_us(now_us)
        for begins_us, ends_us in reversed(self._stalls):
            if begins_us <= heard_us < ends_us:
                heard_us = super().heard_us(begins_us - 1)
        return heard_us
