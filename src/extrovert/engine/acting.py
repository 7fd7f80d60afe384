"""Acting: one try of an effect, or one look-up, and what follows from how it ended."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.errors import PermanentError, TransientError
from extrovert.core.ids import canonical
from extrovert.core.log import EffectMoved
from extrovert.core.time import span_us
from extrovert.turns.declare import Effect
from extrovert.turns.outbox import Pending

__all__ = ["Acting"]

DID_NOT_HAPPEN = "looked up: it did not happen"


class Acting:
    """Tries of one effect. `seed` is that of the engine, and decides on the jitter of its waits."""

    def __init__(self, effect: Effect[Any], seed: int) -> None:
        self.effect = effect
        self.seed = seed

    async def perform(self, pending: Pending) -> tuple[Any, Exception | None]:
        """Acts, or looks up what is unknown: what came of it, or the error. Never raises."""
        try:
            if pending.state == "unknown":
                assert self.effect.reconcile is not None
                found = await self.effect.reconcile(pending.key)
            else:
                found = await self._act(pending)
            return msgspec.Raw(canonical(found)), None
        except Exception as error:
            return msgspec.Raw(b"null"), error

    async def _act(self, pending: Pending) -> Any:
        arguments: tuple[Any, ...] = msgspec.json.decode(pending.args, type=self.effect.arguments)
        named: dict[str, Any] = {"idempotency_key": pending.key}
        if pending.undoes:
            named |= {"undoes": pending.undoes, "outcome": msgspec.json.decode(pending.outcome)}
        return await self.effect.function(*arguments, **{n: v for n, v in named.items() if n in self.effect.takes})

    def tried(self, pending: Pending, outcome: msgspec.Raw, error: Exception | None, now_us: int) -> EffectMoved:
        """The step that follows from a try."""
        if error is None:
            return EffectMoved(pending.key, "settled", outcome)
        effect, cause = self.effect, f"{type(error).__name__}: {error}"
        if isinstance(error, PermanentError | msgspec.ValidationError):
            return EffectMoved(pending.key, "failed", error=cause)
        unclear = pending.unclear or not isinstance(error, TransientError)
        again = pending.tries < effect.max_tries
        wait_us = effect.retry.wait_us(pending.tries, self.seed, pending.key)
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_us = span_us(error.retry_after_s)
        if not unclear:
            return EffectMoved(pending.key, "failed", error=cause, retry_at_us=now_us + wait_us if again else None)
        safe = effect.reconcile is not None or (effect.idempotent and again)
        return EffectMoved(pending.key, "unknown", error=cause, retry_at_us=now_us + wait_us if safe else None)

    def looked(self, pending: Pending, outcome: msgspec.Raw, error: Exception | None, now_us: int) -> EffectMoved:
        """The step that follows from a look-up."""
        if error is None and bytes(outcome) != b"null":
            return EffectMoved(pending.key, "settled", outcome)
        if error is None:
            again = pending.tries < self.effect.max_tries
            cause = DID_NOT_HAPPEN if again else f"{DID_NOT_HAPPEN}, in {pending.tries} tries"
            return EffectMoved(pending.key, "failed", error=cause, retry_at_us=now_us if again else None)
        cause = f"look-up: {type(error).__name__}: {error}"
        if isinstance(error, PermanentError):
            return EffectMoved(pending.key, "unknown", error=cause)
        wait_us = self.effect.retry.wait_us(pending.looks + 1, self.seed, pending.key, "looked up")
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_us = span_us(error.retry_after_s)
        return EffectMoved(pending.key, "unknown", error=cause, retry_at_us=now_us + wait_us)
