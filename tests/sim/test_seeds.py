"""A whole engine lives under faults, seed by seed, and what must hold holds after each step.

`make sim SEEDS=10000` tries more, `make sim SEED=7` tells one.
"""

from __future__ import annotations

import pytest

from tests.sim.plan import POINTS, Plan, plan_of
from tests.sim.shrinking import story
from tests.sim.world import faults_of, lived

EACH = 50
QUICK, SLOW = 500, 2_000


def hold(first: int) -> None:
    for seed in range(first, first + EACH):
        plan = plan_of(seed)
        if faults_of(plan):
            pytest.fail(story(plan, faults_of))


@pytest.mark.parametrize("first", range(0, QUICK, EACH))
def test_what_must_hold_holds(first: int) -> None:
    hold(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, SLOW, EACH))
def test_what_must_hold_holds_for_more_seeds(first: int) -> None:
    hold(first)


def test_a_life_is_the_same_each_time() -> None:
    """What is printed of a seed that fails can be seen again."""
    for seed in range(8):
        assert lived(plan_of(seed)).trace == lived(plan_of(seed)).trace


def fired(plan: Plan) -> set[str]:
    return set(lived(plan).power.fired)


def test_everything_goes_wrong_that_can() -> None:
    """Each fault at each point is met by some of these lives."""
    expected = {f"{point}: {what}" for point, whats in POINTS.items() for what in whats}
    met: set[str] = set()
    for seed in range(QUICK):
        faults = {f"{fault.point}: {fault.what}" for fault in plan_of(seed).faults}
        if not faults <= met:
            met |= fired(plan_of(seed))
        if met >= expected:
            return
    pytest.fail(f"never met: {expected - met}")


def test_limits_bind_and_sources_fall_silent() -> None:
    """What is drawn matters: asks wait for each limit, or go elsewhere, and turns do what they declare."""
    whys = ("calls", "requests", "tokens", "USD", "breaker")
    expected = {f"{what}: {why}" for why in whys for what in ("waited", "fallback")}
    expected |= {"waited: left alone", "held", "refused", "decided by another"}
    met: set[str] = set()
    for plan in map(plan_of, range(QUICK)):
        if not plan.models and all(program.fresh_ms is None for program in plan.programs):
            continue
        auditor = lived(plan).auditor
        met |= auditor.budgets.met | auditor.silence.met
        if met >= expected:
            return
    pytest.fail(f"never met: {expected - met}")
