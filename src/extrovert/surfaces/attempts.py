"""The attempts of a story: what each asked, and what came of that."""

from __future__ import annotations

from datetime import datetime

import msgspec

from extrovert.core.log import Admitted, Answered, AskSent, Lines, is_null
from extrovert.core.record import Record

__all__ = ["Asked", "Attempt", "admit", "answer", "asked", "cancel"]


class Asked(Record):
    """One ask: `used` where the decision rests on its answer, `cancelled` where nobody waited for one any more.

    `kind` is ask, call, or that of a wait: sleep, next or approval. Where it has limits, it waited `waited_ms` for
    `waited_for`, and `fallback` answered in the place of its `model`, because of `fallback_why`. `told` names what the
    model was told beside it. With tools `about` is a list of `steps`, see `AskSent`. `lines` says where the lines of a
    prompt come from, and `facts` what a policy that answers in the model's place is given.
    """

    hash: str
    model: str
    about: msgspec.Raw
    sent_at: datetime
    kind: str = "ask"
    answer: msgspec.Raw | None = None
    thought_ms: float | None = None
    used: bool = False
    cancelled: bool = False
    waited_ms: float | None = None
    waited_for: str = ""
    fallback: str = ""
    fallback_why: str = ""
    told: str = ""
    steps: int = 0
    lines: list[Lines] = []
    facts: msgspec.Raw | None = None


class Attempt(Record):
    """One attempt: why it was run, the reads that had `changed` since the one before, and how it ended.

    `asked` is what it sent, `joined` the hashes of asks in flight that it asked again; `saved` counts the answers that
    it found, in a run that a change made necessary; `failed` is what it raised. It waited to hear of `silent` streams.
    """

    number: int
    at: datetime
    why: str
    changed: list[str] = []
    asked: list[Asked] = []
    joined: list[str] = []
    refused: list[str] = []
    saved: int = 0
    failed: str = ""
    retry_at: datetime | None = None
    silent: list[str] = []


def asked(sent: AskSent, at: datetime) -> Asked:
    """An ask as it was sent, whole."""
    facts = None if is_null(sent.facts) else sent.facts
    return Asked(
        sent.hash,
        sent.model,
        sent.request,
        at,
        sent.kind,
        told=sent.told,
        steps=sent.steps,
        lines=sent.lines,
        facts=facts,
    )


def cancel(attempts: list[Attempt], hashes: list[str]) -> None:
    """Nobody waits any more for what these hashes asked."""
    for number, attempt in enumerate(attempts):
        asks = [ask.but(cancelled=True) if ask.answer is None and ask.hash in hashes else ask for ask in attempt.asked]
        attempts[number] = attempt.but(asked=asks)


def admit(attempts: list[Attempt], admitted: Admitted, at: datetime) -> None:
    """The latest ask that this belongs to was sent, perhaps to a fallback."""
    for number, place, ask in _open(attempts, admitted.hash):
        waited_ms = (at - ask.sent_at).total_seconds() * 1000
        to = "" if admitted.model == ask.model else admitted.model
        sent = ask.but(waited_ms=waited_ms, waited_for=admitted.waited_for, fallback=to, fallback_why=admitted.why)
        _change(attempts, number, place, sent)
        return


def answer(attempts: list[Attempt], answered: Answered, at: datetime, used: bool) -> None:
    """Gives an answer to the latest ask that it belongs to."""
    for number, place, ask in _open(attempts, answered.hash):
        thought_ms = (at - ask.sent_at).total_seconds() * 1000 - (ask.waited_ms or 0)
        _change(attempts, number, place, ask.but(answer=answered.answer, thought_ms=thought_ms, used=used))
        return


def _open(attempts: list[Attempt], of: str) -> list[tuple[int, int, Asked]]:
    """The asks with this hash that have no answer yet, those of the latest attempt first."""
    return [
        (number, place, ask)
        for number in reversed(range(len(attempts)))
        for place, ask in enumerate(attempts[number].asked)
        if ask.hash == of and ask.answer is None
    ]


def _change(attempts: list[Attempt], number: int, place: int, ask: Asked) -> None:
    asks = attempts[number].asked
    attempts[number] = attempts[number].but(asked=[*asks[:place], ask, *asks[place + 1 :]])
