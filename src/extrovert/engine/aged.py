"""Aged: whether what a recorded wake's candidate reads was fresh enough then.

It is judged at the moment of the recorded end, by when the sources had been heard as the log tells, and as the recorded
decision noted of them.
"""

from __future__ import annotations

from typing import Any

from extrovert.core.log import Decided
from extrovert.engine.recorded import Recorded
from extrovert.turns.allowed import allowed_us, said_of, too_old
from extrovert.turns.attempt import Attempt
from extrovert.turns.declare import Agent

__all__ = ["Aged"]


class Aged:
    """What one candidate's attempts read that was too old. With a fallback, the next attempt is told: `silent`; else
    there is an `outcome`, and its `cause`."""

    def __init__(self, recorded: Recorded, agent: Agent[Any]) -> None:
        self.silent: tuple[str, ...] = ()
        self.outcome = ""
        self.cause = ""
        self._recorded = recorded
        self._agent = agent

    def more(self, attempt: Attempt) -> bool:
        """Whether the attempt read something too old that it has not been told of."""
        context, agent = self._recorded.fold.context, self._agent
        if agent.fresh_us is None and not attempt.turn.fresh_us:
            return False
        if agent.shadow and attempt.turn.memo.used:
            return False  # it goes on where it was, and takes what it finds
        allowed = allowed_us(context, agent, attempt)
        found = {stream: allowed[stream] for stream in too_old(context, allowed) if stream not in self.silent}
        if not found:
            return False
        if unknown := [stream for stream in found if not self._known(stream)]:
            self.outcome, self.cause = "missed", f"how old stream `{unknown[0]}` was then, the log does not tell"
        elif agent.stale == "fallback":
            self.silent = tuple(sorted((*self.silent, *found)))
        else:
            self.outcome = "stale" if agent.stale == "refuse" else "missed"
            held = "" if agent.stale == "refuse" else "held until it would have heard of its sources, since "
            self.cause = held + said_of(context, found, self._recorded.at_us)
        return True

    def _known(self, stream: str) -> bool:
        """Whether a source that seems to be silent was so. A turn that ended as stale had looked; of what no recorded
        decision read, heartbeats need not be in the log."""
        body = self._recorded.body
        return stream in body.heard if isinstance(body, Decided) else body.outcome == "stale"
