"""An event loop whose time is made up: when nothing is to be done now, it is at once the time of what is due next.

What an engine does in threads beside its loop is done in the loop, a little later; so an engine in real time lives here
through the same each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from selectors import DefaultSelector
from typing import Any
from zlib import crc32

from tests.sim.plan import BEGIN_US

__all__ = ["LoopClock", "MadeUpLoop"]

LATENCY_MS = [0, 0.2, 1, 3, 20]


class _Selector(DefaultSelector):
    """Waits for nothing: the time is then up."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.now_us += max(1, ceil(timeout * 1_000_000))
        return super().select(0)


class MadeUpLoop(asyncio.SelectorEventLoop):
    """The loop. `seed` decides how long work in threads takes."""

    def __init__(self, seed: int = 0) -> None:
        self._times = _Selector()
        super().__init__(self._times)
        self._seed = seed
        self._works = 0

    @property
    def now_us(self) -> int:
        return self._times.now_us

    def time(self) -> float:
        return self._times.now_us / 1_000_000

    def latency_s(self) -> float:
        """How long the next thing takes that is not the loop's."""
        self._works += 1
        return LATENCY_MS[crc32(f"{self._seed}|{self._works}".encode()) % len(LATENCY_MS)] / 1000

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        done: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except BaseException as error:
                done.set_exception(error)

        self.call_later(self.latency_s(), work)
        return done


class LoopClock:
    """A real clock, as far as an engine can tell: the loop's time, `behind_us` behind it."""

    virtual = False

    def __init__(self, loop: MadeUpLoop, behind_us: int = 0) -> None:
        self._loop = loop
        self._behind_us = behind_us

    def now_us(self) -> int:
        return BEGIN_US + max(0, self._loop.now_us - self._behind_us)

    def move_to(self, at_us: int) -> None:
        """It goes by itself."""

    def real_s(self, span_us: int) -> float:
        return max(0.0, span_us / 1_000_000)
