"""The simulation can fail: with each protection left out in turn, seeds find the fault, and with it they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from extrovert.core.log import Entry
from extrovert.engine.gates import Gates
from extrovert.engine.holding import Holding
from extrovert.engine.limiting import Limiting
from extrovert.engine.loop import Engine
from extrovert.engine.performing import Performing
from extrovert.turns.attempt import Attempt
from extrovert.turns.outbox import Outbox, Pending
from extrovert.turns.running import Running
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


class Generous(Limiting):
    """Finds room for every ask."""

    def _holds(self, candidate: Any, call: Any, need: Any, shut: Any) -> list[Any]:
        return []


class Unreserved(Limiting):
    """Lets every ask go as if it had no limits."""

    def limits(self, call: Any) -> bool:
        return False


class AllDurable:
    """Takes everything to be on the disk."""

    durable = AT_ONCE

    def flush(self) -> None:
        pass


class Careless(Holding):
    """Does not look how old what was read is."""

    def _silent(self, turn: Running, attempt: Attempt) -> dict[str, int]:
        return {}


class Deaf(Holding):
    """Holds turns, and does not watch for their sources to be heard."""

    def _watch(self, turn: Running, attempt: Attempt, silent: dict[str, int]) -> None:
        super()._watch(turn, attempt, {})


def without_admission(engine: Engine) -> None:
    engine.limiting.__class__ = Generous


def without_reservation(engine: Engine) -> None:
    engine.limiting.__class__ = Unreserved


def without_waiting_for_the_reservation(engine: Engine) -> None:
    engine.sending.writing = AllDurable()  # pyright: ignore[reportAttributeAccessIssue]


def without_freshness(engine: Engine) -> None:
    engine.turning._holding.__class__ = Careless  # pyright: ignore[reportPrivateUsage]


def without_hearing(engine: Engine) -> None:
    engine.turning._holding.__class__ = Deaf  # pyright: ignore[reportPrivateUsage]


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
    "admission": (lambda plan: faults_of(plan, protect=without_admission), "budgets"),
    "admission of calls": (lambda plan: faults_of(plan, protect=without_admission), "calls at a time"),
    "reservation": (lambda plan: faults_of(plan, protect=without_reservation), "budgets"),
    "a durable reservation": (lambda plan: faults_of(plan, protect=without_waiting_for_the_reservation), "budgets"),
    "freshness": (lambda plan: faults_of(plan, protect=without_freshness), "fresh"),
    "hearing": (lambda plan: faults_of(plan, protect=without_hearing), "no wake lost"),
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
