"""Sending: what turns ask is started when it may be, and answered when its moment comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from extrovert.engine.calls import Calls, Outcome
from extrovert.engine.limiting import Admission, Limiting
from extrovert.engine.shard import Call, Shard
from extrovert.engine.timing import Timing, end_of_wait
from extrovert.engine.writing import Writing
from extrovert.turns.running import WAITS

__all__ = ["Sending", "wanted"]


class Sending:
    """Takes what a shard wants asked to where it is answered: `timing` for what has its moment, `calls` for real work.

    A request that counts for a limit leaves when that is durable, so that no crash makes it forgotten.
    """

    def __init__(
        self,
        shard: Shard,
        calls: Calls,
        timing: Timing,
        limiting: Limiting,
        writing: Writing,
        done: Callable[[Outcome], None],
        *,
        virtual: bool,
    ) -> None:
        self.shard = shard
        self.calls = calls
        self.timing = timing
        self.limiting = limiting
        self.writing = writing
        self._done = done
        self._virtual = virtual
        self._to_be_durable: deque[Admission] = deque()

    @property
    def waits(self) -> bool:
        """Whether a call is to leave as soon as something is durable."""
        return bool(self._to_be_durable)

    def step(self) -> None:
        """Cancels what nobody waits for any more, and starts what may be."""
        for turn, place in self.shard.cancelled:
            self.calls.cancel(turn, place)
        self.shard.cancelled.clear()
        calls, self.shard.calls = self.shard.calls, []
        for call in calls:
            if self._in_flight(call):
                self._begin(call)
        self._to_be_durable.extend(one for one in self.limiting.admitted() if not self._timed(one.call))
        if self._virtual and self._to_be_durable:
            self.writing.flush()
        while self._to_be_durable and self._to_be_durable[0].offset <= self.writing.durable:
            call = self._to_be_durable.popleft().call
            if wanted(self.shard, call):
                self.calls.start(call, self._done)

    def _in_flight(self, call: Call) -> bool:
        running = self.shard.fold.running.get(call.turn)
        return running is not None and call.place in running.calls

    def _begin(self, call: Call) -> None:
        if call.request.kind in WAITS:
            due_us = end_of_wait(call.request)
            if due_us is not None:
                self.timing.add(due_us, call)
            return
        if self.limiting.limits(call):
            going_on = self.limiting.add(call)
            if going_on is None:
                return
            call = going_on
        if not self._timed(call):
            self.calls.start(call, self._done)

    def _timed(self, call: Call) -> bool:
        """Whether the call is answered at a moment that is known: then it is put down for that."""
        due_us = self.calls.due_us(call)
        if due_us is not None:
            self.timing.add(due_us, call)
        return due_us is not None


def wanted(shard: Shard, call: Call) -> bool:
    """Whether a call has not been cancelled, and perhaps sent anew since."""
    turn = shard.fold.running.get(call.turn)
    sent = None if turn is None else turn.calls.get(call.place)
    return sent is not None and sent[1] == call.at_us
