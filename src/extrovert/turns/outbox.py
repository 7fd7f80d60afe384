"""The outbox: effects from their intent to their end, as a fold of the log.

intended → performing → settled | failed | unknown | withdrawn. `performing` is durable before the act, so that after a
crash exactly those that were in flight are `unknown`, and each is dealt with as its effect declares.
"""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.log import Decided, EffectMoved
from extrovert.core.record import Record

__all__ = ["Outbox", "Pending"]

ENDS = frozenset({"settled", "failed", "withdrawn"})


class Pending(Record):
    """An effect that has not come to its end; `key` is its idempotency key, `turn/slot`."""

    key: str
    effect: str
    args: msgspec.Raw
    offset: int
    since_us: int
    state: str = "intended"
    tries: int = 0
    retry_at_us: int | None = None


class Outbox:
    """The effects that are not at their end, by key, in the order of their intents."""

    def __init__(self) -> None:
        self.pending: dict[str, Pending] = {}

    def intend(self, decision: Decided, offset: int, at_us: int) -> list[Pending]:
        """Takes up the intents of a decision."""
        taken: list[Pending] = []
        for intent in decision.effects:
            pending = Pending(f"{decision.turn}/{intent.slot}", intent.effect, intent.args, offset, at_us)
            self.pending[pending.key] = pending
            taken.append(pending)
        return taken

    def move(self, move: EffectMoved, at_us: int) -> Pending | None:
        """Applies one step; returns the effect as it now is, or None where it is at its end."""
        pending = self.pending[move.key]
        if move.state in ENDS and move.retry_at_us is None:
            del self.pending[move.key]
            return None
        changes: dict[str, Any] = {"state": move.state, "since_us": at_us, "retry_at_us": move.retry_at_us}
        if move.state == "performing":
            changes["tries"] = pending.tries + 1
        pending = self.pending[move.key] = pending.but(**changes)
        return pending
