"""Outcomes of effects, as events that agents can see."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.log import EffectMoved
from extrovert.core.record import Record
from extrovert.core.untrusted import Untrusted
from extrovert.turns.outbox import ENDS, Pending

__all__ = ["Outcome", "outcome_of"]


class Outcome(Record):
    """What came of an effect: `state` is settled, failed, withdrawn, or unknown where it waits for a person.

    `about` is the key of the agent that intended it in `decision`, `id` its idempotency key, `args` its arguments and
    `result` what the act returned, both as JSON has them; `error` is what it raised, or why it was withdrawn. Text in
    these counts as text from outside.
    """

    about: str | int
    id: str
    effect: str
    decision: str
    state: str
    args: Untrusted[list[Any]]
    result: Untrusted[Any] = None
    error: Untrusted[str] = ""


def outcome_of(pending: Pending, move: EffectMoved) -> Outcome | None:
    """The event of a step; None where it goes on by itself."""
    if move.retry_at_us is not None or not (move.state in ENDS or move.state == "unknown"):
        return None
    return Outcome(
        pending.of,
        pending.key,
        pending.effect,
        pending.turn,
        move.state,
        msgspec.json.decode(pending.args),
        msgspec.json.decode(move.outcome),
        move.error,
    )
