"""Requests: the same question has the same hash, and everything that makes it another one counts."""

from __future__ import annotations

import msgspec
import pytest

from extrovert import Record
from extrovert.core.ids import canonical
from extrovert.core.log import AskSent
from extrovert.turns.assembling import Assembled
from extrovert.turns.request import Refusal, Request


class Choice(Record):
    options: list[str]


BASE = Request("ask", "policy:first", Choice(["a"]), int)
REFUSAL = Refusal(msgspec.Raw(b"7"), "too many")


def test_the_same_question_has_the_same_hash() -> None:
    assert Request("ask", "policy:first", Choice(["a"]), int).hash == BASE.hash


@pytest.mark.parametrize(
    "other",
    [
        Request("call", "policy:first", Choice(["a"]), int),
        Request("ask", "policy:other", Choice(["a"]), int),
        Request("ask", "policy:first", Choice(["b"]), int),
        Request("ask", "policy:first", Choice(["a"]), str),
        BASE.refused((REFUSAL,)),
        BASE.refused((REFUSAL, REFUSAL)),
        BASE.refused((Refusal(msgspec.Raw(b"7"), "too few"),)),
        BASE.refused((Refusal(msgspec.Raw(b"8"), "too many"),)),
    ],
)
def test_another_question_has_another_hash(other: Request) -> None:
    assert other.hash != BASE.hash


def test_a_refused_question_is_otherwise_the_same() -> None:
    again = BASE.refused((REFUSAL,))
    assert (again.kind, again.model, again.about, again.output) == (BASE.kind, BASE.model, BASE.about, BASE.output)
    assert again.refusals == (REFUSAL,)


def test_an_answer_is_decoded_as_the_wanted_type() -> None:
    assert Request("ask", "m", "?", list[Choice]).decode(msgspec.Raw(b'[{"options":[]}]')) == [Choice([])]
    with pytest.raises(msgspec.ValidationError, match="Expected `int`, got `str`"):
        BASE.decode(msgspec.Raw(b'"seven"'))


# ---- of prompts, which have facts for who is no model


def prompted(text: str, facts: Choice | None) -> Request:
    return Request("ask", "openai:m", text, str, prompt=Assembled(text, [], 1, {}, facts))


def test_facts_are_what_a_policy_is_asked_about_and_in_the_hash() -> None:
    plain, one, other = (prompted("Choose.", facts) for facts in (None, Choice(["a"]), Choice(["b"])))
    assert (plain.facts, one.facts) == ("Choose.", Choice(["a"]))
    assert len({plain.hash, one.hash, other.hash}) == 3
    assert plain.hash == Request("ask", "openai:m", "Choose.", str).hash


def test_an_ask_in_flight_goes_on_about_the_text_and_the_facts_that_were_sent() -> None:
    sent = AskSent("h", 0, "openai:m", msgspec.Raw(canonical("Then.")), facts=msgspec.Raw(canonical(Choice(["then"]))))
    again = prompted("Now.", Choice(["now"])).about_to(sent)
    assert (again.about, again.facts) == ("Then.", Choice(["then"]))
    only_facts = prompted("Then.", Choice(["now"])).about_to(sent)
    assert only_facts.facts == Choice(["then"])
    same = prompted("Then.", Choice(["then"]))
    assert same.about_to(sent) is same
