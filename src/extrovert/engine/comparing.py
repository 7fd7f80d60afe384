"""Comparing: what two versions of an agent made of the same wake, and where they differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import Decided, Emit, Ended, GuardNote, Intent, Usage, Write
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.engine.recorded import Given

__all__ = ["Compared", "Side", "Totals", "compared", "side_of", "spent", "totals"]

THOUGHT = frozenset({"ask", "call"})
"""The kinds of asks whose answer is somebody's work; the rest are waits."""


class Side(Record, kw_only=True):
    """What came of a wake: `outcome` is decided, gone, stale, dropped, contended, failed, or missed: it asked what
    nobody answers or would have waited for its sources, told in `cause`.

    `asks` is how many answers of models, policies and calls that rests on, with those that it refused; `remembered` how
    many of them were in the log; what these cost, in billionths of a US dollar (None: not known), their tokens, and how
    long was thought about them, where asks that wait together count once.
    """

    outcome: str
    cause: str = ""
    writes: list[Write] = []
    emits: list[Emit] = []
    effects: list[Intent] = []
    undoes: list[str] = []
    asks: int = 0
    remembered: int = 0
    cost_nano_usd: int | None = 0
    input_tokens: int = 0
    output_tokens: int = 0
    thought_ms: float = 0.0


class Compared(Record, kw_only=True, tag="wake", tag_field="kind"):
    """One wake, as it was `recorded` and as the `version` would have it. `differs` names outcome, writes, emits,
    effects and undoes, those that are not alike; where there are none, both decided the same."""

    turn: str
    agent: str
    key: Any
    offset: int
    at: datetime
    version: str
    differs: list[str]
    recorded: Side
    candidate: Side

    @property
    def same(self) -> bool:
        """Whether both came to the same."""
        return not self.differs


class Totals(Record, kw_only=True, tag="totals", tag_field="kind"):
    """All wakes of one version: how many came out the same or not, could not be played to their end (`missed`), and
    what both took. A cost is None where a part of it is not known."""

    version: str
    wakes: int
    same: int
    differ: int
    missed: int
    failed: int
    differs: dict[str, int]
    recorded_cost_nano_usd: int | None
    cost_nano_usd: int | None
    recorded_tokens: int
    tokens: int
    asks: int
    remembered: int
    recorded_thought_ms: list[float]
    thought_ms: list[float]


def spent(side: Side, usages: Iterable[Usage | None]) -> Side:
    """The side with what its answers cost."""
    known = [usage for usage in usages if usage is not None]
    costs = [usage.cost_nano_usd for usage in known if usage.cost_nano_usd is not None]
    return side.but(
        cost_nano_usd=sum(costs) if len(costs) == len(known) else None,
        input_tokens=sum(usage.input_tokens for usage in known),
        output_tokens=sum(usage.output_tokens for usage in known),
    )


def side_of(body: Decided | Ended, given: Collection[Given]) -> Side:
    """What is recorded of a turn's end, and what the answers took on which it rests."""
    if isinstance(body, Ended):
        return Side(outcome=body.outcome, cause=body.cause)
    used = [one for one in given if one.kind in THOUGHT and one.answer.offset in body.answers]
    if body.refused:
        refused = [one for one in given if one.kind == "ask" and one.refused and one not in used]
        used = [*refused[-len(body.refused) :], *used]
    side = Side(
        outcome="decided",
        writes=body.writes,
        emits=body.emits,
        effects=body.effects,
        undoes=body.undoes,
        asks=len(used),
        remembered=len(used),
        thought_ms=_thought_us((one.answer.at_us - one.thought_us, one.answer.at_us) for one in used) / 1000,
    )
    return spent(side, (one.usage for one in used))


def _thought_us(spans: Iterable[tuple[int, int]]) -> int:
    """How long somebody thought, where several may think at the same time."""
    total = until_us = 0
    for start_us, end_us in sorted(spans):
        total += max(0, end_us - max(start_us, until_us))
        until_us = max(until_us, end_us)
    return total


def compared(body: Decided | Ended, offset: int, at_us: int, version: str, recorded: Side, candidate: Side) -> Compared:
    """The two sides of one wake, beside each other."""
    differs = ["outcome"] if recorded.outcome != candidate.outcome else []
    if candidate.outcome != "missed":
        differs += [part for part, said in _said(candidate).items() if said != _said(recorded)[part]]
    return Compared(
        turn=body.turn,
        agent=body.agent,
        key=body.key,
        offset=offset,
        at=from_us(at_us),
        version=version,
        differs=differs,
        recorded=recorded,
        candidate=candidate,
    )


def _said(side: Side) -> dict[str, Any]:
    """What a decision does, so that what does the same is equal."""
    return {
        "writes": sorted((write.to, canonical(write.key), _json(write.row)) for write in side.writes),
        "emits": [(emit.to, canonical(emit.key), _json(emit.data), emit.due_us) for emit in side.emits],
        "effects": [(one.effect, _json(one.args), one.once, _guard(one.guard)) for one in side.effects],
        "undoes": side.undoes,
    }


def _json(raw: msgspec.Raw) -> bytes:
    return canonical(msgspec.json.decode(raw))


def _guard(note: GuardNote | None) -> tuple[str, bytes]:
    return ("", b"") if note is None else (note.guard, _json(note.args))


def totals(version: str, found: Iterable[Compared]) -> Totals:
    """The sums of one version."""
    all_of = list(found)
    missed = [one for one in all_of if one.candidate.outcome == "missed"]
    played = [one for one in all_of if one.candidate.outcome != "missed"]
    parts = [part for one in played for part in one.differs]
    return Totals(
        version=version,
        wakes=len(all_of),
        same=sum(one.same for one in played),
        differ=sum(not one.same for one in played),
        missed=len(missed),
        failed=sum(one.candidate.outcome == "failed" for one in played),
        differs={part: parts.count(part) for part in dict.fromkeys(parts)},
        recorded_cost_nano_usd=_sum(one.recorded.cost_nano_usd for one in played),
        cost_nano_usd=_sum(one.candidate.cost_nano_usd for one in played),
        recorded_tokens=sum(one.recorded.input_tokens + one.recorded.output_tokens for one in played),
        tokens=sum(one.candidate.input_tokens + one.candidate.output_tokens for one in played),
        asks=sum(one.candidate.asks for one in played),
        remembered=sum(one.candidate.remembered for one in played),
        recorded_thought_ms=_quantiles(one.recorded.thought_ms for one in played),
        thought_ms=_quantiles(one.candidate.thought_ms for one in played),
    )


def _sum(costs: Iterable[int | None]) -> int | None:
    known = list(costs)
    return None if None in known else sum(one for one in known if one is not None)


def _quantiles(values: Iterable[float]) -> list[float]:
    """The median and the 95th percentile: the smallest value that is not below so many of them."""
    ordered = sorted(values)
    return [ordered[max(0, -(-len(ordered) * part // 100) - 1)] for part in (50, 95)] if ordered else [0.0, 0.0]
