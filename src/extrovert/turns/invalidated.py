"""Invalidated decisions, as events that agents can see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import DeclarationError
from extrovert.core.log import Invalidated
from extrovert.core.record import Record
from extrovert.core.time import from_us, span_us
from extrovert.core.untrusted import Untrusted

__all__ = [
    "INVALIDATIONS",
    "Correction",
    "DecisionInvalidated",
    "check_reach",
    "checked_horizon",
    "event_of",
    "invalidations",
]

INVALIDATIONS = "invalidations"
"""The name of the stream."""


class Correction(Record):
    """A row that a decision had read, corrected: of `table` at `key` as of the event time `as_of`, from `old` to `new`.

    Both rows are as JSON has them, so that their text counts as text from outside; None where there was, or is, none.
    `through` names the reads by which the decision
    had come to the row: the row itself, an index, a view.
    """

    table: str
    key: str | int
    as_of: datetime
    old: Untrusted[Any]
    new: Untrusted[Any]
    through: list[str]


class DecisionInvalidated(Record):
    """What `decision` had read is not what was true then, as is known now.

    `about` is the key of the `agent` that decided. `turn.undo(event.decision)` takes its effects back.
    """

    about: str | int
    decision: str
    agent: str
    reads: list[Correction]


def invalidations() -> Stream[DecisionInvalidated]:
    """The stream of them."""
    made_by = "corrections of what decisions had read"
    return Stream(INVALIDATIONS, DecisionInvalidated, "about", made_by=made_by)


def event_of(body: Invalidated) -> DecisionInvalidated:
    """The event of an entry."""
    reads = [
        Correction(
            row.table,
            row.key,
            from_us(row.as_of_us),
            msgspec.json.decode(row.old),
            msgspec.json.decode(row.new),
            row.through,
        )
        for row in body.rows
    ]
    return DecisionInvalidated(body.key, body.turn, body.agent, reads)


def checked_horizon(app: str, horizon: timedelta, known_us: int | None) -> int:
    """A horizon in microseconds. Raises `DeclarationError` where it is none, or another than the one that is known."""
    if horizon <= timedelta(0):
        raise DeclarationError(f"App `{app}`: horizon= of invalidations must be longer than nothing, not {horizon}.")
    if known_us is not None and known_us != span_us(horizon):
        known = timedelta(microseconds=known_us)
        raise DeclarationError(f"App `{app}` declares its invalidations with horizon={known} and again with {horizon}.")
    return span_us(horizon)


def check_reach(app: str, horizon_us: int, tables: Iterable[Table[Any, Any]], retention_us: int | None) -> None:
    """Raises `DeclarationError` where something is not kept as long as the horizon of corrections would need it."""
    horizon = timedelta(microseconds=horizon_us)
    spans = {table.name: table.timing.history_us for table in tables if table.timing.history_us is not None}
    if not spans:
        raise DeclarationError(
            f"App `{app}` wants to know of decisions that are invalidated, but no table keeps what its rows were, so "
            f"nothing could be corrected: app.table(…, order_by=<an event time>, history={horizon!r})."
        )
    for name, span in spans.items():
        if span < horizon_us:
            raise DeclarationError(
                f"Table `{name}` keeps {timedelta(microseconds=span)} of history, but corrections are to be noticed "
                f"for {horizon}. Keep history= as long as the horizon= of `{app}.invalidations`, or shorten that."
            )
    if retention_us is not None and retention_us < horizon_us:
        raise DeclarationError(
            f"App `{app}` keeps its log for {timedelta(microseconds=retention_us)}, but corrections are to be noticed "
            f"for {horizon}, when a decision of that age would not be there any more. Give retention= at least as long."
        )
