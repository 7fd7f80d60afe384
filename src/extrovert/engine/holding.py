"""Holding: turns that read what is older than their agents allow, until its sources are heard again.

Before anything leaves an attempt, its asks or its decision, the sources of all that it has read must have been heard
within the time that its agent declares, or that the turn has asked for. Else the turn is held, ends, or is run by the
agent's fallback.
"""

from __future__ import annotations

from collections.abc import Callable

from extrovert.context.reads import ReadSet, changed
from extrovert.core.log import Attempted
from extrovert.engine.ending import end
from extrovert.engine.shard import Shard
from extrovert.turns.allowed import allowed_us, said_of, too_old
from extrovert.turns.attempt import Attempt
from extrovert.turns.ledger import named
from extrovert.turns.running import Running

__all__ = ["Holding"]

NewAttempt = Callable[[tuple[str, ...]], Attempt]
"""Makes an attempt that knows of streams that have been silent for too long."""


class Holding:
    """What one shard's turns have read, compared with what they may read."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._context = shard.fold.context

    def run(self, turn: Running, new: NewAttempt, why: str, stale: list[str]) -> Attempt | None:
        """An attempt that has run, over what is fresh enough or by the fallback. None: the turn is held, or has ended.

        Agents that are shown a copy of the world, or run unvalidated, take what they get.
        """
        attempt = self.looked(turn, new)
        if turn.agent.stale == "fallback" or not (silent := self._silent(turn, attempt)):
            return attempt
        attempt.drop()
        if turn.agent.stale == "refuse":
            end(self.shard, turn, "stale", said_of(self._context, silent, self.shard.now_us))
        else:
            self._hold(turn, attempt, silent, why, stale)
        return None

    def looked(self, turn: Running, new: NewAttempt) -> Attempt:
        """An attempt that has run; where what it reads is too old and the agent has a fallback, by that."""
        silent: tuple[str, ...] = ()
        while True:
            attempt = new(silent)
            attempt.run()
            more = self._silent(turn, attempt).keys() - set(silent) if turn.agent.stale == "fallback" else ()
            if not more:
                return attempt
            attempt.drop()
            silent = tuple(sorted({*silent, *more}))

    def held_still(self, turn: Running, attempt: Attempt) -> bool:
        """Whether a turn that was held before a restart, with no call in flight, is so for the same reason, and goes on
        waiting."""
        silent = self._silent(turn, attempt) if turn.silent and not turn.calls else {}
        if not silent or tuple(silent) != turn.silent:
            return False
        attempt.drop()
        self._watch(turn, attempt, silent)
        return True

    def changed(self, turn: Running) -> list[str]:
        """The names of what the turn has read that has changed since; not, of one that is held, what it waits for."""
        return [named(of, at) for of, at in changed(turn.reads) if not (turn.silent and of.kind == "fresh")]

    def why(self, turn: Running) -> str:
        """Why a turn whose reads have changed is run again."""
        held = turn.silent and any(of.kind == "fresh" for of, _ in changed(turn.reads))
        return "heard" if held else "changed"

    def _silent(self, turn: Running, attempt: Attempt) -> dict[str, int]:
        """The streams that have been silent for longer than they may, and how long they may; heartbeats count."""
        if turn.agent.fresh_us is None and not attempt.turn.fresh_us:
            return {}
        if not self.shard.options.validate or attempt.scope.copy is not None:
            return {}
        allowed = allowed_us(self._context, turn.agent, attempt)
        if found := too_old(self._context, allowed):
            self.shard.hear(found, self.shard.now_us)
        return {stream: allowed[stream] for stream in too_old(self._context, allowed, found)}

    def _hold(self, turn: Running, attempt: Attempt, silent: dict[str, int], why: str, stale: list[str]) -> None:
        """Nothing is asked, and what is in flight goes on, until the sources are heard or what was read changes."""
        lost, turn.lost = turn.lost, frozenset()
        if tuple(silent) != turn.silent or lost:
            body = Attempted(
                turn=turn.id,
                agent=turn.agent.name,
                key=turn.key,
                attempt=turn.attempt,
                why=why,
                changed=stale,
                cancelled=[place[0] for place in lost],
                refused=attempt.refused,
                wake=None if turn.trail else turn.wake,
                silent=list(silent),
            )
            self.shard.log(body, lambda offset: self.shard.fold.attempted(body, offset, self.shard.now_us))
        else:
            turn.attempt -= 1  # it is where it was
        self._watch(turn, attempt, silent)

    def _watch(self, turn: Running, attempt: Attempt, silent: dict[str, int]) -> None:
        turn.asked = attempt.turn.memo.asked
        reads: ReadSet = {} if turn.positions else dict(attempt.scope.taken)
        for stream, limit_us in silent.items():
            reads[self._context.freshness.state(stream), limit_us] = False
        turn.watch(reads)
