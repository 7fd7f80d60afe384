"""Bounding: when a turn has been disturbed too often, or has taken too long."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import AskSent
from extrovert.engine.shard import Shard
from extrovert.turns.running import HOLD, Running
from extrovert.turns.waits import Approval, ApprovalAsked

__all__ = ["Bounds", "hold_asked", "said_of_hold"]

FEW = 64


class Bounds:
    """The deadlines of the running turns of one shard, and the number of times that they may be run again."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._due: list[tuple[int, str]] = []

    @property
    def any(self) -> bool:
        """Whether a turn has a deadline."""
        return bool(self._due)

    def begin(self, turn: Running) -> None:
        """A turn begins, or is let go on: from now on its deadline counts."""
        deadline_us = _deadline_us(turn)
        if deadline_us is not None and _free(turn):
            running = self.shard.fold.running
            if len(self._due) > 2 * len(running) + FEW:  # most of these turns have ended
                self._due = [due for due in self._due if due[1] in running]
                heapify(self._due)
            heappush(self._due, (deadline_us, turn.id))

    def late(self, turn: Running) -> bool:
        """Whether the turn's deadline has passed."""
        deadline_us = _deadline_us(turn)
        return deadline_us is not None and deadline_us <= self.shard.now_us

    def reached(self, turn: Running) -> bool:
        """Whether a turn that would ask anew because the world has changed has come to its bound."""
        return _free(turn) and (self.late(turn) or turn.reruns >= turn.agent.max_reruns)

    def next_us(self) -> int | None:
        """The next deadline."""
        running = self.shard.fold.running
        while self._due and self._due[0][1] not in running:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def overdue(self) -> Iterator[Running]:
        """Takes the turns whose deadline has passed."""
        while (due_us := self.next_us()) is not None and due_us <= self.shard.now_us:
            turn = self.shard.fold.running[heappop(self._due)[1]]
            if self.late(turn) and _free(turn) and turn.retry_at_us is None:
                yield turn


def _free(turn: Running) -> bool:
    """Whether it has not come to its bound before."""
    return not turn.positions and not turn.held


def _deadline_us(turn: Running) -> int | None:
    if turn.agent.deadline_us is None:
        return None
    released = [answer.at_us for place, answer in turn.answers.items() if place[0] == HOLD]
    return max([turn.wake.at_us, *released]) + turn.agent.deadline_us


def hold_asked(turn: Running, cause: str) -> AskSent:
    """The question to a person whether a turn that has come to its bound may go on."""
    times = sum(place[0] == HOLD for place in turn.answers)
    what = msgspec.Raw(canonical(f"{turn.id} has come to its bound: {cause}. May it go on?"))
    return AskSent(HOLD, times, "person", msgspec.Raw(canonical(ApprovalAsked(what))), "approval")


def said_of_hold(turn: Running) -> Approval | None:
    """What a person has said of a turn that was held, if nothing has come of it yet."""
    for place, answer in turn.answers.items():
        if place[0] == HOLD and answer.offset == turn.trail[-1]:
            return msgspec.json.decode(answer.value, type=Approval)
    return None
