"""The desk: the persons who say whether money is paid back, made from the seed, in an engine of the demo."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from extrovert.core.ids import canonical, chance
from extrovert.core.time import earliest, span_us
from extrovert.engine.loop import Engine
from extrovert.turns.declare import Thinking
from extrovert.turns.waits import Approval

__all__ = ["Deskful"]

TAKES = Thinking(timedelta(minutes=20), sigma=1.0)
AGREES = 0.9
MINUTE_US = span_us(timedelta(minutes=1))


class Deskful(Engine):
    """An engine with persons who answer what turns ask them: as a function of the question, and after a while.

    They look at what they are asked once a minute: hundreds of questions wait, and a minute has hundreds of instants.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._looked_at = -1

    def next_us(self) -> int | None:
        next_minute_us = (self.clock.now_us() // MINUTE_US + 1) * MINUTE_US
        return earliest([super().next_us(), next_minute_us if self.shard.fold.parked else None])

    def _answer_due(self, now_us: int) -> None:
        super()._answer_due(now_us)
        minute = now_us // MINUTE_US
        if minute != self._looked_at:
            self._looked_at = minute
            for turn, place in sorted(self._due(now_us)):
                granted = chance("the desk", self.settings.seed, turn) < AGREES
                self.turning.answer(turn, place, msgspec.Raw(canonical(Approval(granted, "the desk"))))

    def _due(self, now_us: int) -> list[tuple[str, tuple[str, int]]]:
        """The questions that are answered by now: (turn, place)."""
        return [
            (turn.id, place)
            for turn in self.shard.fold.parked.values()
            for place, (sent, asked_us) in turn.calls.items()
            if sent.kind == "approval" and asked_us + TAKES.takes_us("the desk", self.settings.seed, turn.id) <= now_us
        ]
