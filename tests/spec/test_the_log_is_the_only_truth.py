"""The log is the only truth: all state is a fold of it, and a decision is one record of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from extrovert import App, Refuse, Thinking, Turn
from extrovert.core.log import Answered, Attempted, Decided, EffectStep, Events
from extrovert.core.record import Record
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats

app = App("airline")


class Told(Record):
    booking_id: str
    text: str


flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
told = app.stream("told", Told, key=Told.booking_id)
letters = app.table("letters", Told, key=Told.booking_id, source=told)
to = flights.index(Flight.destination)
by_delay = flights.range_index(Flight.destination, Flight.delay_minutes)


@app.view(over=bookings)
def stranded(booking: Booking) -> Booking | None:
    return booking if flights[booking.flight_id].cancelled else None


@app.effect
async def send_message(customer_id: str, text: str) -> str:
    return f"sent {text} to {customer_id}"


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def first(choice: Choice) -> Rebooking:
    return Rebooking(choice.options[0])


@app.agent(wakes_on=stranded, model=first)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [f.flight_id for f in to["ORD"] if not f.cancelled and seats[f.flight_id].left]
    if not options:
        return
    choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
    left = seats[choice.flight_id].left
    if left == 0:
        raise Refuse("full")
    turn.put(bookings, booking.but(flight_id=choice.flight_id))
    turn.put(seats, Seats(choice.flight_id, left - 1))
    turn.emit(told, Told(booking.booking_id, choice.flight_id))
    turn.effect(send_message, booking.customer_id, choice.flight_id)


def storm(host: Host) -> None:
    """Three bookings lose their flight, and there are two seats left."""
    host.hand_in(flights, Flight("F1"), Flight("F2"), Flight("F3"))
    host.hand_in(seats, Seats("F1", 0), Seats("F2", 1), Seats("F3", 1))
    host.hand_in(bookings, Booking("B1", "F1"), Booking("B2", "F1"), Booking("B3", "F1"))
    host.hand_in(flights, Flight("F1", cancelled=True))


async def weather(host: Host) -> None:
    storm(host)
    await host.settle()


def test_replaying_the_log_gives_the_live_state(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    asyncio.run(weather(host))
    assert host.decisions()
    assert picture(replayed(host)) == picture(host.fold)


async def test_replaying_the_log_gives_the_live_state_in_the_middle_of_things_too(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    storm(host)
    for _ in range(12):
        await host.advance(0.5)
        assert picture(replayed(host)) == picture(host.fold)
    assert [turn.writes != [] for turn in host.decisions()].count(True) == 2


def test_a_decision_is_one_record_with_its_reads_answers_writes_events_and_effects(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    asyncio.run(weather(host))
    entry = next(entry for entry in host.entries() if entry.kind == "decided")
    decided = host.decisions()[0]
    booking = decided.key
    taken = decided.writes[1].key
    assert [(write.to, write.key) for write in decided.writes] == [("bookings", booking), ("seats", taken)]
    assert [(emit.to, bytes(emit.data)) for emit in decided.emits] == [
        ("told", b'{"booking_id":"%s","text":"%s"}' % (booking.encode(), taken.encode()))
    ]
    assert [(effect.effect, bytes(effect.args)) for effect in decided.effects] == [
        ("send_message", b'["C1","%s"]' % taken.encode())
    ]
    assert {(read.kind, read.of, read.at) for read in decided.reads} >= {
        ("view", "stranded", booking),
        ("index", "flights.destination", "ORD"),
        ("row", "seats", taken),
    }
    answers = [other for other in host.entries() if other.offset in decided.answers]
    assert [other.kind for other in answers] == ["answered"]
    assert entry.count == 1 + len(decided.emits)


def test_a_row_carries_the_offset_of_the_decision_that_wrote_it(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    asyncio.run(weather(host))
    entry = next(entry for entry in host.entries() if entry.kind == "decided")
    decided = host.decisions()[0]
    versions = host.fold.context.tables["bookings"].versions
    assert versions[decided.key] == entry.offset
    assert host.fold.context.tables["letters"].versions[decided.key] == entry.offset + 1


def test_the_same_seed_gives_the_same_bodies_in_each_run(tmp_path: Path) -> None:
    logs: list[list[tuple[int, int, str, bytes]]] = []
    for life in ("one", "two"):
        host = Host(app, tmp_path / life, seed=7)
        asyncio.run(weather(host))
        logs.append([(entry.offset, entry.at_us, entry.kind, entry.body) for entry in host.entries()])
    assert logs[0] == logs[1]


def test_another_seed_thinks_for_another_time(tmp_path: Path) -> None:
    moments: list[list[int]] = []
    for seed in (1, 2):
        host = Host(app, tmp_path / str(seed), seed=seed)
        asyncio.run(weather(host))
        moments.append([entry.at_us for entry in host.entries() if entry.kind == "answered"])
    assert moments[0] != moments[1]


def test_whatever_changes_state_is_in_the_log(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    asyncio.run(weather(host))
    assert {type(one) for one in host.bodies()} == {Events, Attempted, Answered, Decided, EffectStep}
    ends = [entry.offset + entry.count for entry in host.entries()]
    assert [entry.offset for entry in host.entries()] == [1, *ends[:-1]]
