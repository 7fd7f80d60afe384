"""Law: replay = live. At any moment, crash or not, the whole log and a snapshot with its tail give the live state."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert.engine.recovery import recover
from extrovert.turns.fold import Fold
from tests.picture import picture
from tests.property.lives import SPAN_S, Life
from tests.property.oracle import strays
from tests.property.programs import Plan, plans

_moments = st.floats(0, SPAN_S / 4, allow_nan=False)


def replayed(life: Life) -> Fold:
    """The state by the whole log, at the time of the live one."""
    fold = life.declared.fold()
    for entry in life.store.entries():
        fold.replay(entry)
    fold.context.clock_is(life.engine.shard.fold.context.expiry.now_us)
    return fold


def recovered(life: Life) -> Fold:
    """The state by the newest snapshot and the tail, at the time of the live one."""
    fold, _ = recover(life.declared, life.store)
    fold.context.clock_is(life.engine.shard.fold.context.expiry.now_us)
    return fold


def order(fold: Fold) -> dict[str, list[Any]]:
    """In which order the due keys of each agent would be served."""
    return {name: sorted(book._ranks.values()) for name, book in fold.books.items()}  # pyright: ignore[reportPrivateUsage]


@settings(max_examples=150)
@given(plans(), _moments, _moments)
def test_the_log_and_a_snapshot_give_the_live_state(plan: Plan, shot_at: float, end_at: float) -> None:
    life = Life(plan)
    life.run(shot_at)
    life.engine.keep_snapshot()
    life.run(shot_at + end_at)
    live = picture(life.engine.shard.fold)
    by_log, by_snapshot = replayed(life), recovered(life)
    assert picture(by_log) == live
    assert picture(by_snapshot) == live
    orders = order(life.engine.shard.fold)
    assert order(by_log) == orders
    assert order(by_snapshot) == orders


@settings(max_examples=100)
@given(plans(), st.lists(_moments, min_size=1, max_size=6))
def test_crashes_keep_the_history_serial_and_the_state_a_fold_of_the_log(plan: Plan, lives: list[float]) -> None:
    life = Life(plan)
    begun = 0.0
    for number, span in enumerate(lives):
        begun += span / 2
        life.run(begun)
        if number % 2:
            life.engine.keep_snapshot()
        life.begin()
    life.run()
    assert strays(life.store.entries(), plan.programs) == []
    assert picture(replayed(life)) == picture(life.engine.shard.fold)


def decisions(life: Life) -> list[tuple[str, int, Any]]:
    """Who decided what, when."""
    found: list[tuple[str, int, Any]] = []
    for entry in life.store.entries():
        if entry.kind == "decided":
            body = msgspec.json.decode(entry.body)
            found.append((f"{body['agent']}:{body['key']}", entry.at_us, body.get("writes")))
    return found


@settings(max_examples=100)
@given(plans(), st.lists(_moments, min_size=1, max_size=6))
def test_crashes_do_not_change_what_is_decided(plan: Plan, lives: list[float]) -> None:
    calm = Life(plan)
    calm.answers.by_content = True
    calm.run()
    life = Life(plan)
    life.answers.by_content = True
    begun = 0.0
    for span in lives:
        begun += span / 2
        life.run(begun)
        while life.engine.turning.stale:  # a call that is about to be cancelled does not outlive a crash
            begun += 0.001
            life.run(begun)
        life.begin()
    life.run()
    assert decisions(life) == decisions(calm)
