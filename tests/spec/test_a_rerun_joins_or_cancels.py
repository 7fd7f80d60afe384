"""While a turn waits and what it read changes, it runs again: the same question joins the call in flight, another one
cancels it and is asked anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from extrovert import App, Turn
from extrovert.core.log import Answered, Attempted
from extrovert.turns.request import Request
from tests.hosts import Host, Rule, replayed, serving, until
from tests.picture import picture
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
to = flights.index(Flight.destination)


@app.agent(wakes_on=bookings)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [f.flight_id for f in to["ORD"] if seats[f.flight_id].left]
    choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
    if choice.flight_id != booking.flight_id:
        turn.put(seats, Seats(choice.flight_id, seats[choice.flight_id].left - 1))


ROOM_ON_F1 = [
    ("flights", b'{"flight_id":"F1"}\n{"flight_id":"F2"}'),
    ("seats", b'{"flight_id":"F1","left":5}\n{"flight_id":"F2","left":5}'),
    ("bookings", b'{"booking_id":"B1","flight_id":"F9"}'),
]


def first(choice: Choice) -> Rebooking:
    return Rebooking(choice.options[0])


async def begun(tmp_path: Path, rule: Rule) -> Host:
    """B1 is being thought about; F1 and F2 have seats."""
    host = Host(app, tmp_path / "log", {"agent:rebook": rule})
    host.hand_in(flights, Flight("F1"), Flight("F2"))
    host.hand_in(seats, Seats("F1", 5), Seats("F2", 5))
    host.hand_in(bookings, Booking("B1", "F9"))
    await host.advance(1)
    return host


async def test_a_rerun_that_asks_the_same_joins_the_call_in_flight(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F1", 4))
    await host.settle()
    assert len(rule.asked) == 1
    attempts = host.bodies(Attempted)
    assert [(len(one.asks), len(one.joined), one.why, one.changed) for one in attempts] == [
        (1, 0, "woken", []),
        (0, 1, "changed", ["seats/F1"]),
    ]
    assert attempts[1].saved == 1
    assert host.row(seats, "F1") == Seats("F1", 3)
    answered = next(entry for entry in host.entries() if entry.kind == "answered")
    assert answered.at_us - host.entries()[0].at_us == 2_000_000  # the call was not delayed by the rerun


async def test_a_rerun_that_asks_something_else_cancels_the_call_and_asks_anew(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F1", 0))
    await host.settle()
    first_sent, second_sent = host.bodies(Attempted)
    assert second_sent.cancelled == [first_sent.asks[0].hash]
    assert second_sent.changed == ["seats/F1"]
    assert [one.hash for one in host.bodies(Answered)] == [second_sent.asks[0].hash]
    assert [choice.options for choice in rule.asked] == [["F2"]]
    assert host.row(seats, "F2") == Seats("F2", 4)
    answered = next(entry for entry in host.entries() if entry.kind == "answered")
    assert answered.at_us - host.entries()[0].at_us == 3_000_000


async def test_what_a_crash_has_cut_off_and_is_asked_no_more_is_cancelled_in_the_log(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F1", 0))  # too late for this life to look at it
    host.flush()
    host.crash()
    assert picture(host.fold) == picture(replayed(host))
    await host.advance(1)
    first_sent, second_sent = host.bodies(Attempted)
    assert second_sent.cancelled == [first_sent.asks[0].hash]
    assert picture(host.fold) == picture(replayed(host))
    await host.settle()
    assert [choice.options for choice in rule.asked] == [["F2"]]


async def test_a_question_that_is_asked_again_after_all_is_asked_anew(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F1", 0))
    await host.advance(0.5)
    host.hand_in(seats, Seats("F1", 1))
    await host.settle()
    assert [choice.options for choice in rule.asked] == [["F1", "F2"]]
    assert [len(one.cancelled) for one in host.bodies(Attempted)] == [0, 1, 1]
    answered = next(entry for entry in host.entries() if entry.kind == "answered")
    assert answered.at_us - host.entries()[0].at_us == 3_500_000


async def test_a_change_of_what_was_not_read_does_not_run_it_again(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F7", 1))
    host.hand_in(flights, Flight("F8", "LAX"))
    await host.settle()
    assert len(host.bodies(Attempted)) == 1


async def test_an_inserted_row_is_a_change_of_what_was_read(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F0", 1))
    host.hand_in(flights, Flight("F0"))
    await host.settle()
    assert host.bodies(Attempted)[1].changed == ["flights.destination/ORD"]
    assert [choice.options for choice in rule.asked] == [["F0", "F1", "F2"]]


async def test_reruns_are_tried_at_most_every_few_milliseconds(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    for left in range(10, 60):
        host.hand_in(seats, Seats("F1", left))
        await host.advance(0.001)
    attempts = [one for one in host.bodies(Attempted) if one.why == "changed"]
    assert 8 <= len(attempts) <= 12


async def test_what_changes_while_the_engine_is_down_is_seen_when_it_is_up(tmp_path: Path) -> None:
    rule = Rule(first, 2)
    host = await begun(tmp_path, rule)
    host.hand_in(seats, Seats("F1", 0))
    host.flush()
    host.crash()
    await host.settle()
    assert [choice.options for choice in rule.asked] == [["F2"]]
    assert host.row(seats, "F2") == Seats("F2", 4)


async def test_a_real_call_is_really_cancelled(tmp_path: Path) -> None:
    started: list[str] = []
    cancelled: list[str] = []

    async def model(request: Request) -> msgspec.Raw:
        option = request.about.options[0]
        started.append(option)
        try:
            if option == "F1":
                await asyncio.Event().wait()  # for ever, if it is let
        except asyncio.CancelledError:
            cancelled.append(option)
            raise
        return msgspec.Raw(b'{"flight_id":"F2"}')

    async with serving(app, tmp_path, {"agent:rebook": model}) as engine:
        for stream, line in ROOM_ON_F1:
            engine.intake.lines(stream, line)
        engine.nudge()
        await until(lambda: started)
        engine.intake.lines("seats", b'{"flight_id":"F1","left":0}')
        engine.nudge()
        await until(lambda: engine.shard.fold.context.tables["seats"].rows["F2"].left == 4)
    assert started == ["F1", "F2"]
    assert cancelled == ["F1"]


async def test_a_real_call_that_is_joined_goes_on(tmp_path: Path) -> None:
    started: list[str] = []
    go_on = asyncio.Event()

    async def model(request: Request) -> msgspec.Raw:
        started.append(request.about.options[0])
        await go_on.wait()
        return msgspec.Raw(b'{"flight_id":"F1"}')

    async with serving(app, tmp_path, {"agent:rebook": model}) as engine:
        for stream, line in ROOM_ON_F1:
            engine.intake.lines(stream, line)
        engine.nudge()
        await until(lambda: started)
        engine.intake.lines("seats", b'{"flight_id":"F1","left":4}')
        engine.nudge()
        await until(lambda: [turn.attempt for turn in engine.shard.fold.running.values()] == [2])
        go_on.set()
        await until(lambda: engine.shard.fold.context.tables["seats"].rows["F1"].left == 3)
    assert started == ["F1"]


async def test_a_decision_is_made_on_what_is_true_when_it_commits(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:rebook": Rule(first, 2)})
    host.hand_in(flights, Flight("F1"), Flight("F2"))
    host.hand_in(seats, Seats("F1", 1), Seats("F2", 5))
    host.hand_in(bookings, *(Booking(f"B{number}", "F9") for number in range(4)))
    await host.settle()
    assert host.row(seats, "F1") == Seats("F1", 0)
    assert host.row(seats, "F2") == Seats("F2", 2)


async def test_without_validation_the_same_app_sells_a_seat_twice(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:rebook": Rule(first, 2)}, validate=False)
    host.hand_in(flights, Flight("F1"), Flight("F2"))
    host.hand_in(seats, Seats("F1", 1), Seats("F2", 5))
    host.hand_in(bookings, *(Booking(f"B{number}", "F9") for number in range(4)))
    await host.settle()
    assert host.row(seats, "F1") == Seats("F1", -3)


async def test_a_call_that_a_crash_cut_off_is_not_joined(tmp_path: Path) -> None:
    """It changes what it would ask, the engine dies, and then what it had asked is what it would ask once more."""
    host = await begun(tmp_path, Rule(first, 2))
    host.hand_in(seats, Seats("F1", 0))
    host.flush()
    host.crash()
    host.hand_in(seats, Seats("F1", 5))
    await host.settle()
    assert host.row(seats, "F1") == Seats("F1", 4)
