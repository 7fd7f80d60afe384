"""The rows of the ledger's tables, and how they are made of the log's entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from extrovert.core.asked import text_of
from extrovert.core.log import (
    Answered,
    AskSent,
    Attempted,
    Dead,
    Decided,
    EffectMoved,
    Ended,
    Entry,
    Failed,
    Told,
)
from extrovert.core.record import Record
from extrovert.core.time import from_us

__all__ = [
    "LedgerAsk",
    "LedgerAttempt",
    "LedgerDecision",
    "LedgerEffect",
    "LedgerEmit",
    "LedgerHeard",
    "LedgerLetter",
    "LedgerLine",
    "LedgerRead",
    "LedgerTold",
    "LedgerWrite",
    "answered",
    "ask_of",
    "attempt_of",
    "decided",
    "effect_of",
    "ended",
    "failed",
    "letter_of",
    "lines_of",
    "moved",
    "told_of",
]


class LedgerDecision(Record):
    """A turn that ended. `outcome` is decided, shadow, gone, stale, dropped, contended, cycle or failed;
    `due_at` is when its wake was; `tainted` names the text from outside that a decision had read."""

    decision: str
    agent: str
    key: str
    at: datetime
    outcome: str
    cause: str
    guarded: bool
    woken_by: str
    wake_offset: int
    due_at: datetime
    attempts: int
    asks_saved: int
    context_age_ms: float | None
    reads: int
    writes: int
    emits: int
    effects: int
    undoes: list[str]
    tainted: list[str]
    offset: int


class LedgerRead(Record):
    """One read of a decision, and the version that it saw (an offset, a count, or a truth, as JSON)."""

    decision: str
    kind: str
    of: str
    at: Any
    version: Any


class LedgerHeard(Record):
    """A stream with a source on which a decision's reads hang, and how long before it that was last heard (None:
    never). Where it was `silent` for longer than its agent allows, its fallback answered."""

    decision: str
    stream: str
    age_ms: float | None
    silent: bool


class LedgerWrite(Record):
    """A row that a decision wrote; null where it deleted it."""

    decision: str
    table: str
    key: str
    row: Any


class LedgerEmit(Record):
    """An event that a decision emitted; `due_at` where that was for later."""

    decision: str
    stream: str
    key: str
    due_at: datetime | None
    data: Any


class LedgerAttempt(Record):
    """An attempt that ended at a question (`stopped` is asked), was held until it hears of `silent` streams (held) or
    raised (failed); those that decided are decisions."""

    decision: str
    attempt: int
    at: datetime
    why: str
    stopped: str
    changed: list[str]
    asks: int
    joined: int
    cancelled: int
    refused: list[str]
    silent: list[str]
    cause: str
    offset: int


class LedgerAsk(Record):
    """A question that a turn asked, whole, and its answer. `told` names what the model was told beside it. `state` is
    answered, cancelled, failed (the attempt was), dropped (its turn ended first) or open. Where it has limits it was
    let through at `admitted_at`, after it had waited for `waited_for`, and `fallback` was asked in the place of its
    model, because of `fallback_why`."""

    decision: str
    hash: str
    occurrence: int
    kind: str
    model: str
    request: Any
    sent_at: datetime
    state: str
    ended_at: datetime | None
    answer: Any
    answered_by: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    told: str = ""
    admitted_at: datetime | None = None
    waited_for: str = ""
    fallback: str = ""
    fallback_why: str = ""


class LedgerLine(Record):
    """Lines of a prompt, from `line` to `last`, and where they come from: the row, event or value at the key `at` of
    the table, stream or view `of`, and its `version`; "" where they were computed. `through` names an index, a search,
    a field of a view's value, or says that the row was the turn's own write."""

    decision: str
    hash: str
    occurrence: int
    line: int
    last: int
    text: str
    of: str
    at: str
    version: int
    through: str


class LedgerTold(Record):
    """What models are told beside what they are asked: the agent's instructions, the model's parameters (null: none),
    the schema of the wanted answer, and the tools that they were offered (null: none)."""

    told: str
    at: datetime
    instructions: str
    parameters: Any
    schema: Any
    tools: Any = None


class LedgerEffect(Record):
    """An effect: `id` is its idempotency key, `tries` how often it was performed, `outcome` what the act returned."""

    id: str
    decision: str
    effect: str
    args: Any
    state: str
    tries: int
    intended_at: datetime | None
    moved_at: datetime
    outcome: Any
    error: str
    by: str


class LedgerLetter(Record):
    """A dead letter: `retried` where it was taken up again."""

    offset: int
    at: datetime
    stream: str
    agent: str
    key: str
    cause: str
    raw: str
    retried: bool


def _text(key: Any) -> str:
    return key if isinstance(key, str) else msgspec.json.encode(key).decode()


def decided(body: Decided, entry: Entry) -> Iterator[Record]:
    name = body.turn
    yield LedgerDecision(
        name,
        body.agent,
        _text(body.key),
        from_us(entry.at_us),
        body.outcome,
        "",
        body.guarded,
        body.wake.on,
        body.wake.offset,
        from_us(body.wake.at_us),
        body.attempt,
        body.saved,
        body.age_us / 1000,
        len(body.reads),
        len(body.writes),
        len(body.emits),
        len(body.effects),
        body.undoes,
        body.tainted,
        entry.offset,
    )
    for read in body.reads:
        yield LedgerRead(name, read.kind, read.of, read.at, read.version)
    for stream, age_us in body.heard.items():
        yield LedgerHeard(name, stream, None if age_us is None else age_us / 1000, stream in body.silent)
    for write in body.writes:
        yield LedgerWrite(name, write.to, _text(write.key), write.row)
    for emit in body.emits:
        due_at = None if emit.due_us is None else from_us(emit.due_us)
        yield LedgerEmit(name, emit.to, _text(emit.key), due_at, emit.data)


def ended(body: Ended, entry: Entry) -> Record:
    return LedgerDecision(
        body.turn,
        body.agent,
        _text(body.key),
        from_us(entry.at_us),
        body.outcome,
        body.cause,
        False,
        body.wake.on,
        body.wake.offset,
        from_us(body.wake.at_us),
        body.attempt,
        0,
        None,
        *(0, 0, 0, 0),
        [],
        [],
        entry.offset,
    )


def attempt_of(body: Attempted, entry: Entry) -> Record:
    return LedgerAttempt(
        body.turn,
        body.attempt,
        from_us(entry.at_us),
        body.why,
        "held" if body.silent else "asked",
        body.changed,
        len(body.asks),
        len(body.joined),
        len(body.cancelled),
        body.refused,
        body.silent,
        "",
        entry.offset,
    )


def failed(body: Failed, entry: Entry) -> Record:
    at = from_us(entry.at_us)
    return LedgerAttempt(body.turn, body.attempt, at, "", "failed", [], 0, 0, 0, [], [], body.cause, entry.offset)


def ask_of(turn: str, sent: AskSent, at: datetime) -> LedgerAsk:
    return LedgerAsk(
        turn,
        sent.hash,
        sent.occurrence,
        sent.kind,
        sent.model,
        sent.request,
        at,
        "open",
        *(None, None, "", 0, 0, None),
        told=sent.told,
    )


def lines_of(turn: str, sent: AskSent) -> Iterator[Record]:
    """The lines of a prompt that come from facts; their text is empty where the log does not have it any more."""
    text = text_of(sent.request, sent.steps).split("\n") if sent.lines else []
    for one in sent.lines:
        said = "\n".join(text[one.first - 1 : one.last])
        at = "" if one.at is None else _text(one.at)
        yield LedgerLine(
            turn, sent.hash, sent.occurrence, one.first, one.last, said, one.of, at, one.version, one.through
        )


def told_of(body: Told, at: datetime) -> Record:
    return LedgerTold(body.told, at, body.instructions, body.parameters, body.schema, body.tools)


def answered(ask: LedgerAsk, body: Answered, at: datetime) -> Record:
    answered = ask.but(state="answered", ended_at=at, answer=body.answer)
    usage = body.usage
    if usage is None:
        return answered
    return answered.but(
        answered_by=usage.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=None if usage.cost_nano_usd is None else usage.cost_nano_usd / 1e9,
    )


def effect_of(key: str, turn: str, effect: str, args: msgspec.Raw, at: datetime | None) -> LedgerEffect:
    return LedgerEffect(key, turn, effect, args, "intended", 0, at, at or from_us(0), None, "", "")


def moved(known: LedgerEffect, move: EffectMoved, at: datetime) -> LedgerEffect:
    return known.but(
        state=move.state,
        tries=known.tries + (move.state == "performing"),
        moved_at=at,
        outcome=move.outcome,
        error=move.error,
        by=move.by,
    )


def letter_of(body: Dead, entry: Entry) -> LedgerLetter:
    key = "" if body.key is None else _text(body.key)
    return LedgerLetter(entry.offset, from_us(entry.at_us), body.stream, body.agent, key, body.cause, body.raw, False)
