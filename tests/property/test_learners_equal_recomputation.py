"""Laws of learners: whatever the batches, failures, snapshots and lives, one is what its lessons in order make it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine
from extrovert.engine.recovery import recover
from extrovert.stores.sqlite import SqliteStore
from tests.frauds import Frauds, Known, Shares
from tests.property.programs import BEGIN_US

_known = st.builds(
    Known,
    payment_id=st.sampled_from(["k1", "k2"]),
    country=st.sampled_from(["AA", "BB", "poison"]),
    fraud=st.sampled_from([True, False, None]),
)
_batches = st.lists(st.lists(_known, min_size=1, max_size=8), max_size=12)
_acts = st.lists(st.sampled_from(["go on", "keep", "die"]), min_size=12, max_size=12)


def taught(known: Sequence[Known]) -> tuple[int, dict[Any, int], dict[Any, Any]]:
    """What one has learnt that is only taught what it does not choke on."""
    model, good = Shares(), [one for one in known if one.fraud is not None and one.country != "poison"]
    for one in good:
        model.learn_one({"country": one.country}, one.fraud)
    return len(good), model.all, model.by


def learnt(fold: Any) -> tuple[int, dict[Any, int], dict[Any, Any]]:
    state = fold.context.operators["risk"]
    return state.learnt, state.model.all, state.model.by


@settings(max_examples=200)
@given(_batches, _acts)
def test_a_learner_is_a_fold_of_its_stream(batches: list[list[Known]], acts: list[str]) -> None:
    declared = Frauds().app.declared()
    store = SqliteStore(None)
    sent: list[Known] = []
    engine = Engine(declared, store, VirtualClock(BEGIN_US))
    for batch, act in zip(batches, acts, strict=False):
        engine.intake.lines("known", b"\n".join(map(msgspec.json.encode, batch)))
        sent += batch
        engine.writing.flush()
        if act == "keep":
            engine.keep_snapshot()
        elif act == "die":
            engine = Engine(declared, store, VirtualClock(BEGIN_US))
        assert learnt(engine.shard.fold) == taught(sent)
    whole = declared.fold()
    for entry in store.entries():
        whole.replay(entry)
    assert learnt(whole) == learnt(recover(declared, store)[0]) == taught(sent)
    store.close()
