"""Timing: the calls whose answer comes at a moment that is known: a policy's thought, a wait with an end."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import msgspec

from extrovert.core.ids import canonical
from extrovert.engine.shard import Call
from extrovert.turns.request import Request
from extrovert.turns.waits import Approval, ApprovalAsked, Awaited, Sleep

__all__ = ["Timing", "end_of_wait", "time_ran_out"]

FEW = 64
_Due = tuple[int, str, tuple[str, int], int, Call]


class Timing:
    """Calls in order of the moments at which they are answered. One that is not `wanted` any more is passed over."""

    def __init__(self, wanted: Callable[[Call], bool]) -> None:
        self._wanted = wanted
        self._due: list[_Due] = []
        self._look_at = FEW
        self._number = 0

    def add(self, due_us: int, call: Call) -> None:
        """`call` is answered at `due_us`."""
        if len(self._due) >= self._look_at:
            self._due = [due for due in self._due if self._wanted(due[-1])]
            heapify(self._due)
            self._look_at = FEW + 2 * len(self._due)
        self._number += 1
        heappush(self._due, (due_us, call.turn, call.place, self._number, call))

    def next_us(self) -> int | None:
        """The moment of the next answer."""
        while self._due and not self._wanted(self._due[0][-1]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def take(self, now_us: int) -> Call | None:
        """The next call whose moment has come."""
        next_us = self.next_us()
        return heappop(self._due)[-1] if next_us is not None and next_us <= now_us else None


def end_of_wait(request: Request) -> int | None:
    """When a wait for the clock, an event or a person is over in any case; None: never."""
    about: Sleep | Awaited | ApprovalAsked = request.about
    return about.until_us


def time_ran_out(request: Request) -> msgspec.Raw:
    """The answer to a wait that nothing and nobody has answered until its end."""
    about: Sleep | Awaited | ApprovalAsked = request.about
    return msgspec.Raw(canonical(Approval(about.otherwise) if isinstance(about, ApprovalAsked) else None))
