"""Law: retention changes nothing but what can be looked up. An engine that keeps its log for a span lives as one that
keeps it whole, over restarts too, and tells the same of any moment in the span."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from extrovert.core.errors import DeclarationError
from extrovert.engine.recovery import as_of
from tests.picture import picture
from tests.property.lives import Life
from tests.property.programs import BEGIN_US, Act, Plan, Program, plans
from tests.property.test_replay_equals_live import recovered


def _without_effects(program: Program) -> Program:
    """When an effect is performed hangs on when its decision is written, and a snapshot is a reason to write."""
    return program.but(steps=tuple(step for step in program.steps if not isinstance(step, Act)))


_spans = st.sampled_from([100_000, 400_000, 1_500_000])
_plans = plans().map(lambda plan: plan.but(programs=tuple(map(_without_effects, plan.programs))))
_pauses = st.lists(st.tuples(st.floats(0, 1.5, allow_nan=False), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(_plans, _spans, _pauses)
def test_an_engine_lives_on_alike(plan: Plan, kept_us: int, pauses: list[tuple[float, bool]]) -> None:
    short, whole = Life(plan, kept_us=kept_us), Life(plan)
    until = 0.0
    for pause, dies in pauses:
        until += pause
        for life in (short, whole):
            life.run(until)
            if dies:
                life.begin()
                life.engine.writing.flush()
        state = picture(whole.engine.shard.fold)
        assert picture(short.engine.shard.fold) == state
        assert picture(recovered(short)) == state
    for life in (short, whole):
        life.run()
    assert picture(short.engine.shard.fold) == picture(whole.engine.shard.fold)
    event("cut off" if short.store.begins() > 1 else "whole")


@settings(max_examples=60, deadline=None)
@given(_plans, st.sampled_from([50_000, 100_000, 400_000]), st.floats(0, 1, exclude_max=True))
def test_the_state_as_of_any_moment_that_is_kept_is_that_of_then(plan: Plan, kept_us: int, share: float) -> None:
    short, whole = Life(plan, kept_us=kept_us), Life(plan)
    whole.run()
    moments = [entry.at_us for entry in whole.store.entries()]
    short.run((moments[int(share * len(moments))] - BEGIN_US) / 1e6)
    bases, told = short.store.bases(), 0
    for entry in short.store.entries():
        if bases and entry.offset >= bases[0].offset:
            told += 1
            then = as_of(short.declared, short.store, entry.offset)
            assert picture(then) == picture(as_of(whole.declared, whole.store, entry.offset))
        elif short.store.begins() > 1:
            with pytest.raises(DeclarationError, match="is kept from offset"):
                as_of(short.declared, short.store, entry.offset)
    event(f"cut off: {short.store.begins() > 1}, moments told: {'some' if told > 1 else 'one' if told else 'none'}")
