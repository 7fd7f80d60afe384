"""Rates: how many requests a client may send a minute. What is remembered of clients is bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["Rates"]

MINUTE_S = 60.0
REMEMBERED = 10_000


class Rates:
    """A client may send `per_minute` requests at once, and gets one back every so many seconds."""

    def __init__(
        self, per_minute: int, *, remembered: int = REMEMBERED, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._apart_s = MINUTE_S / per_minute
        self._remembered = remembered
        self._now = now
        self._free_at: OrderedDict[Hashable, float] = OrderedDict()
        """When all that a client has sent is forgotten; those who sent last come last."""

    def __len__(self) -> int:
        return len(self._free_at)

    def take(self, client: Hashable) -> float:
        """Counts a request of this client. Returns 0; or in how many seconds it may ask, and then does not count it."""
        now = self._now()
        free_at = max(self._free_at.get(client, now), now) + self._apart_s
        if free_at > now + MINUTE_S + self._apart_s / 2:  # half a request: rounding is no reason to refuse
            return free_at - now - MINUTE_S
        self._free_at[client] = free_at
        self._free_at.move_to_end(client)
        if len(self._free_at) > self._remembered:
            self._free_at.popitem(last=False)
        return 0.0
