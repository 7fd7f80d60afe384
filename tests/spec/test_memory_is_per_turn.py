"""Memory is per turn: an answer is remembered under the question and its occurrence, the moment it arrives."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from extrovert import App, Turn
from extrovert.core.log import Answered, Attempted
from extrovert.testing.world import START
from tests.hosts import Host, Rule
from tests.spec.airline import Booking, Choice, Flight, Rebooking

SECOND = timedelta(seconds=1)
app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
notes: list[tuple[object, ...]] = []
looked_up: list[str] = []


async def fare(flight_id: str) -> int:
    looked_up.append(flight_id)
    return 100 + len(looked_up)


@app.agent(wakes_on=bookings)
async def twice(turn: Turn, booking: Booking) -> None:
    """Asks the same question two times, and another one."""
    one = await turn.ask("a or b?", output=str)
    two = await turn.ask("a or b?", output=str)
    three = await turn.ask(Choice(booking.booking_id, [one, two]), output=Rebooking)
    notes.append((one, two, three.flight_id))


@app.agent(wakes_on=flights)
async def price(turn: Turn, flight: Flight) -> None:
    begun = turn.now()
    luck = turn.chance(), turn.chance()
    cost = await turn.call(fare, flight.flight_id, output=int)
    later = turn.now()
    notes.append((begun, later, luck, cost))


def script() -> Rule:
    answers = iter(["a", "b", Rebooking("F1"), "c", "d", Rebooking("F2")])
    return Rule(lambda _: next(answers), 1)


def setup_function() -> None:
    notes.clear()
    looked_up.clear()


async def test_the_same_question_is_another_one_each_time_that_a_turn_asks_it(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:twice": script()})
    await host.send(bookings, Booking("B1", "F1"))
    assert notes == [("a", "b", "F1")]
    answers = host.bodies(Answered)
    assert [one.occurrence for one in answers] == [0, 1, 0]
    assert answers[0].hash == answers[1].hash != answers[2].hash


async def test_a_rerun_finds_its_answers_and_asks_nobody(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:twice": script()})
    await host.send(bookings, Booking("B1", "F1"))
    sent = [one for body in host.bodies(Attempted) for one in body.asks]
    assert len(sent) == 3
    assert host.decisions()[0].answers == [entry.offset for entry in host.entries() if entry.kind == "answered"]


async def test_an_answer_outlives_a_crash(tmp_path: Path) -> None:
    rule = script()
    host = Host(app, tmp_path / "log", {"agent:twice": rule})
    host.hand_in(bookings, Booking("B1", "F1"))
    await host.advance(1.5)
    host.flush()
    host.crash()
    await host.settle()
    assert notes == [("a", "b", "F1")]
    assert len(rule.asked) == 3


async def test_another_turn_remembers_nothing_of_it(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:twice": script()})
    await host.send(bookings, Booking("B1", "F1"))
    await host.send(bookings, Booking("B1", "F1"))
    assert notes == [("a", "b", "F1"), ("c", "d", "F2")]


async def test_the_question_covers_what_is_asked_and_the_wanted_type(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights)
    async def ask(turn: Turn, flight: Flight) -> None:
        await turn.ask("1", output=int)
        await turn.ask("1", output=str | int)
        await turn.ask("2", output=int)
        await turn.ask("1", output=int)

    host = Host(app, tmp_path / "log", {"agent:ask": Rule(1)})
    await host.send(flights, Flight("F1"))
    one, other_type, other_facts, again = [answered.hash for answered in host.bodies(Answered)]
    assert one == again
    assert len({one, other_type, other_facts}) == 3


async def test_an_outside_read_is_remembered_like_an_answer(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(flights, Flight("F1"))
    await host.settle()
    assert looked_up == ["F1"]
    assert notes[0][3] == 101


async def test_now_stands_still_until_an_answer_comes(tmp_path: Path) -> None:
    seen: list[tuple[datetime, datetime]] = []
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights)
    async def wait(turn: Turn, flight: Flight) -> None:
        begun = turn.now()
        await turn.ask("ready?", output=int)
        seen.append((begun, turn.now()))

    host = Host(app, tmp_path / "log", {"agent:wait": Rule(1, 3)})
    await host.send(flights, Flight("F1"))
    assert seen == [(START, START + 3 * SECOND)]


async def test_chance_is_drawn_for_the_turn_and_not_for_the_attempt(tmp_path: Path) -> None:
    draws: list[tuple[str, float, float]] = []
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights)
    async def draw(turn: Turn, flight: Flight) -> None:
        drawn = turn.id, turn.chance(), turn.chance()
        draws.append(drawn)
        await turn.ask("ready?", output=int)

    host = Host(app, tmp_path / "log", {"agent:draw": Rule(1, 3)})
    host.hand_in(flights, Flight("F1"), Flight("F2"))
    await host.advance(1)
    host.hand_in(flights, Flight("F1", "BOS"), Flight("F2", "BOS"))  # which has them run again
    await host.settle()
    assert len(draws) >= 4
    assert len(set(draws)) == 2
    assert len({chance for drawn in draws for chance in drawn[1:]}) == 4
