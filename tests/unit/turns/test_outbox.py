"""The outbox: effects from their intent to their end."""

from __future__ import annotations

import msgspec
import pytest

from extrovert.core.log import Decided, EffectMoved, Intent, Wake
from extrovert.turns.outbox import Outbox


def outbox() -> Outbox:
    made = Outbox()
    intents = [Intent(slot, "send", msgspec.Raw(b"[]")) for slot in range(2)]
    made.intend(Decided("a:F1@3", "a", "F1", Wake("x", 3, 1), 1, "woken", [], effects=intents), 5, 100)
    return made


def test_an_intent_is_known_by_its_decision_and_slot() -> None:
    assert list(outbox().pending) == ["a:F1@3/0", "a:F1@3/1"]
    assert {pending.state for pending in outbox().pending.values()} == {"intended"}


def test_performing_counts_the_tries() -> None:
    effects = outbox()
    for tries in (1, 2):
        pending = effects.move(EffectMoved("a:F1@3/0", "performing"), 200)
        assert pending is not None
        assert (pending.tries, pending.since_us) == (tries, 200)


@pytest.mark.parametrize("end", ["settled", "failed", "withdrawn"])
def test_what_is_at_its_end_is_pending_no_more(end: str) -> None:
    effects = outbox()
    assert effects.move(EffectMoved("a:F1@3/0", end), 200) is None
    assert list(effects.pending) == ["a:F1@3/1"]


def test_what_failed_for_now_waits_for_its_time() -> None:
    pending = outbox().move(EffectMoved("a:F1@3/0", "failed", retry_at_us=900), 200)
    assert pending is not None
    assert (pending.state, pending.retry_at_us) == ("failed", 900)


def test_what_is_unknown_stays() -> None:
    effects = outbox()
    effects.move(EffectMoved("a:F1@3/0", "unknown"), 200)
    assert effects.pending["a:F1@3/0"].state == "unknown"
