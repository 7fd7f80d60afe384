"""Recorded: the turns that the log tells of, each with the context as it was when that turn ended.

A decision is an attempt over the context just before its entry. So the fold of all entries below is the context that
the decision knew, and another attempt over it meets the same world.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.log import Answered, Attempted, Body, Decided, Ended, Entry, Usage
from extrovert.core.ports import Store
from extrovert.core.time import from_us
from extrovert.engine.declared import Declared
from extrovert.engine.recovery import taken_up
from extrovert.turns.fold import Fold
from extrovert.turns.request import Answer, Place
from extrovert.turns.running import Running

__all__ = ["Given", "Recorded", "begins_us", "given_in", "recorded"]

_body: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_end: msgspec.json.Decoder[Decided | Ended] = msgspec.json.Decoder(Decided | Ended)


class Given(msgspec.Struct, frozen=True):
    """An answer and what it took: how long was thought about it, and what that cost. Where it was `refused`, the turn
    asked again right after it."""

    answer: Answer
    kind: str
    thought_us: int
    usage: Usage | None = None
    refused: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """A turn that ended at `at_us`, as `body` tells, with the `fold` just before. `turn` has its events and answers,
    `given` the same answers with what they took, as far as the log still tells."""

    body: Decided | Ended
    at_us: int
    fold: Fold
    turn: Running
    given: dict[Place, Given]


def begins_us(store: Store) -> int | None:
    """The engine's time from which on turns can be played again; None: from the beginning."""
    if store.begins() <= 1:
        return None
    bases = store.bases()
    return bases[0].at_us + 1 if bases else None  # what happened at that very moment may be in the base


def recorded(
    declared: Declared, store: Store, agent: str, since_us: int | None = None, until_us: int | None = None
) -> Iterator[Recorded]:
    """The turns of an agent that ended from `since_us` on and before `until_us`, in order; each is good until the next.

    Raises `DeclarationError` where the log is not kept from there on, or does not fit the app.
    """
    kept_us = begins_us(store)
    if since_us is not None and kept_us is not None and since_us < kept_us:
        raise DeclarationError(
            f"What was before {from_us(kept_us):%Y-%m-%dT%H:%M:%S.%fZ} cannot be played again: the log and its bases "
            f"are kept from then on. Begin there (--since), or keep more: App(…, retention=…)."
        )
    since_us = since_us or kept_us or 0
    fits = [base.offset for base in store.bases() if base.at_us < since_us]
    fold = taken_up(declared, store, fits[-1] if fits else 1)
    for entry in store.entries(fold.end):
        if until_us is not None and entry.at_us >= until_us:
            return
        if entry.at_us >= since_us and entry.kind in ("decided", "ended"):
            body = _end.decode(entry.body)
            if body.agent == agent:
                fold.context.clock_is(entry.at_us)
                _hear(fold, body, entry.at_us)
                yield Recorded(body, entry.at_us, fold, _turn(fold, body, entry.at_us), given_in(store, body))
        fold.replay(entry)
        fold.intents.clear()


def _hear(fold: Fold, body: Decided | Ended, at_us: int) -> None:
    """What the engine knew of sources then: a heartbeat of which no entry tells, since nothing hung on it, is noted in
    the decision."""
    for stream, age_us in body.heard.items() if isinstance(body, Decided) else ():
        if age_us is not None:
            fold.context.freshness.heard(stream, at_us - age_us)


def _turn(fold: Fold, body: Decided | Ended, at_us: int) -> Running:
    """The turn that is about to end; where this is its first entry, as it began."""
    running = fold.running.get(body.turn)
    if running is not None:
        return running
    waiting = fold.books[body.agent].events.get(body.key, [])
    events = [pair for pair in waiting if pair[0] in body.wake.events]
    return Running(fold.agents[body.agent], body.key, body.wake, events, at_us)


def given_in(store: Store, body: Decided | Ended) -> dict[Place, Given]:
    """What a turn was answered, by its trail in the log."""
    found: dict[Place, Given] = {}
    sent: dict[Place, tuple[str, int]] = {}
    latest: Place | None = None
    for offset in body.trail:
        for entry in _at(store, offset):
            said: Any = _body.decode(entry.body)
            if isinstance(said, Attempted):
                sent.update({(ask.hash, ask.occurrence): (ask.kind, entry.at_us) for ask in said.asks})
                if latest is not None and said.refused and said.asks:
                    found[latest] = msgspec.structs.replace(found[latest], refused=True)
                latest = None
            elif isinstance(said, Answered):
                latest = place = (said.hash, said.occurrence)
                kind, sent_us = sent.get(place, ("", entry.at_us))
                answer = Answer(entry.offset, entry.at_us, said.answer)
                found[place] = Given(answer, kind, entry.at_us - sent_us, said.usage)
    return found


def _at(store: Store, offset: int) -> Iterator[Entry]:
    """The entry at `offset`, if it is still there."""
    for entry in store.entries(offset):
        if entry.offset == offset:
            yield entry
        return
