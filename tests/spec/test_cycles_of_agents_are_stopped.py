"""Agents that wake each other without end are noticed and stopped, visibly: after so many decisions with nothing from
outside the next wake is a dead letter, which can be taken up again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, Outcome, Record, Stream, Table, Turn
from extrovert.surfaces.retrying import letters, retry
from tests.hosts import Host, replayed
from tests.picture import picture

MOST = 10


class Note(Record):
    key: str
    number: int = 0


class Pair:
    """`audit` and `repair`, each waking on what the other emits; `until` is where it calms down by itself."""

    def __init__(self, *, until: int = 1_000_000, **options: Any) -> None:
        self.until = until
        self.app = App("pair", max_hops=MOST)
        self.audits = self.app.stream("audits", Note, key=Note.key)
        self.repairs = self.app.stream("repairs", Note, key=Note.key)

        @self.app.agent(wakes_on=self.audits, **options)
        async def audit(turn: Turn, note: Note) -> None:
            await self.wait(turn)
            if note.number < self.until:
                turn.emit(self.repairs, note.but(number=note.number + 1))

        @self.app.agent(wakes_on=self.repairs)
        async def repair(turn: Turn, note: Note) -> None:
            turn.emit(self.audits, note.but(number=note.number + 1))

    async def wait(self, turn: Turn) -> None:
        """Nothing, to begin with."""


def chain_of(host: Host, name: str = "") -> list[int]:
    """How deep each decision was, in order."""
    return [decided.wake.hops for decided in host.decisions() if name in decided.agent]


async def test_a_cycle_is_stopped_with_the_chain_as_the_cause(tmp_path: Path) -> None:
    pair = Pair()
    host = Host(pair.app, tmp_path / "log")
    await host.send(pair.audits, Note("a"))
    assert chain_of(host) == list(range(MOST))
    assert host.outcomes() == ["cycle"]
    (letter,) = host.dead_letters()
    assert (letter.stream, letter.agent, letter.key) == ("audits", "audit", "a")
    assert letter.cause.startswith(
        "cycle: … → audit → repair → audit → repair → audit → repair → audit: 10 decisions followed from one another, "
        "with nothing from outside."
    )
    assert "max_hops" in letter.cause
    assert host.engine.quiet


async def test_a_chain_that_comes_to_an_end_by_itself_is_not_stopped(tmp_path: Path) -> None:
    pair = Pair(until=MOST - 2)
    host = Host(pair.app, tmp_path / "log")
    await host.send(pair.audits, Note("a"))
    assert chain_of(host) == list(range(MOST - 1))
    assert (host.outcomes(), host.dead_letters()) == ([], [])


async def test_each_event_from_outside_begins_a_chain(tmp_path: Path) -> None:
    pair = Pair(until=MOST - 2)
    host = Host(pair.app, tmp_path / "log")
    for _ in range(3):
        await host.send(pair.audits, Note("a"))
    assert chain_of(host) == list(range(MOST - 1)) * 3
    assert host.dead_letters() == []


async def test_a_stopped_wake_can_be_taken_up_again(tmp_path: Path) -> None:
    pair = Pair()
    host = Host(pair.app, tmp_path / "log")
    await host.send(pair.audits, Note("a"))
    host.flush()
    pair.until = 0
    (letter,) = letters(host.store)
    assert retry(host.engine, host.store, [letter.offset]) == [(letter.offset, "")]
    await host.settle()
    assert host.decisions()[-1].wake.hops == 0
    assert len(host.decisions()) == MOST + 1
    assert len(host.dead_letters()) == 1


async def test_a_wake_to_which_something_from_outside_contributes_begins_the_chain_anew(tmp_path: Path) -> None:
    pair = Pair(quiet=timedelta(seconds=1))
    host = Host(pair.app, tmp_path / "log")
    host.hand_in(pair.audits, Note("a"))
    for _ in range(MOST):
        await host.advance(3.5)
        host.hand_in(pair.audits, Note("a"))
    assert max(chain_of(host)) == 5
    assert host.dead_letters() == []
    await host.settle()
    assert len(host.dead_letters()) == 1


@pytest.mark.parametrize("wait", ["sleep", "approval", "reply"])
async def test_a_turn_that_has_heard_from_outside_is_at_the_beginning(tmp_path: Path, wait: str) -> None:
    pair = Pair(until=5 * MOST)
    replies = pair.app.stream("replies", Note, key=Note.key)
    host = Host(pair.app, tmp_path / "log")

    async def heard(turn: Turn) -> None:
        match wait:
            case "sleep":
                await turn.sleep_until(turn.now() + timedelta(seconds=1))
            case "approval":
                await turn.approval("go on?", until=turn.now() + timedelta(seconds=1))
            case _:
                await turn.next(replies)

    pair.wait = heard
    host.hand_in(pair.audits, Note("a"))
    for _ in range(5 * MOST):
        await host.advance(1)
        host.hand_in(replies, Note("r"))
    await host.settle()
    assert chain_of(host, "audit")[:3] == [0, 0, 0]
    assert host.dead_letters() == []
    assert len(host.decisions()) > 2 * MOST


def by_rows(app: App) -> Table[str, Note]:
    """Two agents that wake on each other's rows."""
    one = app.table("one", Note, key=Note.key)
    other = app.table("other", Note, key=Note.key)

    @app.agent(wakes_on=one)
    async def there(turn: Turn, note: Note) -> None:
        turn.put(other, more(note))

    @app.agent(wakes_on=other)
    async def back(turn: Turn, note: Note) -> None:
        turn.put(one, more(note))

    return seeded(app, one)


def seeded(app: App, to: Table[str, Note]) -> Table[str, Note]:
    """What is sent is the input of `to`, which turns write."""
    inputs = app.table("inputs", Note, key=Note.key)

    @app.agent(wakes_on=inputs)
    async def seed(turn: Turn, note: Note) -> None:
        turn.put(to, note.but(number=1))

    return inputs


def by_view(app: App) -> Table[str, Note]:
    """One agent that changes the value it wakes on."""
    notes = app.table("notes", Note, key=Note.key)

    @app.view(over=notes)
    def doubled(note: Note) -> int:
        return 2 * note.number

    @app.agent(wakes_on=doubled)
    async def add(turn: Turn, value: int) -> None:
        turn.put(notes, Note(turn.key, value))

    return seeded(app, notes)


def more(note: Note) -> Note:
    return note.but(number=note.number + 1)


def by_derived_stream(app: App) -> Stream[Note]:
    """An agent on a derived stream of what it emits."""
    notes = app.stream("notes", Note, key=Note.key)
    later = app.stream("later", Note, key=Note.key, source=notes.map(more))

    @app.agent(wakes_on=later)
    async def again(turn: Turn, note: Note) -> None:
        turn.emit(notes, note)

    return notes


def by_outcome(app: App) -> Table[str, Note]:
    """An agent that acts because of what came of its act."""
    notes = app.table("notes", Note, key=Note.key)

    @app.effect(idempotent=True)
    async def act(key: str, *, idempotency_key: str = "") -> None: ...

    @app.agent(wakes_on=notes)
    async def first(turn: Turn, note: Note) -> None:
        turn.effect(act, note.key)

    @app.agent(wakes_on=app.outcomes(act))
    async def again(turn: Turn, outcome: Outcome) -> None:
        turn.effect(act, outcome.args[0])

    return notes


@pytest.mark.parametrize("kind", [by_rows, by_view, by_derived_stream, by_outcome])
async def test_any_way_around_is_a_cycle_and_replay_knows_it(tmp_path: Path, kind: Any) -> None:
    app = App("around", max_hops=MOST)
    fed = kind(app)
    host = Host(app, tmp_path / "log")
    for record in (Note("a", 1), Note("b", 1)):
        host.hand_in(fed, record)
        host.engine.keep_snapshot()
        await host.settle()
    assert sorted(chain_of(host)) == sorted([*range(MOST), *range(MOST)])
    assert sorted(letter.key for letter in host.dead_letters()) == ["a", "b"]
    state = picture(host.fold)
    assert picture(replayed(host)) == state
    host.crash()
    assert picture(host.fold) == state
    await host.settle()
    assert len(host.decisions()) == 2 * MOST


async def test_a_restart_does_not_begin_a_chain_anew(tmp_path: Path) -> None:
    pair = Pair()
    host = Host(pair.app, tmp_path / "log")

    async def think(turn: Turn) -> None:
        await turn.call(thought, output=int)

    lives: list[int] = []

    async def thought() -> int:
        lives.append(len(host.decisions()))
        return 0

    pair.wait = think
    host.hand_in(pair.audits, Note("a"))
    for _ in range(3 * MOST):
        await host.engine.run(until=host.clock.now_us())
        host.flush()
        if len(lives) % 2:
            host.engine.keep_snapshot()
        host.crash()
    await host.settle()
    assert chain_of(host) == list(range(MOST))
    assert len(host.dead_letters()) == 1


async def test_a_timer_begins_a_chain(tmp_path: Path) -> None:
    app = App("clock", max_hops=MOST)
    notes = app.stream("notes", Note, key=Note.key)
    times: list[int] = []

    @app.agent(wakes_on=notes)
    async def tick(turn: Turn, note: Note) -> None:
        times.append(note.number)
        if note.number < 3 * MOST:
            turn.emit(notes, note.but(number=note.number + 1), at=turn.now() + timedelta(seconds=1))

    host = Host(app, tmp_path / "log")
    await host.send(notes, Note("a"))
    assert times == list(range(3 * MOST + 1))
    assert chain_of(host) == [0] * len(times)


async def test_a_letter_of_a_derived_stream_keeps_what_the_wake_saw(tmp_path: Path) -> None:
    app = App("around", max_hops=MOST)
    notes = by_derived_stream(app)
    host = Host(app, tmp_path / "log")
    await host.send(notes, Note("a"))
    assert [bytes(raw) for _, raw in host.dead_letters()[0].events] == [b'{"key":"a","number":11}']


def test_a_limit_below_one_is_a_declaration_error() -> None:
    with pytest.raises(DeclarationError, match="max_hops"):
        App("never", max_hops=0)
