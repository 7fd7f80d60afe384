"""A pattern makes an event of each match: sequences, absence, repetition, exact in time and across restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record, Shape, Stream, Turn, when
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


def stream(app: App, name: str) -> Stream[Any]:
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


# ---- sequences and repetitions


def guarded(match: Shape[*tuple[Any, ...]], *, most: int = 1000, overlapping: bool = False) -> App:
    app = App("guard")
    logins = app.stream("logins", Login, key=Login.user)

    def make(*matched: Any) -> Alarm:
        first = list(matched[0] if isinstance(matched[0], tuple) else matched[:1])  # pyright: ignore[reportUnknownArgumentType]
        return Alarm(first[0].user, [login.place for login in [*first, *matched[1:]]])

    alarms = app.pattern(
        "alarms", Alarm, key=Alarm.user, on=[logins], match=match, make=make, most=most, overlapping=overlapping
    )

    def collect(row: Alarm | None, event: Alarm) -> Alarm:
        return Alarm(event.user, [*(row.places if row else []), "+".join(event.places)])

    app.table("all", Alarm, key=Alarm.user, source=alarms, fold=collect)
    return app


def found(world: World) -> dict[str, list[str]]:
    return {key: row.places for key, row in world.engine.shard.fold.context.tables["all"].rows.items()}


FAILED = when(Login, lambda login: not login.ok)
MINUTE = timedelta(minutes=1)


async def test_a_sequence_sees_what_matched_before() -> None:
    moved = when(Login).then(Login, lambda first, then: then.place != first.place).within(MINUTE)
    app = guarded(moved)
    with World(app) as world:
        logins = stream(app, "logins")
        await world.send(logins, Login("u1", True, "rome"), Login("u2", True, "oslo"), Login("u1", True, "rome"))
        assert found(world) == {}
        await world.send(logins, Login("u1", True, "oslo"))
        assert found(world) == {"u1": ["rome+oslo"]}
        await world.advance(MINUTE)
        await world.send(logins, Login("u2", True, "rome"))
        assert found(world) == {"u1": ["rome+oslo"]}


async def test_repetitions_do_not_overlap_unless_declared_so() -> None:
    for overlapping, expected in [(False, ["1+2+3"]), (True, ["1+2+3", "2+3+4", "3+4+5"])]:
        app = guarded(FAILED.times(3).within(MINUTE), overlapping=overlapping)
        with World(app) as world:
            await world.send(stream(app, "logins"), *(Login("u1", False, str(number)) for number in range(1, 6)))
            assert found(world) == {"u1": expected}


async def test_what_must_not_come_between_starts_anew() -> None:
    app = guarded(FAILED.without(Login, lambda _, login: login.ok).times(2).within(MINUTE))
    with World(app) as world:
        logins = stream(app, "logins")
        await world.send(logins, Login("u1", False, "1"), Login("u1", True, "2"), Login("u1", False, "3"))
        assert found(world) == {}
        await world.send(logins, Login("u1", False, "4"))
        assert found(world) == {"u1": ["3+4"]}


# ---- what cannot be taken


async def test_matches_beyond_the_most_are_dead_letters_and_the_others_stay() -> None:
    app = guarded(FAILED.then(Login, lambda _, login: login.ok).within(MINUTE), most=2, overlapping=True)
    with World(app) as world:
        logins = stream(app, "logins")
        await world.send(logins, *(Login("u1", False, str(number)) for number in range(3)), Login("u2", False))
        (letter,) = world.dead_letters()
        assert (letter.stream, letter.event) == ("logins", 3)
        assert letter.cause == "pattern `alarms`: 2 matches of its key are under way; see most="
        await world.send(logins, Login("u1", True, "in"))
        assert found(world) == {"u1": ["0+in", "1+in"]}


async def test_what_a_users_function_raises_is_a_dead_letter_and_the_others_go_on() -> None:
    app = guarded(when(Login, lambda login: 1 // len(login.place) > 0).times(2).within(MINUTE))
    with World(app) as world:
        logins = stream(app, "logins")
        await world.send(logins, Login("u1", True, "a"), Login("u1", True, ""), Login("u1", True, "b"))
        assert [letter.cause.split(":")[:2] for letter in world.dead_letters()] == [
            ["pattern `alarms`", " ZeroDivisionError"]
        ]
        assert found(world) == {"u1": ["a+b"]}


async def test_matches_that_come_to_nothing_are_dropped_and_cost_the_log_next_to_nothing() -> None:
    app = guarded(FAILED.then(Login, lambda _, login: login.ok).within(MINUTE))
    with World(app) as world:
        for number in range(300):
            await world.send(stream(app, "logins"), Login(f"u{number}", False))
            await world.advance(timedelta(seconds=1))
        assert len(world.engine.shard.fold.context.operators["alarms"].save()) < 120 * 200
        await world.advance(2 * MINUTE)
        saved = world.engine.shard.fold.context.operators["alarms"].save()
        assert b'"under_way":[]' in saved
        world.engine.writing.flush()
        assert len([entry for entry in world.store.entries() if entry.kind == "passed"]) <= 6


# ---- event time


async def test_events_out_of_order_are_put_in_order_and_late_ones_are_dead_letters() -> None:
    app = airport(at="at", disorder=MINUTE)
    with World(app) as world:
        boarding, scans = stream(app, "boarding"), stream(app, "scans")
        await world.advance(timedelta(minutes=30))
        await world.send(scans, Scan("F1", minutes(30)))
        await world.send(boarding, Boarding("F1", minutes(29.5)), Boarding("F2", minutes(29)))
        await world.send(boarding, Boarding("F3", minutes(28)))
        (letter,) = world.dead_letters()
        assert letter.cause == "pattern `no_show`: it came 120 s late; disorder= says how late is still taken"
        await world.advance(timedelta(minutes=19, seconds=59, microseconds=999_999))
        assert rows(world, "late") == {}
        await world.advance(timedelta(microseconds=1))  # 29 + 20 minutes, and a minute for what is out of order
        assert list(rows(world, "late")) == ["F2"]


async def test_events_of_the_past_take_their_own_time() -> None:
    app = airport(at="at", disorder=timedelta(0))
    with World(app) as world:
        boarding = stream(app, "boarding")
        year = timedelta(days=365)
        await world.send(boarding, Boarding("F1", START - year))
        await world.send(boarding, Boarding("F2", START - year + timedelta(minutes=19)))
        assert rows(world, "late") == {}
        await world.send(boarding, Boarding("F3", START - year + timedelta(minutes=21)))
        assert list(rows(world, "late")) == ["F1"]
        await world.advance(timedelta(minutes=18))
        assert list(rows(world, "late")) == ["F1", "F2"]


# ---- declaring


def test_what_cannot_be_a_pattern_is_told_at_once() -> None:
    with pytest.raises(DeclarationError, match="A pattern of one event is that event"):
        when(Login).within(MINUTE)
    with pytest.raises(DeclarationError, match=r"at= .* and disorder= .* go together"):
        airport(at="at")
    with pytest.raises(DeclarationError, match="`Boarding` has no field `when`"):
        airport(at="when", disorder=MINUTE)
    with pytest.raises(DeclarationError, match="the time of an event, `flight_id`, must be a datetime"):
        airport(at="flight_id", disorder=MINUTE)
    with pytest.raises(DeclarationError, match="looks for Scan, which does not come on `logins`"):
        guarded(when(Login).then(Scan).within(MINUTE))
