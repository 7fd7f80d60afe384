"""Law: the committed history equals a serial one, the one in the order of the log. Without validation it does not."""

from __future__ import annotations

from collections import Counter

from hypothesis import Phase, event, find, given, settings

from tests.property.lives import Life
from tests.property.oracle import strays
from tests.property.programs import Plan, plans


@settings(max_examples=300)
@given(plans())
def test_the_committed_history_is_a_serial_one(plan: Plan) -> None:
    life = Life(plan)
    life.run()
    entries = list(life.store.entries())
    kinds = Counter(entry.kind for entry in entries)
    event(f"decisions: {min(kinds['decided'], 10)}")
    event(f"reruns: {any(b'changed' in entry.body for entry in entries)}")
    assert strays(entries, plan.programs) == []


def is_not_serial(plan: Plan) -> bool:
    life = Life(plan, validate=False)
    life.run()
    return bool(strays(life.store.entries(), plan.programs))


def test_without_validation_it_is_not() -> None:
    """The oracle has teeth: with the same apps and validation switched off, it finds a decision on stale facts."""
    bounded = settings(max_examples=500, phases=[Phase.generate])
    plan = find(plans(), is_not_serial, settings=bounded)
    life = Life(plan)
    life.run()
    assert strays(life.store.entries(), plan.programs) == []
