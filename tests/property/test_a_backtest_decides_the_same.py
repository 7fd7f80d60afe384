"""Law: what has not changed decides the same. Each recorded decision is that of an attempt over the log below it."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert.core.time import span_us
from extrovert.engine.backtest import Backtest
from extrovert.engine.candidates import Candidate, named
from extrovert.engine.comparing import Compared
from tests.property.lives import SPAN_S, Life
from tests.property.programs import BEGIN_US, Plan, plans


def played(life: Life, since: float) -> list[Compared]:
    """All turns that ended from then on, played again by the same agents, with what the log remembers alone."""
    found: list[Compared] = []
    for agent in life.declared.agents:
        version = Candidate("as it is", named(life.declared, agent.name), None)
        test = Backtest(life.declared, life.store, [version], since_us=BEGIN_US + span_us(since))
        found += asyncio.run(test.run())
    return found


@settings(max_examples=60)
@given(plans(), st.floats(0, SPAN_S / 2, allow_nan=False), st.booleans())
def test_what_has_not_changed_decides_the_same(plan: Plan, since: float, based: bool) -> None:
    life = Life(plan)
    life.run(since)
    if based:
        life.engine.keep_snapshot()
        life.store.keep_base(life.engine.shard.fold.at_us)
    life.run()
    found = played(life, since)
    for one in found:
        if one.recorded.outcome in ("decided", "gone"):
            assert one.same, one
            assert one.candidate.remembered == one.candidate.asks
            if one.recorded.outcome == "decided":
                assert one.candidate.asks == one.recorded.asks
                assert one.candidate.thought_ms == one.recorded.thought_ms
    ended = {entry.offset for entry in life.store.ended(limit=-1) if entry.at_us >= BEGIN_US + span_us(since)}
    assert {one.offset for one in found} == ended
