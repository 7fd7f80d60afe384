"""Settling: what a person says of an effect that waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.log import EffectMoved
from extrovert.turns.outbox import Pending

if TYPE_CHECKING:
    from extrovert.engine.loop import Engine

__all__ = ["Said", "settle"]

Said = Literal["done", "not-done", "withdrawn"]
NULL = msgspec.Raw(b"null")


def settle(engine: Engine, key: str, said: Said, *, by: str, because: str = "", outcome: msgspec.Raw = NULL) -> None:
    """Settles an effect as a person says: done (with its outcome), not done (it is performed), or withdrawn.

    What is said is logged. Raises `DeclarationError` where the effect waits for no such word.
    """
    outbox, now_us = engine.shard.fold.outbox, engine.shard.now_us
    pending = outbox.pending.get(key)
    if pending is None:
        ended = outbox.failed.get(key)
        state = f"It is {ended.state}, at its end." if ended else "It is at its end, or never was."
        raise DeclarationError(f"No effect `{key}` waits. {state} To see those that do: extrovert effects")
    _check(pending, said, acting=engine.settings.acting)
    state = {"done": "settled", "not-done": "failed", "withdrawn": "withdrawn"}[said]
    retry_at_us = now_us if said == "not-done" else None
    move = EffectMoved(key, state, outcome, because, retry_at_us, by=by)
    engine.shard.move_effects([move])
    engine.performing.moved(move)
    engine.nudge()


def _check(pending: Pending, said: Said, *, acting: bool) -> None:
    """What is under way is nobody's to settle; whether something happened is asked only where that is not known."""
    if pending.state == "performing" and acting:
        raise DeclarationError(f"Effect `{pending.key}` is being performed. Wait until that has come to something.")
    if said != "withdrawn" and pending.state not in ("unknown", "performing"):
        raise DeclarationError(
            f"Effect `{pending.key}` is {pending.state}: that it has not happened is known. It can be withdrawn."
        )
