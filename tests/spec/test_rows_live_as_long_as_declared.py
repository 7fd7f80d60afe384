"""A table with a time to live: a row goes when it is due, exactly, and whoever sees rows sees it go."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from extrovert import App, Record, Turn
from extrovert.core.log import Passed
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

MINUTE = timedelta(minutes=1)


class Session(Record):
    session_id: str
    user: str
    pages: int = 0


class Sighting(Record):
    ship: str
    port: str
    at: datetime


app = App("shop")
sessions = app.table("sessions", Session, key=Session.session_id, ttl=10 * MINUTE)
of_user = sessions.index(Session.user)
by_pages = sessions.range_index(Session.pages)
sightings = app.table(
    "sightings", Sighting, key=Sighting.ship, order_by=Sighting.at, history=timedelta(hours=1), ttl=10 * MINUTE
)
heard: list[str] = []
told = app.stream("told", Session, key=Session.session_id)


@app.view(over=sessions)
def busy(session: Session) -> int | None:
    return of_user.count(session.user)


@app.agent(wakes_on=sessions)
async def follow(turn: Turn, session: Session | None) -> None:
    heard.append("gone" if session is None else f"{session.session_id} {session.pages}")


@app.agent(wakes_on=told)
async def write(turn: Turn, session: Session) -> None:
    turn.put(sessions, session)


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    heard.clear()


def seen(ship: str, minute: float) -> Sighting:
    return Sighting(ship, "Kiel", START + minute * MINUTE)


async def test_a_row_goes_when_it_is_due_and_not_before(world: World) -> None:
    await world.send(sessions, Session("s1", "ann"))
    await world.advance(10 * MINUTE - timedelta(microseconds=1))
    assert sessions.get("s1") == Session("s1", "ann")
    await world.advance(timedelta(microseconds=1))
    assert sessions.get("s1") is None
    assert [type(body).__name__ for body in bodies(world)].count("Passed") == 1


async def test_each_write_makes_it_live_on(world: World) -> None:
    await world.send(sessions, Session("s1", "ann"))
    for pages in range(1, 4):
        await world.advance(9 * MINUTE)
        await world.send(sessions, Session("s1", "ann", pages))
    await world.advance(9.5 * MINUTE)
    assert sessions["s1"].pages == 3
    await world.advance(0.5 * MINUTE)
    assert sessions.get("s1") is None
    assert [type(body).__name__ for body in bodies(world)].count("Passed") == 1


async def test_indexes_counts_views_and_agents_see_it_go(world: World) -> None:
    await world.send(sessions, Session("s1", "ann"), Session("s2", "ann"))
    await world.advance(5 * MINUTE)
    await world.send(sessions, Session("s2", "ann", 1))
    assert (busy["s2"], sessions.count()) == (2, 2)
    await world.advance(5 * MINUTE)
    await world.settle()
    assert (busy["s2"], busy.get("s1"), sessions.count()) == (1, None, 1)
    assert of_user["ann"] == (Session("s2", "ann", 1),)
    assert [row.session_id for row in by_pages.between()] == ["s2"]
    assert heard == ["s1 0", "s2 0", "s2 1", "gone"]


async def test_a_row_that_a_turn_wrote_goes_too(world: World) -> None:
    await world.send(told, Session("s1", "ann"))
    assert sessions["s1"] == Session("s1", "ann")
    await world.advance(10 * MINUTE)
    assert sessions.get("s1") is None
    await world.send(sessions, Session("s1", "bob"))
    assert sessions["s1"].user == "bob"


async def test_a_row_with_an_order_lives_from_its_event_time(world: World) -> None:
    await world.advance(5 * MINUTE)
    await world.send(sightings, seen("Anna", 0), seen("Berta", 4))
    await world.advance(5 * MINUTE)
    assert (sightings.get("Anna"), sightings.get("Berta")) == (None, seen("Berta", 4))
    await world.advance(4 * MINUTE)
    assert sightings.get("Berta") is None
    assert sightings.as_of("Anna", START + 9 * MINUTE) == seen("Anna", 0)
    assert sightings.as_of("Anna", START + 10 * MINUTE) is None


async def test_a_row_that_has_outlived_its_time_when_it_comes_enters_history_only(world: World) -> None:
    await world.advance(15 * MINUTE)
    await world.send(sightings, seen("Anna", 1))
    assert sightings.get("Anna") is None
    assert sightings.as_of("Anna", START + 3 * MINUTE) == seen("Anna", 1)


async def test_due_times_survive_a_restart(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(sessions, Session("s1", "ann"), Session("s2", "bob"))
    await host.advance(300)
    host.hand_in(sessions, Session("s1", "ann", 1))
    host.hand_in(sightings, seen("Anna", 2))
    await host.advance(1)
    host.engine.keep_snapshot()
    host.flush()
    state = picture(host.fold)
    host.crash()
    assert picture(host.fold) == state
    await host.advance(900)
    times = [entry.at_us for entry in host.entries() if entry.kind == "passed"]
    began = host.entries()[0].at_us
    assert [(at_us - began) // 60_000_000 for at_us in times] == [10, 12, 15]
    assert host.fold.context.tables["sessions"].rows == {}
    assert picture(replayed(host)) == picture(host.fold)
    assert len(host.bodies(Passed)) == 3


def bodies(world: World) -> list[object]:
    from tests.hosts import body

    world.engine.writing.flush()
    return [body(entry) for entry in world.store.entries()]
