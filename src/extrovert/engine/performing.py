"""Performing effects: only what is durable, each marked as performing, durably, before it is acted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from extrovert.context.reads import Scope, reading
from extrovert.core.log import EffectMoved
from extrovert.engine.acting import Acting
from extrovert.engine.gates import Gates
from extrovert.engine.shard import Shard
from extrovert.turns.declare import Effect
from extrovert.turns.guards import Guard, written
from extrovert.turns.outbox import Pending

__all__ = ["CRASHED", "Performing"]

CRASHED = "the engine stopped meanwhile"


class Performing:
    """Takes effects from intent to outcome. The host says what is durable, and runs `perform` for what is `ready`.

    An effect takes each of its two steps when the entry before it is durable. In virtual time that is at the end of the
    window of `window_us` in which the entry was made: a group commit there too, and always at the same times.
    """

    def __init__(
        self,
        shard: Shard,
        effects: Mapping[str, Effect[Any]],
        window_us: int,
        guards: Iterable[Guard[Any]] = (),
    ) -> None:
        self.shard = shard
        self.effects = effects
        self.window_us = window_us
        self.acting: dict[str, Pending] = {}
        self._outbox = shard.fold.outbox
        self._guards = {guard.name: guard for guard in guards}
        self._gates = Gates(effects, self._outbox)
        self._intended: deque[tuple[int, int, str]] = deque()
        self._marked: deque[tuple[int, int, str]] = deque()
        self._retries: list[tuple[int, str]] = []
        self._in_line: set[str] = set()
        self._to_look_up: list[Pending] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is under way. What waits for a person or for its next look-up is not."""
        if self._intended or self._marked or self._to_look_up or self.acting or not self._gates.empty:
            return False
        pending = self._outbox.pending
        return not any(key in pending and not pending[key].looks for _, key in self._retries)

    @property
    def still(self) -> bool:
        """Whether there is nothing to mark, to perform or to look up, now or later."""
        return not (
            self.shard.fold.intents
            or self._intended
            or self._marked
            or self._retries
            or self._to_look_up
            or self._outbox.unwinding
            or self._outbox.freed
            or not self._gates.empty
        )

    def take_intents(self) -> None:
        """Takes up what decisions have intended since the last call."""
        intents = self.shard.fold.intents
        if intents:
            self._intended.extend((self._due_us(p.since_us), p.offset, p.key) for p in intents)
            intents.clear()

    def recover(self) -> None:
        """After a replay: what was performing is unknown, and goes on as its effect declares; the rest goes on."""
        fold = self.shard.fold
        fold.intents.clear()
        self._outbox.freed.clear()
        lost = [p for p in self._outbox.pending.values() if p.state == "performing"]
        if lost:
            moves = [EffectMoved(p.key, "unknown", error=CRASHED, retry_at_us=self._safe_at_us(p)) for p in lost]
            self.shard.move_effects(moves)
        for pending in self._outbox.pending.values():
            if pending.retry_at_us is not None:
                self._retries.append((pending.retry_at_us, pending.key))
            elif pending.state == "intended":
                self._intended.append((self._due_us(pending.since_us), pending.offset, pending.key))

    def _safe_at_us(self, pending: Pending) -> int | None:
        """When an effect whose outcome is unknown may go on; None: never by itself."""
        effect = self.effects.get(pending.effect)
        if effect is None:
            return None
        safe = effect.reconcile is not None or (effect.idempotent and pending.tries < effect.max_tries)
        return self.shard.now_us if safe else None

    def _due_us(self, since_us: int) -> int:
        """When the step after an entry of `since_us` is due."""
        return since_us - since_us % self.window_us + self.window_us if self.window_us else since_us

    def next_us(self) -> int | None:
        """When the next step is due, were it durable."""
        moments = [queue[0][0] for queue in (self._intended, self._marked) if queue]
        moments += [at_us for at_us, _ in self._retries]
        gated_us = self._gates.next_us(self.shard.now_us)
        if gated_us is not None:
            moments.append(gated_us)
        return min(moments, default=None)

    def wants_durable(self, now_us: int) -> int:
        """The offset up to which the log has to be durable for the steps that are due at `now_us`; 0 for none."""
        wanted = 0
        for queue in (self._intended, self._marked):
            for due_us, offset, _ in queue:
                if due_us > now_us:
                    break
                wanted = max(wanted, offset)
        return wanted

    # ---- beginning

    def mark(self, now_us: int, durable: int) -> None:
        """Marks as performing what is due and durable, first in its lines, within its limits, and guarded by nothing
        that does not hold."""
        self._unwind()
        keys = [key for at_us, key in self._retries if at_us <= now_us]
        if keys:
            self._retries = [retry for retry in self._retries if retry[0] > now_us]
        while self._intended and self._intended[0][0] <= now_us and self._intended[0][1] <= durable:
            keys.append(self._intended.popleft()[2])
        while True:
            keys += self._freed()
            moves = self._moves(self._gates.take(now_us), keys, now_us)
            if not moves:
                return
            offset, due_us = self.shard.fold.end, self._due_us(now_us)
            self.shard.move_effects(moves)
            self._marked.extend((due_us, offset, move.key) for move in moves if move.state == "performing")
            self._unwind()
            keys = []

    def _unwind(self) -> None:
        """Withdraws and undoes what is to be taken back."""
        while self._outbox.unwinding and (step := self._outbox.unwound()) is not None:
            self.shard.step_effects(step)
        self.take_intents()

    def _freed(self) -> list[str]:
        """Those that stood in line, and are first now."""
        freed, self._outbox.freed = self._outbox.freed, []
        found = [key for key in dict.fromkeys(freed) if key in self._in_line]
        self._in_line.difference_update(found)
        return found

    def _moves(self, first: list[str], keys: list[str], now_us: int) -> list[EffectMoved]:
        """The steps of those that may begin, the `first` before others. The rest are put where they wait."""
        moves: list[EffectMoved] = []
        begun: Counter[str] = Counter()
        for key in dict.fromkeys([*first, *keys]):
            pending = self._outbox.pending.get(key)
            if pending is None or pending.state == "performing" or key in self.acting:
                continue
            effect = self.effects.get(pending.effect)
            if pending.state == "unknown" and effect is not None and effect.reconcile is not None:
                self._to_look_up.append(pending)
            elif not self._outbox.may_begin(pending):
                self._in_line.add(key)
            elif (move := self._without_acting(pending, now_us)) is not None:
                moves.append(move)
            elif self._gates.passes(pending, now_us, begun[pending.effect], next_one=key in first):
                begun[pending.effect] += 1
                moves.append(EffectMoved(key, "performing"))
        return moves

    def _without_acting(self, pending: Pending, now_us: int) -> EffectMoved | None:
        """How an effect goes on that is not to be performed: an earlier one has done it, or its guard does not hold."""
        claim = self._outbox.claimed(pending, now_us)
        if claim is not None:
            return EffectMoved(pending.key, "settled", claim.outcome, of=claim.by)
        broken = self._broken(pending)
        if not broken:
            return None
        if pending.unclear:
            return EffectMoved(pending.key, "unknown", error=f"{broken}, and an earlier try may have acted")
        return EffectMoved(pending.key, "withdrawn", error=broken)

    def _broken(self, pending: Pending) -> str:
        """Why the guard of an effect does not let it begin now; "" where it does."""
        note = pending.guard
        if note is None:
            return ""
        guard = self._guards.get(note.guard)
        if guard is None:
            return f"there is no guard `{note.guard}` any more"
        try:
            with reading(Scope(self.shard.fold.context, f"guard `{note.guard}`")):
                return "" if guard.holds(note.args) else f"guard `{written(note)}` does not hold"
        except Exception as error:
            return f"guard `{written(note)}` raised {type(error).__name__}: {error}"

    # ---- acting

    def ready(self, now_us: int, durable: int) -> list[Pending]:
        """Takes off the list what may be acted, or looked up, now."""
        found, self._to_look_up = self._to_look_up, []
        while self._marked and self._marked[0][0] <= now_us and self._marked[0][1] <= durable:
            found.append(self._outbox.pending[self._marked.popleft()[2]])
        self.acting.update((one.key, one) for one in found)
        return found

    async def perform(self, pending: Pending) -> EffectMoved:
        """Acts or looks up, and says what came of it. Never raises."""
        effect = self.effects.get(pending.effect)
        if effect is None:
            state = "unknown" if pending.unclear else "failed"
            return EffectMoved(pending.key, state, error=f"there is no effect `{pending.effect}` any more")
        acting = Acting(effect, self.shard.options.seed)
        outcome, error = await acting.perform(pending)
        follow = acting.looked if pending.state == "unknown" else acting.tried
        return follow(pending, outcome, error, self.shard.now_us)

    def settle(self, moves: list[EffectMoved]) -> None:
        """Notes outcomes; not of what has been settled meanwhile by a person."""
        acted = [(move, self.acting.pop(move.key, None)) for move in moves]
        present = [move for move, pending in acted if self._outbox.pending.get(move.key) is pending is not None]
        if present:
            self.shard.move_effects(present)
            for move in present:
                self.moved(move)

    def moved(self, move: EffectMoved) -> None:
        """A step was noted; it may have to go on later."""
        if move.retry_at_us is not None:
            self._retries.append((move.retry_at_us, move.key))
