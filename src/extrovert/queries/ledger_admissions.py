"""The rows of asks with limits that were let through, and how they are made of the log's entries."""

from __future__ import annotations

from datetime import datetime

from extrovert.core.log import Admitted, Answered, Entry, Unanswered
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.queries.ledger_rows import LedgerAsk

__all__ = ["LedgerAdmission", "admission_of", "charged"]


class LedgerAdmission(Record):
    """An ask with limits that was let through: what was reserved for it, and what it is charged.

    `model` was asked, `asked_at` is when the turn asked. `state` is answered, unanswered (an error came), cancelled,
    failed (the attempt was), dropped (its turn ended first), lost (it was let through anew after a crash) or open.
    """

    decision: str
    hash: str
    occurrence: int
    agent: str
    model: str
    accounts: list[str]
    asked_at: datetime | None
    admitted_at: datetime
    waited_ms: float | None
    waited_for: str
    fallback_why: str
    state: str
    ended_at: datetime | None
    reserved_tokens: int
    reserved_usd: float
    charged_tokens: int
    charged_usd: float
    offset: int


def admission_of(body: Admitted, ask: LedgerAsk | None, entry: Entry) -> LedgerAdmission:
    """All that is reserved is charged until it is known what was taken."""
    at, usd = from_us(entry.at_us), body.cost_nano_usd / 1e9
    return LedgerAdmission(
        body.turn,
        body.hash,
        body.occurrence,
        body.turn.partition(":")[0],
        body.model,
        body.accounts,
        None if ask is None else ask.sent_at,
        at,
        None if ask is None else (at - ask.sent_at).total_seconds() * 1000,
        body.waited_for,
        body.why,
        "open",
        None,
        body.tokens,
        usd,
        body.tokens,
        usd,
        entry.offset,
    )


def charged(known: LedgerAdmission, body: Answered | Unanswered, at: datetime) -> Record:
    """An admission is over: it is charged what is known to have been taken, and else all that was reserved."""
    if isinstance(body, Unanswered):
        over = known.but(state="unanswered", ended_at=at)
        return over.but(charged_tokens=0, charged_usd=0.0) if body.free else over
    over, usage = known.but(state="answered", ended_at=at), body.usage
    if usage is None:
        return over
    priced = known.reserved_usd > 0 and usage.cost_nano_usd is not None
    return over.but(
        charged_tokens=usage.input_tokens + usage.output_tokens,
        charged_usd=(usage.cost_nano_usd or 0) / 1e9 if priced else known.reserved_usd,
    )
