"""Law: retention changes nothing but what can be looked up. An engine that keeps its log for a span lives as one that
keeps it whole, over restarts too, and tells the same of any moment in the span."""

from __future__ import annotations

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from extrovert.core.errors import DeclarationError
from extrovert.engine.recovery import as_of
from tests.picture import picture
from tests.property.lives import Life
from tests.property.programs import Act, Plan, Program, plans
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
@given(_plans, _spans)
def test_the_state_as_of_any_moment_that_is_kept_is_that_of_then(plan: Plan, kept_us: int) -> None:
    short, whole = Life(plan, kept_us=kept_us), Life(plan)
    for life in (short, whole):
        life.run()
    assume(short.store.begins() > 1)
    event("of moments that are kept" if short.store.bases()[0].offset < whole.store.end() else "of none")
    entries = [entry for entry in whole.store.entries() if entry.offset >= short.store.begins()]
    for entry in entries[:: max(1, len(entries) // 12)]:
        try:
            then = as_of(short.declared, short.store, entry.offset)
        except DeclarationError:
            assert entry.offset < short.store.bases()[0].offset
            continue
        assert picture(then) == picture(as_of(whole.declared, whole.store, entry.offset))
