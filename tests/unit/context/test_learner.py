"""A learner's state: one event after the other, and back to what it was where one fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from extrovert import App, CorruptionError
from extrovert.context.learner import MOST_LESSONS, Learner, LearnerState
from tests.frauds import Facts, Known, Shares, facts_of, fraud_of


def learner(label: Any = fraud_of, features: Any = facts_of, make: Any = Shares) -> Learner[Known]:
    app = App("frauds")
    return app.learner(
        "risk", make, over=app.stream("known", Known, key=Known.payment_id), features=features, label=label
    )


def taught(state: LearnerState, *records: Any) -> list[tuple[int, str]]:
    keys = [record.payment_id if record else "gone" for record in records]
    return list(state.take("known", keys, records, range(1, len(records) + 1)))


def known(country: str, fraud: bool | None = True) -> Known:
    return Known("k", country, fraud)


def test_it_learns_one_after_the_other_and_nothing_from_tombstones() -> None:
    state = LearnerState(learner())
    assert taught(state, known("AA"), None, known("AA", fraud=False), known("BB", fraud=None)) == []
    assert (state.learnt, state.model.by) == (2, {"AA": {True: 1, False: 1}})
    assert state.figures()[:3] == ("learner", "learnt", 2)


def test_a_failure_is_told_by_its_place_and_undone() -> None:
    state = LearnerState(learner())
    failures = taught(state, known("AA"), known("poison"), known("AA"))
    assert failures == [(1, "learner `risk`: ArithmeticError: it chokes")]
    assert (state.learnt, state.model.all, state.model.by) == (2, {True: 2}, {"AA": {True: 2}})


@pytest.mark.parametrize("before", [0, 1, MOST_LESSONS - 1, MOST_LESSONS, MOST_LESSONS + 1])
def test_it_goes_back_however_much_it_has_learnt(before: int) -> None:
    state = LearnerState(learner())
    taught(state, *[known("AA")] * before)
    for _ in range(2):
        assert len(taught(state, known("poison"))) == 1
        assert state.model.all == ({True: before} if before else {})
    taught(state, known("AA"))
    assert (state.learnt, state.model.all) == (before + 1, {True: before + 1})


def test_without_labels_it_learns_features_alone() -> None:
    state = LearnerState(learner(label=None, make=Seen))
    assert taught(state, known("AA", fraud=None)) == []
    assert state.model.seen == [{"country": "AA"}]


def test_a_model_cannot_change_the_lessons() -> None:
    """It learns them again where it has to go back."""
    state = LearnerState(learner(label=None, make=Seen))
    taught(state, known("AA"), known("poison"), known("BB"))
    assert state.model.seen == [{"country": "AA"}, {"country": "BB"}]


def test_features_are_a_record_a_dict_or_a_text() -> None:
    for features in (facts_of, as_dict):
        assert learner(features=features).lesson_of(known("AA")) == ({"country": "AA"}, True)
    assert learner(features=country_of).lesson_of(known("AA")) == ("AA", True)
    with pytest.raises(ValueError, match="its features are a list; they are a dict, a record or a text"):
        learner(features=as_list).lesson_of(known("AA"))


def test_it_is_asked_about_facts_or_an_event_of_its_stream() -> None:
    asked_about = learner(features=as_dict).asked_about
    assert asked_about(Facts("AA")) == {"country": "AA"}
    assert asked_about(Known("k", "BB")) == {"country": "BB"}
    assert asked_about("a text") == "a text"


def test_a_saved_model_goes_on_where_it_was() -> None:
    state, other = LearnerState(learner()), LearnerState(learner())
    taught(state, known("AA"))
    other.load(state.save())
    taught(other, known("AA"), known("poison"))
    assert (other.learnt, other.model.all) == (2, {True: 2})
    assert state.learnt == 1


def test_a_model_that_cannot_be_read_says_what_to_do() -> None:
    saved = msgspec.json.encode({"learnt": 1, "model": b"no pickle"})
    with pytest.raises(CorruptionError, match=r"model of learner `risk` cannot be read: .*Delete the snapshot"):
        LearnerState(learner()).load(saved)


class Seen:
    """Keeps what it is taught, and spoils it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def learn_one(self, x: dict[str, Any]) -> None:
        self.seen.append(dict(x))
        if x.pop("country") == "poison":
            raise ArithmeticError("it chokes")


def test_what_may_learn_otherwise_has_another_definition() -> None:
    first = learner()
    assert learner().definition == first.definition
    definitions = {first.definition, learner(label=other_label).definition, learner(features=other_features).definition}
    assert len(definitions) == 3
    assert learner(label=other_label).parameters != first.parameters


def other_label(one: Known) -> bool | None:
    return not one.fraud


def other_features(one: Known) -> Mapping[str, Any]:
    return {"country": one.country.lower()}


def as_dict(one: Known) -> dict[str, Any]:
    return {"country": one.country}


def as_list(one: Known) -> list[Known]:
    return [one]


def country_of(one: Known) -> str:
    return one.country
