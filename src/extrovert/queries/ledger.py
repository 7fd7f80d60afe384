"""The ledger as relations: what the log tells of decisions, asks and effects, in tables that a query can name.

They are projections of the log, made when they are asked for; nothing is kept twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from extrovert.core.asked import is_prompt, whole
from extrovert.core.log import (
    Admitted,
    Answered,
    AskSent,
    Attempted,
    Body,
    Dead,
    Decided,
    EffectStep,
    Ended,
    Entry,
    Failed,
    Retried,
    Told,
    Unanswered,
)
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.queries.arrow import Gathered
from extrovert.queries.columns import columns_of
from extrovert.queries.ledger_admissions import LedgerAdmission, admission_of, charged
from extrovert.queries.ledger_rows import (
    LedgerAsk,
    LedgerAttempt,
    LedgerDecision,
    LedgerEffect,
    LedgerEmit,
    LedgerHeard,
    LedgerLetter,
    LedgerLine,
    LedgerRead,
    LedgerTold,
    LedgerWrite,
    answered,
    ask_of,
    attempt_of,
    decided,
    effect_of,
    ended,
    failed,
    letter_of,
    lines_of,
    moved,
    told_of,
)
from extrovert.queries.relations import Part, Relation
from extrovert.turns.outbox import ENDS, UNDO

__all__ = ["LEDGER", "gathered", "with_ledger"]

KINDS = (
    *("attempted", "admitted", "answered", "unanswered", "decided", "ended", "failed"),
    *("effects", "dead", "retried", "told"),
)
"""The kinds of entries that the ledger is made of."""

_body = msgspec.json.Decoder(Body)
_RECORDS: dict[str, type[Record]] = {
    "ledger_admissions": LedgerAdmission,
    "ledger_asks": LedgerAsk,
    "ledger_attempts": LedgerAttempt,
    "ledger_dead_letters": LedgerLetter,
    "ledger_decisions": LedgerDecision,
    "ledger_effects": LedgerEffect,
    "ledger_emits": LedgerEmit,
    "ledger_heard": LedgerHeard,
    "ledger_lines": LedgerLine,
    "ledger_reads": LedgerRead,
    "ledger_told": LedgerTold,
    "ledger_writes": LedgerWrite,
}
_NAMES: dict[type[Any], str] = {record: name for name, record in _RECORDS.items()}
LEDGER = [Relation(name, list(columns_of(record)), "ledger") for name, record in _RECORDS.items()]
"""What a query can name."""

AT_A_TIME = 1_000


def with_ledger(known: Sequence[Relation]) -> list[Relation]:
    """What can be named, with the ledger's; a table or view of the app goes before one of the ledger's of its name."""
    names = {one.name for one in known}
    return [*known, *(one for one in LEDGER if one.name not in names)]


def gathered(entries: Iterable[Entry], wanted: Iterable[Relation]) -> dict[str, Gathered]:
    """The rows of these relations of the ledger, from the entries of the log, in order."""
    found = {one.name: Gathered(one) for one in wanted}
    held: dict[str, list[Record]] = {name: [] for name in found}
    for name, row in _Told(frozenset(found)).rows(entries):
        held[name].append(row)
        if len(held[name]) >= AT_A_TIME:
            found[name].add(Part(name, held[name]))
            held[name] = []
    for name, rows in held.items():
        found[name].add(Part(name, rows))
    return found


class _Told:
    """Follows the log, and tells what is over; at its end, what is not."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.asks: dict[str, dict[tuple[str, int], LedgerAsk]] = {}
        self.admissions: dict[str, dict[tuple[str, int], LedgerAdmission]] = {}
        self.prompts: dict[str, list[AskSent]] = {}
        self.told: set[str] = set()
        self.effects: dict[str, LedgerEffect] = {}
        self.letters: dict[int, LedgerLetter] = {}

    def rows(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Record]]:
        for entry in entries:
            if entry.kind in KINDS:
                for row in self._told(_body.decode(entry.body), entry):
                    if (name := _NAMES[type(row)]) in self.wanted:
                        yield name, row
        for row in self._left():
            if (name := _NAMES[type(row)]) in self.wanted:
                yield name, row

    def _told(self, body: Body, entry: Entry) -> Iterator[Record]:  # noqa: C901 -- a case for each kind
        at = from_us(entry.at_us)
        match body:
            case Attempted():
                yield attempt_of(body, entry)
                yield from self._asked(body, at)
            case Failed():
                yield failed(body, entry)
                yield from self._over(body.turn, "failed", at)
            case Admitted():
                yield from self._admitted(body, entry)
            case Answered():
                yield from self._answered(body, at)
            case Unanswered():
                yield from self._charged(body, at)
            case Decided():
                yield from decided(body, entry)
                yield from self._ended(body.turn, at)
                self._intended(body, at)
            case Ended():
                yield ended(body, entry)
                yield from self._ended(body.turn, at)
            case EffectStep():
                yield from self._moved(body, at)
            case Told():
                if body.told not in self.told:  # an engine from an old snapshot tells it again
                    self.told.add(body.told)
                    yield told_of(body, at)
            case Dead() | Retried():
                self._buried(body, entry)
            case _:
                pass

    def _asked(self, body: Attempted, at: datetime) -> Iterator[Record]:
        under_way = self.asks.setdefault(body.turn, {})
        for place in [place for place in under_way if place[0] in body.cancelled]:
            yield under_way.pop(place).but(state="cancelled", ended_at=at)
        admitted = self.admissions.get(body.turn, {})
        for place in [place for place in admitted if place[0] in body.cancelled]:
            yield admitted.pop(place).but(state="cancelled", ended_at=at)
        asks = whole(body.asks, self.prompts.get(body.turn, ()))
        for sent in asks:
            under_way[sent.hash, sent.occurrence] = ask_of(body.turn, sent, at)
            yield from lines_of(body.turn, sent)
        if prompts := [sent for sent in asks if is_prompt(sent)]:
            self.prompts.setdefault(body.turn, []).extend(prompts)

    def _answered(self, body: Answered, at: datetime) -> Iterator[Record]:
        ask = self.asks.get(body.turn, {}).pop((body.hash, body.occurrence), None)
        if ask is not None:
            yield answered(ask, body, at)
        yield from self._charged(body, at)

    def _admitted(self, body: Admitted, entry: Entry) -> Iterator[Record]:
        place, asks = (body.hash, body.occurrence), self.asks.get(body.turn, {})
        admissions, ask = self.admissions.setdefault(body.turn, {}), asks.get(place)
        if place in admissions:
            yield admissions[place].but(state="lost", ended_at=from_us(entry.at_us))
        admissions[place] = admission_of(body, ask, entry)
        if ask is not None:
            to = "" if body.model == ask.model else body.model
            at = from_us(entry.at_us)
            asks[place] = ask.but(admitted_at=at, waited_for=body.waited_for, fallback=to, fallback_why=body.why)

    def _charged(self, body: Answered | Unanswered, at: datetime) -> Iterator[Record]:
        admission = self.admissions.get(body.turn, {}).pop((body.hash, body.occurrence), None)
        if admission is not None:
            yield charged(admission, body, at)

    def _buried(self, body: Dead | Retried, entry: Entry) -> None:
        if isinstance(body, Dead):
            self.letters[entry.offset] = letter_of(body, entry)
        elif body.letter in self.letters:
            self.letters[body.letter] = self.letters[body.letter].but(retried=True)

    def _ended(self, turn: str, at: datetime) -> Iterator[Record]:
        self.prompts.pop(turn, None)
        return self._over(turn, "dropped", at)

    def _over(self, turn: str, state: str, at: datetime) -> Iterator[Record]:
        for ask in self.asks.pop(turn, {}).values():
            yield ask.but(state=state, ended_at=at)
        for admission in self.admissions.pop(turn, {}).values():
            yield admission.but(state=state, ended_at=at)

    def _intended(self, body: Decided, at: datetime) -> None:
        for intent in body.effects:
            key = f"{body.turn}/{intent.slot}"
            self.effects[key] = effect_of(key, body.turn, intent.effect, intent.args, at)

    def _moved(self, body: EffectStep, at: datetime) -> Iterator[Record]:
        for move in body.moves:
            known = self.effects.pop(move.key, None)
            if known is None:  # its decision is not kept any more
                known = effect_of(move.key, _decision(move.key), "", msgspec.Raw(b"null"), None)
            effect = moved(known, move, at)
            if move.retry_at_us is None and move.state in ENDS:
                yield effect
            else:
                self.effects[move.key] = effect
        for undo in body.undos:
            self.effects[undo.key] = effect_of(undo.key, _decision(undo.key), undo.effect, undo.args, at)

    def _left(self) -> Iterator[Record]:
        for asks in self.asks.values():
            yield from asks.values()
        for admissions in self.admissions.values():
            yield from admissions.values()
        yield from self.effects.values()
        yield from self.letters.values()


def _decision(effect: str) -> str:
    return effect.removesuffix(UNDO).rpartition("/")[0]
