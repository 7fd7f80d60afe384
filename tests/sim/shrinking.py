"""Shrinking: the smallest plan that still breaks the same invariant, and how it comes to that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.sim.invariants import Fault
from tests.sim.plan import Plan
from tests.sim.world import lived

__all__ = ["shrunk", "story"]

Live = Callable[[Plan], list[Fault]]
MOST_LIVES = 400
OPTIONAL = ("faults", "snapshots_ms", "models", "stalls", "beats")
"""What a plan can be without."""


def shrunk(plan: Plan, live: Live) -> Plan:
    """Leaves out faults, events, agents and steps of them, as long as the first broken invariant is still broken."""
    found = live(plan)
    if not found:
        raise ValueError(f"Nothing is wrong with seed {plan.seed}.")
    invariant, left = found[0][0], MOST_LIVES
    smaller = True
    while smaller and left > 0:
        smaller = False
        for candidate in _without(plan):
            left -= 1
            if any(broken == invariant for broken, _ in live(candidate)):
                plan, smaller = candidate, True
                break
            if left <= 0:
                break
    return plan


def _without(plan: Plan) -> Iterator[Plan]:
    """The plan with a little less, large parts first."""
    parts: list[tuple[str, tuple[Any, ...]]] = [
        ("happenings", plan.happenings),
        ("faults", plan.faults),
        ("programs", plan.programs),
        *((name, getattr(plan, name)) for name in OPTIONAL[1:]),
    ]
    for name, whole in parts:
        size = len(whole) // 2
        while size:
            for at in range(0, len(whole), size):
                rest = whole[:at] + whole[at + size :]
                if rest or name in OPTIONAL:
                    yield plan.but(**{name: rest})
            size //= 2
        if len(whole) == 1 and name in OPTIONAL:
            yield plan.but(**{name: ()})
    yield from _sooner(plan)
    for number, program in enumerate(plan.programs):
        for at in range(len(program.steps)):
            less = program.but(steps=program.steps[:at] + program.steps[at + 1 :])
            yield plan.but(programs=(*plan.programs[:number], less, *plan.programs[number + 1 :]))
        for plain in ({"own": None}, {"fresh_ms": None}, {"priority": 0}):
            less = program.but(**plain)
            if less != program:
                yield plan.but(programs=(*plan.programs[:number], less, *plan.programs[number + 1 :]))


def _sooner(plan: Plan) -> Iterator[Plan]:
    """The plan with a fault that comes sooner: there is less before what it does."""
    for number, fault in enumerate(plan.faults):
        for nth in {fault.nth // 2, fault.nth - 1} - {0}:
            yield plan.but(faults=(*plan.faults[:number], fault.but(nth=nth), *plan.faults[number + 1 :]))


def story(plan: Plan, live: Live, **options: Any) -> str:
    """What is wrong with the plan of a seed, how to see it again, and the shortest trace that shows it."""
    small = shrunk(plan, live)
    world = lived(small, **options)
    lines = [
        f"Seed {plan.seed}: {len(world.auditor.faults)} faults. To see it again: make sim SEED={plan.seed}",
        "",
        "The smallest plan that shows it:",
        *(f"  {program}" for program in small.programs),
        *(f"  {happening}" for happening in small.happenings),
        *(f"  {one}" for one in (*small.faults, *small.models, *small.stalls, *small.beats)),
        f"  flush_every={small.flush_every} snapshots_ms={small.snapshots_ms}",
        "",
        "Its trace:",
        *(f"  {line}" for line in world.trace),
        "",
        "What does not hold:",
        *(f"  {invariant}: {where}" for invariant, where in world.auditor.faults),
    ]
    return "\n".join(lines)
