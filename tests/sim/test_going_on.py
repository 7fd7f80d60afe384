"""An attempt that goes on where it waits does what one does that is run from its start: the whole life is the same."""

from __future__ import annotations

from extrovert.engine.loop import Engine
from extrovert.engine.turning import Turning
from extrovert.turns.attempt import Attempt
from extrovert.turns.running import Running
from tests.sim.plan import plan_of
from tests.sim.world import lived

SEEDS = range(200, 260)


class Anew(Turning):
    """Keeps no attempt, so that each answer begins another one."""

    forgotten = 0

    def _park(self, turn: Running, attempt: Attempt) -> None:
        super()._park(turn, attempt)
        Anew.forgotten += turn.suspended is not None
        turn.let_go()


def anew(engine: Engine) -> None:
    engine.turning.__class__ = Anew


def test_the_life_of_an_engine_is_the_same_where_each_answer_begins_an_attempt_anew() -> None:
    for seed in SEEDS:
        plan = plan_of(seed)
        assert lived(plan).trace == lived(plan, protect=anew).trace, f"seed {seed}"
    assert Anew.forgotten > 0
