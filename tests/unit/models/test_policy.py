"""A policy answers in a model's place: the answer and the time it takes hang on who asks what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from extrovert import App, PermanentError, Policy, Record, Thinking
from extrovert.models.policy import PolicyModel
from extrovert.turns.request import Refusal, Request


class Choice(Record):
    options: list[str]


app = App("airline")


@app.policy
def first(choice: Choice) -> str:
    return choice.options[0]


@app.policy(thinks=Thinking(timedelta(seconds=2), sigma=0.5))
def next_one(choice: Choice, refusals: tuple[Refusal, ...]) -> str:
    return choice.options[len(refusals)]


@app.policy
def whatever(facts: Any) -> str:
    return str(facts)


def ask(policy: Policy[Any], about: Any, *refused: str) -> bytes:
    refusals = tuple(Refusal(msgspec.Raw(b'"x"'), reason) for reason in refused)
    return bytes(PolicyModel(policy, 0).answer(Request("ask", "policy", about, str, refusals=refusals)))


def test_it_judges_the_facts() -> None:
    assert ask(first, Choice(["a", "b"])) == b'"a"'


def test_its_facts_may_be_anything() -> None:
    assert [ask(whatever, 7), ask(whatever, "a")] == [b'"7"', b'"a"']


def test_it_may_see_what_was_refused() -> None:
    assert ask(next_one, Choice(["a", "b"]), "full") == b'"b"'


def test_it_judges_only_its_own_facts() -> None:
    with pytest.raises(PermanentError, match="Policy `first` judges Choice, but was asked about a str"):
        ask(first, "a or b?")


def test_it_is_still_a_function() -> None:
    assert first(Choice(["a"])) == "a"


def test_one_that_does_not_think_answers_at_once() -> None:
    assert PolicyModel(first, 0).takes_us("agent", "F1", "cafe", 0) == 0


def test_the_time_it_thinks_hangs_on_the_seed_and_on_who_asks_what() -> None:
    def took(seed: int, *who: Any) -> int:
        return PolicyModel(next_one, seed).takes_us(*who)

    who = ("agent", "F1", "cafe", 0)
    others = [
        ("other", "F1", "cafe", 0),
        ("agent", "F2", "cafe", 0),
        ("agent", "F1", "beef", 0),
        ("agent", "F1", "cafe", 1),
    ]
    assert took(0, *who) == took(0, *who)
    assert len({took(0, *who), took(1, *who), *(took(0, *other) for other in others)}) == 6


def test_its_thinking_times_are_log_normal_about_their_median() -> None:
    model = PolicyModel(next_one, 0)
    times = sorted(model.takes_us("agent", number, "cafe", 0) for number in range(4_001))
    assert times[2_000] == pytest.approx(2_000_000, rel=0.03)
    assert times[int(4_001 * 0.8413)] == pytest.approx(2_000_000 * 2.718281828**0.5, rel=0.06)
