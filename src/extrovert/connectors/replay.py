"""Replay: recorded or made-up events handed over at the times that they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from extrovert.core.event import Arrival

__all__ = ["Replay"]


class Replay:
    """A source that reads `arrivals()`, an iterator in order of time that is the same each time it is made.

    It says that it is still there every `heartbeat_us`, as a live feed would.
    """

    def __init__(self, name: str, arrivals: Callable[[], Iterator[Arrival]], *, heartbeat_us: int = 1_000_000) -> None:
        self.name = name
        self._arrivals = arrivals
        self.heartbeat_us = heartbeat_us

    def read(self, position: int) -> Iterator[Arrival]:
        """The arrivals after the first `position` ones."""
        return islice(self._arrivals(), position, None)

    def heard_us(self, now_us: int) -> int:
        """The latest heartbeat."""
        return now_us - now_us % self.heartbeat_us
