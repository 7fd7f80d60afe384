"""What a turn intends: an effect with its arguments, its business key and its condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import Intent
from extrovert.turns.declare import Effect
from extrovert.turns.guards import Condition

__all__ = ["Intended", "intents"]


class Intended:
    """An effect that a turn intends; to be told more about before the turn ends."""

    def __init__(self, effect: Effect[...], arguments: Sequence[Any]) -> None:
        self.effect = effect
        self.arguments = tuple(arguments)
        self.args = canonical(list(arguments))
        self.condition: Condition | None = None
        self.business_key = ""
        self.order = effect.line_of(arguments)

    def once(self, key: str | int) -> Intended:
        """Of all that intend this effect under this key, whichever the decision, one is performed.

        The others end as settled with its outcome. That is remembered for the effect's `horizon`.
        """
        self.business_key = str(key)
        return self

    def guard(self, condition: Condition) -> Intended:
        """It is performed only if `condition` holds, when the turn commits and again just before it is performed."""
        self.condition = condition
        return self


def intents(intended: Sequence[Intended]) -> list[Intent]:
    """The effects of a decision as its entry keeps them."""
    return [
        Intent(
            slot,
            one.effect.name,
            msgspec.Raw(one.args),
            guard=None if one.condition is None else one.condition.note,
            once=one.business_key,
            horizon_us=one.effect.horizon_us if one.business_key or one.effect.undo else 0,
            in_order=one.effect.in_order,
            order=one.order,
            undo=one.effect.undo,
        )
        for slot, one in enumerate(intended)
    ]
