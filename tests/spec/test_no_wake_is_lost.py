"""No event and no wake is lost: a wake is due when the present differs from what the last ended turn saw."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, PermanentError, Record, Turn
from extrovert.core.ids import fingerprint
from extrovert.core.log import Events, Retried
from extrovert.testing import World
from tests.hosts import Host, Rule, replayed
from tests.picture import picture
from tests.spec.airline import Booking, Flight, Seats

SECOND = timedelta(seconds=1)


class Report(Record):
    flight_id: str
    text: str


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
reports = app.stream("reports", Report, key=Report.flight_id)
saw: list[object] = []


@app.view(over=flights)
def late(flight: Flight) -> int | None:
    return flight.delay_minutes // 60 or None


@app.agent(wakes_on=flights, model="policy:anything", concurrency=2)
async def on_row(turn: Turn, flight: Flight) -> None:
    await turn.ask("ready?", output=int)
    saw.append(flight)


@app.agent(wakes_on=late, model="policy:anything")
async def on_value(turn: Turn, hours: int | None) -> None:
    await turn.ask("ready?", output=int)
    saw.append(hours)


@app.agent(wakes_on=reports, model="policy:anything")
async def on_event(turn: Turn, report: Report) -> None:
    assert turn.events[-1] is report
    await turn.ask("ready?", output=int)
    saw.append([event.text for event in turn.events])


@app.policy
def anything(question: object) -> int:
    return 1


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    saw.clear()


async def test_a_turn_runs_because_something_changed(world: World) -> None:
    await world.send(reports, Report("F1", "fog"))
    assert saw == [["fog"]]


async def test_events_that_come_at_once_are_seen_by_one_turn(world: World) -> None:
    await world.send(reports, Report("F1", "fog"), Report("F1", "snow"), Report("F2", "sun"))
    assert saw == [["fog", "snow"], ["sun"]]


async def test_events_that_come_during_a_turn_are_seen_by_the_next_one(world: World) -> None:
    world.answer(on_event, 1, thinks=2 * SECOND)
    world.hand_in("reports", Report("F1", "fog"))
    await world.advance(SECOND)
    world.hand_in("reports", Report("F1", "snow"))
    world.hand_in("reports", Report("F1", "ice"))
    await world.settle()
    assert saw == [["fog"], ["snow", "ice"]]


async def test_what_changes_during_a_turn_is_seen_by_it_or_by_the_next_one(world: World) -> None:
    world.answer(on_value, 1, thinks=2 * SECOND)
    world.hand_in("flights", Flight("F1", delay_minutes=60))
    await world.advance(SECOND)
    world.hand_in("flights", Flight("F1", delay_minutes=120))
    await world.settle()
    assert [one for one in saw if not isinstance(one, Flight)] == [2]
    world.hand_in("flights", Flight("F1", delay_minutes=180))
    await world.settle()
    assert [one for one in saw if not isinstance(one, Flight)] == [2, 3]


async def test_a_value_that_a_turn_has_seen_wakes_nobody_again(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=60))
    await world.send(flights, Flight("F1", delay_minutes=61))
    assert [one for one in saw if not isinstance(one, Flight)] == [1]


async def test_a_row_that_is_written_again_wakes_again(world: World) -> None:
    await world.send(flights, Flight("F1"))
    await world.send(flights, Flight("F1"))
    assert saw == [Flight("F1"), Flight("F1")]


async def test_what_went_away_wakes_an_agent_that_accepts_none(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=60))
    await world.send(flights, Flight("F1"))
    assert [one for one in saw if not isinstance(one, Flight)] == [1, None]


async def test_what_came_and_went_before_the_turn_wakes_nobody(world: World) -> None:
    world.hand_in("flights", Flight("F1", delay_minutes=60))
    world.hand_in("flights", Flight("F1"))
    await world.settle()
    assert [one for one in saw if not isinstance(one, Flight)] == []


async def test_an_agent_that_does_not_accept_none_is_not_woken_by_what_went_away() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.view(over=flights)
    def late(flight: Flight) -> int | None:
        return flight.delay_minutes or None

    @app.agent(wakes_on=late)
    async def follow(turn: Turn, minutes: int) -> None: ...

    with World(app) as world:
        await world.send(flights, Flight("F1", delay_minutes=5))
        await world.send(flights, Flight("F1"))
        assert len(world.decisions(follow)) == 1
        await world.send(flights, Flight("F1", delay_minutes=5))
        assert len(world.decisions(follow)) == 2


async def test_a_turn_whose_cause_went_away_while_it_waited_ends_without_a_decision() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights, when=lambda flight: flight.cancelled)
    async def follow(turn: Turn, flight: Flight) -> None:
        await turn.ask("ready?", output=int)

    with World(app) as world:
        world.answer(follow, 1, thinks=2 * SECOND)
        world.hand_in("flights", Flight("F1", cancelled=True))
        await world.advance(SECOND)
        await world.send(flights, Flight("F1"))
        assert world.decisions(follow) == []
        assert world.dead_letters() == []
        await world.send(flights, Flight("F1", cancelled=True))
        assert len(world.decisions(follow)) == 1


async def test_who_is_over_the_limit_waits(world: World) -> None:
    world.answer(on_row, 1, thinks=SECOND)
    world.hand_in("flights", *(Flight(f"F{number}") for number in range(5)))
    await world.advance(SECOND / 2)
    assert len(world.engine.shard.fold.running) == 2
    await world.settle()
    assert len(world.decisions(on_row)) == 5


async def test_who_comes_first_by_the_agents_order_is_served_first() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights, order=lambda flight: -flight.delay_minutes, concurrency=1)
    async def serve(turn: Turn, flight: Flight) -> None:
        await turn.ask("ready?", output=int)

    with World(app) as world:
        world.answer(serve, 1, thinks=SECOND)
        world.hand_in("flights", *(Flight(f"F{number}", delay_minutes=number) for number in range(1, 5)))
        await world.advance(SECOND / 2)
        world.hand_in("flights", Flight("F1", delay_minutes=60))
        await world.settle()
        keys = [one.id.split(":")[1].split("@")[0] for one in world.decisions(serve)]
        assert keys == ["F1", "F4", "F3", "F2"] or keys == ["F4", "F1", "F3", "F2"]


@pytest.mark.parametrize("crash", ["no crash", "from the log", "from a snapshot"])
async def test_what_changes_while_a_key_rests_is_seen_when_it_has_rested(tmp_path: Path, crash: str) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seen: list[int] = []

    @app.agent(wakes_on=flights, rest=10 * SECOND)
    async def follow(turn: Turn, flight: Flight) -> None:
        seen.append(flight.delay_minutes)

    host = Host(app, tmp_path / "log")
    host.hand_in(flights, Flight("F1", delay_minutes=1))
    await host.advance(4)
    for minutes in (2, 3):
        host.hand_in(flights, Flight("F1", delay_minutes=minutes))
    if crash == "from a snapshot":
        host.engine.keep_snapshot()
    if crash != "no crash":
        host.flush()
        host.crash()
    await host.advance(5)
    assert seen == [1]
    await host.settle()
    assert seen == [1, 3]
    assert [entry.at_us - host.entries()[0].at_us for entry in host.entries()][-1] == 10_000_000


async def test_an_agent_is_woken_by_what_a_later_declared_one_decides_at_once() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)

    @app.agent(wakes_on=seats)
    async def second(turn: Turn, free: Seats) -> None:
        turn.put(bookings, Booking("B1", free.flight_id))

    @app.agent(wakes_on=flights)
    async def first(turn: Turn, flight: Flight) -> None:
        turn.put(seats, Seats(flight.flight_id, 1))

    with World(app) as world:
        await world.send(flights, Flight("F1"))
        assert bookings["B1"] == Booking("B1", "F1")


async def test_a_change_between_the_last_look_and_the_failure_of_an_ask_wakes_again() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights, max_tries=1)
    async def follow(turn: Turn, flight: Flight) -> None:
        await turn.ask("ready?", output=int)

    with World(app) as world:
        world.answer(follow, PermanentError("no"), 1, thinks=SECOND)
        world.hand_in("flights", Flight("F1"))
        await world.advance(SECOND - timedelta(milliseconds=3))
        world.hand_in("flights", Flight("F1", delay_minutes=5))
        await world.advance(timedelta(milliseconds=2))
        await world.send(flights, Flight("F1", delay_minutes=10))
        assert len(world.dead_letters()) == 1
        assert len(world.decisions(follow)) == 1


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
async def test_a_crash_in_between_loses_none(tmp_path: Path, after: float, durable: bool) -> None:
    host = Host(app, tmp_path / "log", {f"agent:{name}": Rule(1, 1.2) for name in ("on_row", "on_value", "on_event")})
    host.hand_in(reports, Report("F1", "fog"), Report("F2", "fog"))
    host.hand_in(flights, Flight("F1", delay_minutes=60), Flight("F2"))
    host.flush()
    await host.advance(0.8)
    host.hand_in(reports, Report("F1", "snow"))
    host.hand_in(flights, Flight("F1", delay_minutes=120))
    host.flush()
    await host.advance(after)
    if durable:
        host.flush()
    saw.clear()
    host.crash()
    await host.settle()
    last = {(one.agent, one.key): one.wake.digest for one in host.decisions()}
    version = host.fold.context.tables["flights"].versions
    assert last == {
        ("on_row", "F1"): str(version["F1"]),
        ("on_row", "F2"): str(version["F2"]),
        ("on_value", "F1"): fingerprint(b"2"),
        ("on_event", "F1"): "",
        ("on_event", "F2"): "",
    }
    came = [entry.offset for entry in host.entries() if b'"stream":"reports"' in entry.body]
    events = [offset for one in host.decisions() if one.agent == "on_event" for offset in one.wake.events]
    assert sorted(events) == [came[0], came[0] + 1, came[1]]
    assert picture(replayed(host)) == picture(host.fold)


async def test_an_agent_that_accepts_none_is_woken_alike_after_a_crash(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.view(over=flights)
    def late(flight: Flight) -> int | None:
        return flight.delay_minutes or None

    @app.agent(wakes_on=late, max_tries=1, concurrency=1)
    async def follow(turn: Turn, minutes: int | None) -> None:
        await turn.ask("ready?", output=int)

    def answer(_: object) -> int:
        raise PermanentError("no")

    host = Host(app, tmp_path / "log", {"agent:follow": Rule(answer, 1)})
    host.hand_in(flights, Flight("F1", delay_minutes=5), Flight("F2", delay_minutes=5))
    await host.advance(0.999)
    host.hand_in(flights, Flight("F1"))
    await host.advance(0.5)
    state = picture(host.fold)
    assert picture(replayed(host)) == state


async def test_a_failed_wake_can_be_taken_up_again_with_its_events(tmp_path: Path) -> None:
    app = App("airline")
    reports = app.stream("reports", Report, key=Report.flight_id)
    broken = [True]
    read: list[list[str]] = []

    @app.agent(wakes_on=reports, max_tries=1)
    async def follow(turn: Turn, report: Report) -> None:
        if broken:
            raise PermanentError("no")
        read.append([event.text for event in turn.events])

    host = Host(app, tmp_path / "log")
    await host.send(reports, Report("F1", "fog"), Report("F1", "snow"))
    letter = next(entry for entry in host.entries() if entry.kind == "dead")
    dead = host.dead_letters()[0]
    broken.clear()
    came: Events = host.bodies(Events)[0]
    host.engine.shard.take_up(letter.offset, dead, list(enumerate(came.data, start=1)))
    await host.settle()
    assert read == [["fog", "snow"]]
    assert len(host.bodies(Retried)) == 1
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_condition_that_raises_fails_the_turn_and_not_the_engine(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights, when=lambda flight: 60 // flight.delay_minutes > 0, max_tries=2)
    async def follow(turn: Turn, flight: Flight) -> None: ...

    host = Host(app, tmp_path / "log")
    await host.send(flights, Flight("F1"), Flight("F2", delay_minutes=5))
    assert [turn.key for turn in host.decisions()] == ["F2"]
    assert [letter.cause for letter in host.dead_letters()] == [
        "failed: ZeroDivisionError: integer division or modulo by zero"
    ]
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_value_that_json_cannot_hold_wakes_too() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.view(over=flights)
    def place(flight: Flight) -> complex:
        return complex(0, flight.delay_minutes)

    @app.agent(wakes_on=place)
    async def follow(turn: Turn, value: complex) -> None: ...

    with World(app) as world:
        await world.send(flights, Flight("F1", delay_minutes=1))
        await world.send(flights, Flight("F1", delay_minutes=2))
        assert len(world.decisions(follow)) == 2
