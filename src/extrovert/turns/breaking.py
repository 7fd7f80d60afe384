"""Breaking: whether a model is asked at all, by how its latest asks ended: a circuit that opens, and is tried again.

Closed, it lets all through, until so many have failed within a span. Open, it lets none through for a while. Then, half
open, it lets one through: by how that ends it closes or opens again. (M. Nygard, Release It!, "Circuit Breaker".)
"""

from __future__ import annotations

from collections import deque

import msgspec

from extrovert.turns.limits import Breaker
from extrovert.turns.request import Place

__all__ = ["Circuit", "CircuitState"]

Ask = tuple[str, Place]


class CircuitState(msgspec.Struct):
    """A circuit in a snapshot."""

    failed_us: list[int]
    open_until_us: int | None = None
    probe: Ask | None = None


class Circuit:
    """The circuit of one model. `open_until_us` is None while it is closed; `probe` is the ask that tries it."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.open_until_us: int | None = None
        self.probe: Ask | None = None
        self._failed_us: deque[int] = deque()

    @property
    def open(self) -> bool:
        """Whether it is open or half open."""
        return self.open_until_us is not None

    def state(self, now_us: int) -> str:
        """closed, open or half open."""
        if self.open_until_us is None:
            return "closed"
        return "open" if now_us < self.open_until_us else "half open"

    def lets_through(self, now_us: int) -> bool:
        """Whether an ask may be sent now."""
        return self.open_until_us is None or (self.open_until_us <= now_us and self.probe is None)

    def next_us(self) -> int | None:
        """When it lets an ask through again; None: when its probe has ended."""
        return None if self.probe is not None else self.open_until_us

    def sent(self, ask: Ask) -> None:
        """An ask is sent: while the circuit is open, the one that tries it."""
        if self.open:
            self.probe = ask

    def ended(self, ask: Ask, at_us: int, good: bool | None) -> None:
        """An ask has ended, well or badly; None: nobody waited for its end."""
        if self.open:
            if ask != self.probe:
                return
            self.probe = None
            if good:
                self.open_until_us = None
            elif good is False:
                self.open_until_us = at_us + self.breaker.open_us
        elif good is False:
            self._failed_us.append(at_us)
            while self._failed_us[0] <= at_us - self.breaker.within_us:
                self._failed_us.popleft()
            if len(self._failed_us) >= self.breaker.failures:
                self._failed_us.clear()
                self.open_until_us = at_us + self.breaker.open_us

    def save(self) -> CircuitState:
        return CircuitState(list(self._failed_us), self.open_until_us, self.probe)

    def load(self, state: CircuitState) -> None:
        self._failed_us = deque(state.failed_us)
        self.open_until_us, self.probe = state.open_until_us, state.probe
