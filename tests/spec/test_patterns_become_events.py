"""A pattern makes an event of each match: sequences, absence, repetition, exact in time and across restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from extrovert import App, DeclarationError, Record, Turn, when
from extrovert.core.log import Passed
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

MINUTES_20 = timedelta(minutes=20)


class Boarding(Record):
    flight_id: str
    at: datetime = START


class Scan(Record):
    flight_id: str
    at: datetime = START
    seat: int = 0


class NoShow(Record):
    flight_id: str
    boarding_at: datetime


class Login(Record):
    user: str
    ok: bool
    place: str = "here"


class Alarm(Record):
    user: str
    places: list[str]


def airport(*, at: str | None = None, disorder: timedelta | None = None, most: int = 1000) -> App:
    app = App("airport")
    boarding = app.stream("boarding", Boarding, key=Boarding.flight_id)
    scans = app.stream("scans", Scan, key=Scan.flight_id)
    no_show = app.pattern(
        "no_show",
        NoShow,
        key=NoShow.flight_id,
        on=[boarding, scans],
        match=when(Boarding).without(Scan).within(MINUTES_20),
        make=lambda boarding: NoShow(boarding.flight_id, boarding.at),
        at=at,
        disorder=disorder,
        most=most,
    )
    late = app.table("late", NoShow, key=NoShow.flight_id, source=no_show)
    told = app.table("told", NoShow, key=NoShow.flight_id)

    @app.view(over=late)
    def missing(row: NoShow) -> str:
        return row.flight_id

    @app.agent(wakes_on=no_show)
    async def tell(turn: Turn, event: NoShow) -> None:
        turn.put(told, event.but(boarding_at=turn.now()))

    return app


def stream(app: App, name: str):  # noqa: ANN201
    return next(one for one in app.declared().streams if one.name == name)


def rows(world: World | Host, table: str) -> dict[str, NoShow]:
    engine = world.engine
    return engine.shard.fold.context.tables[table].rows


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


# ---- absence


async def test_absence_is_found_exactly_when_the_time_is_over() -> None:
    app = airport()
    with World(app) as world:
        await world.send(stream(app, "boarding"), Boarding("F1"))
        await world.advance(MINUTES_20 - timedelta(microseconds=1))
        assert rows(world, "late") == {}
        await world.advance(timedelta(microseconds=1))
        assert rows(world, "late") == {"F1": NoShow("F1", START)}
        assert world.engine.shard.fold.context.views["missing"].values == {"F1": "F1"}
        await world.settle()
        assert rows(world, "told") == {"F1": NoShow("F1", minutes(20))}


async def test_what_comes_in_time_is_not_absent() -> None:
    app = airport()
    with World(app) as world:
        await world.send(stream(app, "boarding"), Boarding("F1"), Boarding("F2"))
        await world.advance(MINUTES_20 - timedelta(microseconds=1))
        await world.send(stream(app, "scans"), Scan("F1"))
        await world.advance(MINUTES_20)
        assert list(rows(world, "late")) == ["F2"]


async def test_what_comes_at_the_end_of_the_time_comes_too_late() -> None:
    app = airport()
    with World(app) as world:
        await world.send(stream(app, "boarding"), Boarding("F1"))
        await world.advance(MINUTES_20)
        await world.send(stream(app, "scans"), Scan("F1"))
        assert list(rows(world, "late")) == ["F1"]


async def test_absence_is_reported_once_though_it_began_twice() -> None:
    app = airport()
    with World(app) as world:
        await world.send(stream(app, "boarding"), Boarding("F1"))
        await world.advance(timedelta(minutes=5))
        await world.send(stream(app, "boarding"), Boarding("F1", minutes(5)))
        await world.advance(timedelta(minutes=30))
        context = world.engine.shard.fold.context
        assert rows(world, "late") == {"F1": NoShow("F1", START)}
        assert context.tables["late"].versions == {"F1": 3}
        assert context.next_us() is None


@pytest.mark.parametrize("snapshot", [False, True])
async def test_absence_is_found_though_the_engine_was_killed(tmp_path: Path, snapshot: bool) -> None:
    app = airport()
    host = Host(app, tmp_path / "log")
    await host.send(stream(app, "boarding"), *(Boarding(f"F{number}") for number in range(3)))
    assert host.clock.now_us() == host.engine.shard.now_us
    host.kill()
    host = Host(app, tmp_path / "log")
    host.hand_in(stream(app, "boarding"), Boarding("F4"))
    await host.advance(600)
    host.hand_in(stream(app, "scans"), Scan("F4"))
    host.flush()
    if snapshot:
        host.engine.keep_snapshot()
    host.crash()
    await host.advance(599.999999)
    assert host.row(app._tables["late"], "F4") is None  # pyright: ignore[reportPrivateUsage]
    await host.advance(0.000001)
    assert picture(replayed(host)) == picture(host.fold)
    assert host.row(app._tables["late"], "F4") is None  # pyright: ignore[reportPrivateUsage]
