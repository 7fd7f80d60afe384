"""The desk: the persons who say whether money is paid back, made from the seed, in an engine of the demo."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from extrovert.core.ids import canonical, chance
from extrovert.engine.loop import Engine
from extrovert.turns.declare import Thinking
from extrovert.turns.waits import Approval

__all__ = ["Deskful"]

TAKES = Thinking(timedelta(minutes=20), sigma=1.0)
AGREES = 0.9


class Deskful(Engine):
    """An engine with persons who answer what turns ask them: as a function of the question, and after a while."""

    def next_us(self) -> int | None:
        moments = [super().next_us(), *(due_us for due_us, *_ in self._asked())]
        return min((moment for moment in moments if moment is not None), default=None)

    def _answer_due(self, now_us: int) -> None:
        super()._answer_due(now_us)
        for due_us, turn, place in sorted(self._asked()):
            if due_us <= now_us:
                granted = chance("the desk", self.settings.seed, turn) < AGREES
                self.turning.answer(turn, place, msgspec.Raw(canonical(Approval(granted, "the desk"))))

    def _asked(self) -> list[tuple[int, str, tuple[str, int]]]:
        """(when the answer is due, turn, place) of each question that waits."""
        return [
            (asked_us + TAKES.takes_us("the desk", self.settings.seed, turn.id), turn.id, place)
            for turn in self.shard.fold.parked.values()
            for place, (sent, asked_us) in turn.calls.items()
            if sent.kind == "approval"
        ]
