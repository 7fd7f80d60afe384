"""The outbox: effects from their intent to their end, as a fold of the log.

intended → performing → settled | failed | unknown | withdrawn. `performing` is durable before the act, so that after a
crash exactly those that were in flight are `unknown`, and each is dealt with as its effect declares.

Effects stand in lines, in the order of their decisions, and one begins when it is first in each of its lines: that of
its agent and key, one that it declares, and that of its `once` key. An undo is put before all that have not begun.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from typing import Any

import msgspec

from extrovert.core.log import Decided, EffectMoved, EffectStep, GuardNote, UndoIntent
from extrovert.core.record import Record
from extrovert.turns.chain import OUTSIDE, Cause, after

__all__ = ["ENDS", "UNDO", "Claim", "Done", "Outbox", "OutboxState", "Pending"]

ENDS = frozenset({"settled", "failed", "withdrawn"})
UNDO = "/undo"
MOST_FAILED = 1_000
"""How many of those that came to a bad end are kept to be listed; the log has all."""
MOST_UNDONE = 1_000
"""Of so many decisions that were taken back it is known that they were."""


class Pending(Record, omit_defaults=True):
    """An effect that has not come to its end; `key` is its idempotency key, `turn/slot`.

    `turn` is the decision, `agent` and `of` its agent and key. It is `unclear` where an earlier try may have acted.
    `looks` counts the look-ups since. An undo has the key of what it `undoes`, and the outcome of that. `cause` is the
    chain of decisions that it ends.
    """

    key: str
    effect: str
    args: msgspec.Raw
    offset: int
    since_us: int
    state: str = "intended"
    tries: int = 0
    retry_at_us: int | None = None
    turn: str = ""
    agent: str = ""
    of: Any = None
    looks: int = 0
    unclear: bool = False
    error: str = ""
    guard: GuardNote | None = None
    once: str = ""
    horizon_us: int = 0
    step: bool = True
    lines: list[str] = []
    undo: str = ""
    undoes: str = ""
    outcome: msgspec.Raw = msgspec.Raw(b"null")
    cause: Cause = OUTSIDE


class Claim(Record):
    """A `once` key that is taken, by the settled effect `by`, until a moment."""

    by: str
    outcome: msgspec.Raw
    until_us: int


class Done(Record):
    """A settled effect that can be undone, until a moment."""

    pending: Pending
    outcome: msgspec.Raw
    until_us: int


class OutboxState(msgspec.Struct):
    """What a snapshot keeps of an outbox."""

    pending: list[Pending] = []
    lines: dict[str, list[str]] = {}
    claims: dict[str, Claim] = {}
    done: dict[str, list[Done]] = {}
    unwinding: dict[str, bool] = {}
    started_us: dict[str, int] = {}
    failed: list[Pending] = []
    undone: list[str] = []


class Outbox:
    """The effects that are not at their end, by key, in the order of their intents.

    `claims` are the `once` keys that are taken, `done` what can be undone, by decision. A decision that is `unwinding`
    is taken back: all of it (True), or, since a step of it came to a bad end, its steps. `started_us` is when each
    effect was last begun, `acting` how many of each are performing, `undone` the latest decisions that were to be taken
    back. `freed` collects those that became first in a line.
    """

    def __init__(self) -> None:
        self.pending: dict[str, Pending] = {}
        self.lines: dict[str, list[str]] = {}
        self.claims: dict[str, Claim] = {}
        self.done: dict[str, list[Done]] = {}
        self.unwinding: dict[str, bool] = {}
        self.started_us: dict[str, int] = {}
        self.failed: dict[str, Pending] = {}
        self.undone: dict[str, None] = {}
        self.acting: Counter[str] = Counter()
        self.freed: list[str] = []
        self._by_turn: dict[str, dict[str, None]] = {}
        self._fading: list[tuple[int, str, str]] = []

    # ---- applying the log

    def intend(self, decision: Decided, offset: int, at_us: int) -> list[Pending]:
        """Takes up the intents of a decision, and begins to take back those decisions that it undoes."""
        self._fade(at_us)
        taken: list[Pending] = []
        cause = after(decision.agent, decision.wake) if decision.effects else OUTSIDE
        for intent in decision.effects:
            lines = [f"{decision.agent}:{decision.key}"] if intent.in_order else []
            lines += [intent.order] if intent.order else []
            lines += [_once(intent.effect, intent.once)] if intent.once else []
            pending = Pending(
                f"{decision.turn}/{intent.slot}",
                intent.effect,
                intent.args,
                offset,
                at_us,
                turn=decision.turn,
                agent=decision.agent,
                of=decision.key,
                guard=intent.guard,
                once=intent.once,
                horizon_us=intent.horizon_us,
                step=intent.in_order,
                lines=lines,
                undo=intent.undo,
                cause=cause,
            )
            self._add(pending)
            for line in lines:
                self.lines.setdefault(line, []).append(pending.key)
            taken.append(pending)
        for turn in decision.undoes:
            self._unwind_from_now_on(turn, whole=True)
        return taken

    def step(self, body: EffectStep, offset: int, at_us: int) -> list[Pending]:
        """Applies steps; returns the undos that begin."""
        for move in body.moves:
            self.move(move, at_us)
        undos = [self._undo(undo, offset, at_us) for undo in reversed(body.undos)][::-1]
        for turn in [turn for turn in self.unwinding if not self._left(turn)]:
            del self.unwinding[turn]
        return undos

    def move(self, move: EffectMoved, at_us: int) -> Pending | None:
        """Applies one step; returns the effect as it now is, or None where it is at its end."""
        self._fade(at_us)
        pending = self.pending[move.key]
        self.acting[pending.effect] -= pending.state == "performing"
        if move.state in ENDS and move.retry_at_us is None:
            self._end(pending, move, at_us)
            return None
        changes: dict[str, Any] = {"state": move.state, "since_us": at_us, "retry_at_us": move.retry_at_us}
        changes["error"] = move.error
        if move.state == "performing":
            changes["tries"] = pending.tries + 1
            self.acting[pending.effect] += 1
            self.started_us[pending.effect] = at_us
        elif move.state == "unknown":
            changes |= {"unclear": True, "looks": pending.looks + (pending.state == "unknown")}
        else:
            changes |= {"unclear": False, "looks": 0}
        pending = self.pending[move.key] = pending.but(**changes)
        return pending

    def _add(self, pending: Pending) -> None:
        self.pending[pending.key] = pending
        self._by_turn.setdefault(pending.turn, {})[pending.key] = None

    def _end(self, pending: Pending, move: EffectMoved, at_us: int) -> None:
        key, turn = pending.key, pending.turn
        del self.pending[key]
        for line in pending.lines:
            waiting = self.lines[line]
            waiting.remove(key)
            if waiting:
                self.freed.append(waiting[0])
            else:
                del self.lines[line]
        if move.state == "settled":
            self._settled(pending, move, at_us)
        else:
            self.failed[key] = pending.but(state=move.state, since_us=at_us, error=move.error, retry_at_us=None)
            if len(self.failed) > MOST_FAILED:
                del self.failed[next(iter(self.failed))]
        del self._by_turn[turn][key]
        if move.state != "settled" and pending.step and not pending.undoes:
            self._unwind_from_now_on(turn, whole=False)
        if not self._by_turn[turn]:
            del self._by_turn[turn]
            self._forget(turn, at_us)

    def _settled(self, pending: Pending, move: EffectMoved, at_us: int) -> None:
        place = _once(pending.effect, pending.once)
        until_us = at_us + pending.horizon_us
        if pending.undoes:
            undone = self.claims.get(pending.once)
            if undone is not None and undone.by == pending.undoes:
                del self.claims[pending.once]
            return
        if move.of:
            return
        if pending.once:
            self.claims[place] = Claim(pending.key, move.outcome, until_us)
            heappush(self._fading, (until_us, "claim", place))
        if pending.undo:
            self.done.setdefault(pending.turn, []).append(Done(pending, move.outcome, until_us))
            heappush(self._fading, (until_us, "done", pending.turn))

    def _undo(self, undo: UndoIntent, offset: int, at_us: int) -> Pending:
        """An undo begins: it stands in the lines of what it undoes, before all that have not begun."""
        undoes = undo.key.removesuffix(UNDO)
        turn = undoes.rpartition("/")[0]
        done = next(done for done in self.done[turn] if done.pending.key == undoes)
        was = done.pending
        self.done[turn].remove(done)
        if not self.done[turn]:
            del self.done[turn]
        once = _once(was.effect, was.once) if was.once else ""
        pending = Pending(
            undo.key, undo.effect, undo.args, offset, at_us, turn=turn, agent=was.agent, of=was.of, once=once,
            step=was.step, lines=was.lines, undoes=undoes, outcome=done.outcome, cause=was.cause,
        )  # fmt: skip
        self._add(pending)
        for line in pending.lines:
            waiting = self.lines.setdefault(line, [])
            begun = next((n for n, key in enumerate(waiting) if not self.pending[key].tries), len(waiting))
            waiting.insert(begun, pending.key)
        return pending

    # ---- taking back

    def _unwind_from_now_on(self, turn: str, *, whole: bool) -> None:
        """A decision is to be taken back, if anything of it is left to be."""
        if whole:
            self.undone[turn] = None
            if len(self.undone) > MOST_UNDONE:
                del self.undone[next(iter(self.undone))]
        before = self.unwinding.get(turn)
        self.unwinding[turn] = whole or bool(before)
        if before is None and not self._left(turn):
            del self.unwinding[turn]

    def _left(self, turn: str) -> bool:
        """Whether something of an unwinding decision is neither at its end nor taken back."""
        return bool(self._open(turn) or self._undoable(turn))

    def _open(self, turn: str) -> list[Pending]:
        whole = self.unwinding[turn]
        found = [self.pending[key] for key in self._by_turn.get(turn, ())]
        return [one for one in found if not one.undoes and (whole or one.step)]

    def _undoable(self, turn: str) -> list[Done]:
        whole = self.unwinding[turn]
        return [done for done in self.done.get(turn, ()) if whole or done.pending.step]

    def unwound(self) -> EffectStep | None:
        """What is to be done next for the decisions that are taken back; None: nothing.

        What has not been performed is withdrawn; when nothing of a decision is open any more, its settled effects are
        undone, the latest first.
        """
        step = EffectStep([], [])
        for turn, whole in self.unwinding.items():
            open_ones = self._open(turn)
            idle = [one for one in open_ones if one.state in ("intended", "failed")]
            why = "its decision is undone" if whole else "another effect of its decision came to a bad end"
            step.moves.extend(EffectMoved(one.key, "withdrawn", error=why) for one in idle)
            if len(idle) == len(open_ones):
                undoable = sorted(self._undoable(turn), key=lambda done: _slot(done.pending.key), reverse=True)
                step.undos.extend(UndoIntent(d.pending.key + UNDO, d.pending.undo, d.pending.args) for d in undoable)
        return step if step.moves or step.undos else None

    # ---- looking

    def knows(self, decision: str) -> bool:
        """Whether there is something of a decision that can be taken back, or has been, or has come to a bad end."""
        known = decision in self._by_turn or decision in self.done or decision in self.undone
        return known or any(failed.turn == decision for failed in self.failed.values())

    def may_begin(self, pending: Pending) -> bool:
        """Whether it is first in each of its lines."""
        return all(self.lines[line][0] == pending.key for line in pending.lines)

    def ahead(self, pending: Pending) -> str:
        """The key of an effect that has to come to its end before; "" where there is none."""
        return next((self.lines[line][0] for line in pending.lines if self.lines[line][0] != pending.key), "")

    def claimed(self, pending: Pending, now_us: int) -> Claim | None:
        """The claim of an earlier effect on the same `once` key."""
        if not pending.once or pending.undoes:
            return None
        claim = self.claims.get(_once(pending.effect, pending.once))
        return claim if claim is not None and claim.until_us > now_us else None

    # ---- forgetting

    def _fade(self, at_us: int) -> None:
        while self._fading and self._fading[0][0] <= at_us:
            _, kind, name = heappop(self._fading)
            if kind == "done":
                if name not in self._by_turn:
                    self._forget(name, at_us)
            elif (claim := self.claims.get(name)) is not None and claim.until_us <= at_us:
                del self.claims[name]

    def _forget(self, turn: str, at_us: int) -> None:
        """Of a decision that is at its end, forgets what is too old to be undone."""
        if turn in self.done and turn not in self.unwinding:
            kept = [done for done in self.done[turn] if done.until_us > at_us]
            if kept:
                self.done[turn] = kept
            else:
                del self.done[turn]

    # ---- snapshots

    def save(self) -> OutboxState:
        return OutboxState(
            list(self.pending.values()),
            {line: list(keys) for line, keys in self.lines.items()},
            dict(self.claims),
            {turn: list(done) for turn, done in self.done.items()},
            dict(self.unwinding),
            dict(self.started_us),
            list(self.failed.values()),
            list(self.undone),
        )

    def load(self, state: OutboxState) -> None:
        for pending in state.pending:
            self._add(pending)
            self.acting[pending.effect] += pending.state == "performing"
        self.lines, self.claims, self.done = state.lines, state.claims, state.done
        self.unwinding, self.started_us = state.unwinding, state.started_us
        self.failed = {pending.key: pending for pending in state.failed}
        self.undone = dict.fromkeys(state.undone)
        self._fading = [(claim.until_us, "claim", place) for place, claim in self.claims.items()]
        self._fading += [(one.until_us, "done", turn) for turn, done in self.done.items() for one in done]
        self._fading.sort()


def _once(effect: str, key: str) -> str:
    """The line of a `once` key, which is also the place of its claim."""
    return f"{effect}#{key}"


def _slot(key: str) -> int:
    return int(key.rpartition("/")[2])
