"""Engine time: real, scaled, or virtual."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "RealClock", "VirtualClock", "wall_us"]


def wall_us() -> int:
    """Real microseconds from an arbitrary start, for measuring."""
    return time.perf_counter_ns() // 1000


class Clock(Protocol):
    """Gives the engine time. A virtual clock stands still until it is moved."""

    virtual: bool

    def now_us(self) -> int:
        """The engine time, never going back."""
        ...

    def move_to(self, at_us: int) -> None:
        """Puts the time forward, for a virtual clock; a real one is put to start there if it has not started."""
        ...

    def real_s(self, span_us: int) -> float:
        """How many real seconds `span_us` of engine time take."""
        ...


class VirtualClock:
    """A clock that is moved by the engine from one thing due to the next."""

    virtual = True

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def move_to(self, at_us: int) -> None:
        self._now_us = max(self._now_us, at_us)

    def real_s(self, span_us: int) -> float:
        return 0.0


class RealClock:
    """The time of day; with a `factor`, so many times faster and starting where it is put by `move_to`."""

    virtual = False

    def __init__(self, factor: float | None = None) -> None:
        self._factor = 1.0 if factor is None else factor
        self._start_us: int | None = time.time_ns() // 1000 if factor is None else None
        self._began_us = wall_us()

    def now_us(self) -> int:
        if self._start_us is None:
            return 0
        return self._start_us + round((wall_us() - self._began_us) * self._factor)

    def move_to(self, at_us: int) -> None:
        if self._start_us is None:
            self._start_us, self._began_us = at_us, wall_us()

    def real_s(self, span_us: int) -> float:
        return max(0.0, span_us / self._factor / 1_000_000)
