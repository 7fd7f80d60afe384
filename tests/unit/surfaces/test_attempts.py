"""What is told of one attempt after the other."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Raw

from extrovert.core.log import Answered
from extrovert.surfaces.attempts import Asked, Attempt, answer, cancel

AT = datetime(2026, 1, 1, tzinfo=UTC)


def attempts(*asked: list[str]) -> list[Attempt]:
    """Attempts that asked these, by the hashes of what they asked."""
    return [
        Attempt(number, AT, "woken", asked=[Asked(one, "policy:any", Raw(b"null"), AT) for one in hashes])
        for number, hashes in enumerate(asked, start=1)
    ]


def cancelled(of: list[Attempt]) -> list[str]:
    return [ask.hash for attempt in of for ask in attempt.asked if ask.cancelled]


def test_what_is_cancelled_stays_so_when_another_ask_of_its_attempt_is_cancelled_too() -> None:
    of = attempts(["a", "b"], ["c"])
    cancel(of, ["a"])
    cancel(of, ["b"])
    assert cancelled(of) == ["a", "b"]


def test_what_has_its_answer_is_cancelled_no_more() -> None:
    of = attempts(["a"])
    answer(of, Answered("turn", "a", 0, Raw(b"1")), AT, used=True)
    cancel(of, ["a"])
    assert cancelled(of) == []
