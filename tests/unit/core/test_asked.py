"""Prompts that repeat each other are held by what differs, and given back as they were."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from extrovert.core.asked import AskSent, shortened, whole
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import Attempted

LONG = "The flight is late. " * 50

_pieces = st.lists(st.sampled_from([LONG, LONG[:300], "ä€😀" * 90, '"\\\n' * 120]) | st.text(max_size=20), max_size=4)
_prompts = st.lists(_pieces.map("".join), max_size=6)


def asked(*prompts: object, model: str = "model:fast", kind: str = "ask") -> list[AskSent]:
    texts = list(map(canonical, prompts))
    return [AskSent(fingerprint(text), 0, model, msgspec.Raw(text), kind) for text in texts]


def size(asks: list[AskSent]) -> int:
    return len(msgspec.json.encode(asks))


def logged(asks: list[AskSent]) -> list[AskSent]:
    """The asks as they are read from the log."""
    raw = msgspec.json.encode(Attempted("t", "a", "k", 1, "woken", asks=asks))
    return msgspec.json.decode(raw, type=Attempted).asks


def same(one: list[AskSent], other: list[AskSent]) -> bool:
    return msgspec.json.encode(one) == msgspec.json.encode(other)


@given(_prompts, _prompts)
def test_what_was_asked_comes_back_byte_for_byte(before: list[str], now: list[str]) -> None:
    known, asks = asked(*before), asked(*now)
    short = logged(shortened(asks, known))
    assert same(whole(short, known), asks)
    assert size(short) <= size(asks)


def test_a_word_that_differs_is_all_that_is_held() -> None:
    known, asks = asked(LONG + "F1 is full." + LONG), asked(LONG + "F2 is full." + LONG)
    (short,) = shortened(asks, known)
    assert (bytes(short.request), short.like) == (b'"2"', known[0].hash)
    assert same(whole([short], known), asks)


def test_a_second_question_is_held_by_what_it_adds_to_the_first_of_the_same_attempt() -> None:
    asks = asked(LONG, LONG + "And now?")
    short = shortened(asks, [])
    assert [one.like for one in short] == ["", asks[0].hash]
    assert same(whole(short, []), asks)


def test_of_several_that_are_there_the_nearest_is_taken() -> None:
    known = asked("x" + LONG[:500] + "y" * 700, LONG + "one", "z" * 900)
    (short,) = shortened(asked(LONG + "two"), known)
    assert short.like == known[1].hash


def test_what_saves_little_and_what_is_no_prompt_stays_whole() -> None:
    half = asked(LONG[:500] + "b" * 600)
    assert same(shortened(half, asked(LONG[:500] + "a" * 600)), half)
    for kind, model in (("ask", "policy:any"), ("call", "shop.price"), ("next", "stream")):
        asks = asked(LONG + "2", kind=kind, model=model)
        assert same(shortened(asks, asked(LONG + "1", kind=kind, model=model)), asks)


def test_what_repeats_something_that_is_gone_is_null() -> None:
    short = shortened(asked(LONG + "2"), asked(LONG + "1"))
    assert bytes(whole(short, [])[0].request) == b"null"
