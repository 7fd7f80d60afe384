"""Dead letters: those that wait, and taking them up again."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.log import Attempted, Dead, Decided, Ended, Events, Retried
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.engine.loop import Engine
    from extrovert.stores.sqlite import SqliteStore

__all__ = ["Letter", "letters", "raw_of", "retry"]

_dead_or_retried: msgspec.json.Decoder[Dead | Retried] = msgspec.json.Decoder(Dead | Retried)
_ended: msgspec.json.Decoder[Decided | Ended] = msgspec.json.Decoder(Decided | Ended)
_events: msgspec.json.Decoder[Events | Decided | Attempted] = msgspec.json.Decoder(Events | Decided | Attempted)


class Letter(Record):
    """A dead letter in the log; `taken_up` is the offset at which it was taken up again, if it was."""

    offset: int
    at_us: int
    dead: Dead
    taken_up: int | None = None


def letters(store: SqliteStore) -> list[Letter]:
    """All dead letters, in order, those taken up again included."""
    found: dict[int, Letter] = {}
    for entry in store.dead():
        body = _dead_or_retried.decode(entry.body)
        if isinstance(body, Dead):
            found[entry.offset] = Letter(entry.offset, entry.at_us, body)
        elif body.letter in found:
            found[body.letter] = found[body.letter].but(taken_up=entry.offset)
    return list(found.values())


def raw_of(dead: Dead) -> bytes:
    """What came in, byte by byte."""
    return b64decode(dead.raw) if dead.encoding == "base64" else dead.raw.encode()


def retry(engine: Engine, store: SqliteStore, wanted: Iterable[int]) -> list[tuple[int, str]]:
    """Takes the dead letters at these offsets up again: what came in goes through intake, a failed wake is due again.

    Returns (offset, why not) for each, with "" where all is well. One that is rejected again is a new dead letter.
    """
    known = {letter.offset: letter for letter in letters(store)}
    return [(offset, _retried(engine, store, known.get(offset))) for offset in wanted]


def _retried(engine: Engine, store: SqliteStore, letter: Letter | None) -> str:
    if letter is None:
        return "there is no dead letter at this offset"
    if letter.taken_up is not None:
        return f"it was taken up before, at {letter.taken_up}"
    dead = letter.dead
    if dead.agent:
        if dead.agent not in engine.shard.fold.agents:
            return f"there is no agent `{dead.agent}` any more"
        engine.shard.take_up(letter.offset, dead, dead.events or _seen_by(store, dead.turn))
        return ""
    try:
        # An event that a table could not fold has been in the log, and so would count as a duplicate of itself.
        again = dead.event is not None
        report = engine.intake.lines(
            dead.stream, raw_of(dead), source=dead.source, first_line=dead.line or 1, again=again
        )
    except DeclarationError as error:
        return str(error)
    engine.shard.take_up(letter.offset, dead)
    return report.rejected[0][1] if report.rejected else ""


def _seen_by(store: SqliteStore, turn: str) -> list[tuple[int, msgspec.Raw]]:
    """The events that a turn on a stream had, with their offsets."""
    found: list[tuple[int, msgspec.Raw]] = []
    for ended in store.ended(turn=turn, limit=1):
        for offset in _ended.decode(ended.body).wake.events:
            entry = store.at(offset)
            assert entry is not None
            body = _events.decode(entry.body)
            place = offset - entry.offset
            found.append((offset, body.data[place] if isinstance(body, Events) else body.emits[place - 1].data))
    return found
