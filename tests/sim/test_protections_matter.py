"""The simulation can fail: with each protection left out in turn, seeds find the fault, and with it they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from extrovert.core.log import Entry
from extrovert.engine.gates import Gates
from extrovert.engine.loop import Engine
from extrovert.engine.performing import Performing
from extrovert.turns.outbox import Outbox, Pending
from tests.sim.disk import Disk
from tests.sim.invariants import Fault
from tests.sim.plan import Plan, plan_of
from tests.sim.shrinking import story
from tests.sim.world import World, faults_of

SEEDS = range(300)
AT_ONCE = 1 << 60


class Hasty(Performing):
    """Performs what is intended without waiting until the disk says so."""

    def wants_durable(self, now_us: int) -> int:
        return 0

    def mark(self, now_us: int, durable: int) -> None:
        super().mark(now_us, AT_ONCE)

    def ready(self, now_us: int, durable: int) -> list[Pending]:
        return super().ready(now_us, AT_ONCE)


class Unguarded(Performing):
    """Performs what was guarded whatever has become of it."""

    def _broken(self, pending: Pending) -> str:
        return ""


class Disorderly(Outbox):
    """Lets everything begin at once."""

    def may_begin(self, pending: Pending) -> bool:
        return True


class Unlimited(Gates):
    """Lets everybody through."""

    def passes(self, pending: Pending, now_us: int, begun: int, *, next_one: bool) -> bool:
        return True


def without_outbox(engine: Engine) -> None:
    engine.performing.__class__ = Hasty


def without_guards(engine: Engine) -> None:
    engine.performing.__class__ = Unguarded


def without_order(engine: Engine) -> None:
    engine.shard.fold.outbox.__class__ = Disorderly


def without_limits(engine: Engine) -> None:
    engine.performing._gates.__class__ = Unlimited  # pyright: ignore[reportPrivateUsage]


class Unfenced(Disk):
    """Takes what any writer gives it, in place of what another has written there."""

    def fence(self, entries: Sequence[Entry]) -> None:
        places = [(entry.offset,) for entry in entries]
        self._connection.executemany("DELETE FROM log WHERE offset = ?", places)
        self._connection.executemany("DELETE FROM turns WHERE offset = ?", places)


class UnfencedWorld(World):
    disk = Unfenced


PROTECTIONS: dict[str, tuple[Callable[[Plan], Any], str]] = {
    "validation": (lambda plan: faults_of(plan, validate=False), "serial"),
    "outbox": (lambda plan: faults_of(plan, protect=without_outbox), "effects"),
    "fencing": (lambda plan: faults_of(plan, UnfencedWorld), "one history"),
    "dedup": (lambda plan: faults_of(plan, dedup=False), "no event twice"),
    "guards": (lambda plan: faults_of(plan, protect=without_guards), "guards"),
    "order": (lambda plan: faults_of(plan, protect=without_order), "order per key"),
    "limits": (lambda plan: faults_of(plan, protect=without_limits), "limits"),
}


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_without_it_seeds_find_the_fault(protection: str) -> None:
    live, invariant = PROTECTIONS[protection]
    for seed in SEEDS:
        plan = plan_of(seed)
        if any(broken == invariant for broken, _ in live(plan)):
            assert faults_of(plan) == []
            return
    pytest.fail(f"{len(SEEDS)} seeds do not find that there is no {protection}")


def test_a_seed_that_fails_is_told_by_the_shortest_trace_that_shows_it() -> None:
    def live(plan: Plan) -> list[Fault]:
        return faults_of(plan, protect=without_outbox)

    seed = next(seed for seed in SEEDS if live(plan_of(seed)))
    told = story(plan_of(seed), live, protect=without_outbox)
    assert f"make sim SEED={seed}" in told
    assert "and no decision on the disk intends it" in told
    assert told.count("Program(") == told.count("Happening(") == 1
    assert told.count("Fault(") == 0
