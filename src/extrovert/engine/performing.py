"""Performing effects: only what is durable, each marked as performing, durably, before it is acted."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from extrovert.core.errors import PermanentError, TransientError
from extrovert.core.ids import canonical
from extrovert.core.log import EffectMoved
from extrovert.engine.shard import Shard
from extrovert.turns.declare import Effect
from extrovert.turns.outbox import Pending

__all__ = ["Performing"]

RETRY_US = 1_000_000


class Performing:
    """Takes effects from intent to outcome. The host says what is durable, and runs `perform` for what is `ready`.

    An effect takes each of its two steps when the entry before it is durable. In virtual time that is at the end of the
    window of `window_us` in which the entry was made: a group commit there too, and always at the same times.
    """

    def __init__(self, shard: Shard, effects: Mapping[str, Effect[Any]], window_us: int) -> None:
        self.shard = shard
        self.effects = effects
        self.window_us = window_us
        self._intended: deque[tuple[int, int, str]] = deque()
        self._marked: deque[tuple[int, int, str]] = deque()
        self._retries: list[tuple[int, str]] = []
        self.acting: set[str] = set()

    @property
    def idle(self) -> bool:
        return not (self._intended or self._marked or self._retries or self.acting)

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
        lost = [p.key for p in fold.outbox.pending.values() if p.state == "performing"]
        if lost:
            self.shard.move_effects([EffectMoved(key, "unknown", error="the engine stopped meanwhile") for key in lost])
        for pending in fold.outbox.pending.values():
            if pending.state == "failed" and pending.retry_at_us is not None:
                self._retries.append((pending.retry_at_us, pending.key))
            elif pending.state == "intended" or self._safe_to_go_on(pending):
                self._intended.append((self._due_us(pending.since_us), pending.offset, pending.key))

    def _safe_to_go_on(self, pending: Pending) -> bool:
        effect = self.effects.get(pending.effect)
        return effect is not None and (effect.idempotent or effect.reconcile is not None)

    def _due_us(self, since_us: int) -> int:
        """When the step after an entry of `since_us` is due."""
        return since_us - since_us % self.window_us + self.window_us if self.window_us else since_us

    def next_us(self) -> int | None:
        """When the next step is due, were it durable."""
        moments = [queue[0][0] for queue in (self._intended, self._marked) if queue]
        moments += [at_us for at_us, _ in self._retries]
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

    def mark(self, now_us: int, durable: int) -> None:
        """Marks as performing what is due and durable."""
        for at_us, key in [retry for retry in self._retries if retry[0] <= now_us]:
            self._retries.remove((at_us, key))
            self._intended.append((now_us, 0, key))
        keys: list[str] = []
        while self._intended and self._intended[0][0] <= now_us and self._intended[0][1] <= durable:
            keys.append(self._intended.popleft()[2])
        if keys:
            offset = self.shard.fold.end
            self.shard.move_effects([EffectMoved(key, "performing") for key in keys])
            due_us = self._due_us(now_us)
            self._marked.extend((due_us, offset, key) for key in keys)

    def ready(self, now_us: int, durable: int) -> list[Pending]:
        """Takes off the list what may be acted now."""
        pending = self.shard.fold.outbox.pending
        found: list[Pending] = []
        while self._marked and self._marked[0][0] <= now_us and self._marked[0][1] <= durable:
            found.append(pending[self._marked.popleft()[2]])
        self.acting.update(one.key for one in found)
        return found

    async def perform(self, pending: Pending) -> EffectMoved:
        """Acts, and says what came of it. Never raises."""
        effect = self.effects.get(pending.effect)
        if effect is None:
            return EffectMoved(pending.key, "failed", error=f"there is no effect `{pending.effect}` any more")
        try:
            if pending.tries > 1 and effect.reconcile is not None:
                found = await effect.reconcile(pending.key)
                if found is not None:
                    return EffectMoved(pending.key, "settled", msgspec.Raw(canonical(found)))
            return EffectMoved(pending.key, "settled", msgspec.Raw(canonical(await self._act(effect, pending))))
        except Exception as error:
            return self._after(effect, pending, error)

    def _act(self, effect: Effect[Any], pending: Pending) -> Awaitable[Any]:
        arguments: tuple[Any, ...] = msgspec.json.decode(pending.args, type=effect.arguments)
        named = {"idempotency_key": pending.key} if effect.takes_key else {}
        result = effect.function(*arguments, **named)
        assert inspect.isawaitable(result)
        return result

    def _after(self, effect: Effect[Any], pending: Pending, error: Exception) -> EffectMoved:
        cause = f"{type(error).__name__}: {error}"
        if isinstance(error, PermanentError | msgspec.ValidationError) or pending.tries >= effect.max_tries:
            return EffectMoved(pending.key, "failed", error=cause)
        if not isinstance(error, TransientError) and not (effect.idempotent or effect.reconcile):
            return EffectMoved(pending.key, "unknown", error=cause)
        wait_us = RETRY_US * 2 ** (pending.tries - 1)
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_us = round(error.retry_after_s * 1_000_000)
        return EffectMoved(pending.key, "failed", error=cause, retry_at_us=self.shard.now_us + wait_us)

    def settle(self, moves: list[EffectMoved]) -> None:
        """Notes outcomes."""
        self.shard.move_effects(moves)
        for move in moves:
            self.acting.discard(move.key)
            if move.retry_at_us is not None:
                self._retries.append((move.retry_at_us, move.key))
