"""What a user would write, and a type checker accepts without a cast or an ignore."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

from extrovert import (
    App,
    Arrival,
    Backoff,
    Change,
    Csv,
    Hit,
    Lines,
    Outcome,
    Parquet,
    Permits,
    Record,
    Refuse,
    Stream,
    Thinking,
    Tick,
    Turn,
    Untrusted,
    before,
    between,
    heard_within,
    when,
)
from extrovert.connectors.replay import Replay
from extrovert.testing import World

app = App("airline")


class Flight(Record):
    flight_id: str
    origin: str
    destination: str
    departs_at: datetime
    delay_minutes: int = 0
    cancelled: bool = False


class Seats(Record):
    flight_id: str
    left: int


class Booking(Record):
    booking_id: int
    customer_id: str
    flight_id: str


class Disruption(Record):
    booking: Booking
    flight: Flight


class Choice(Record):
    case: Disruption
    options: list[Flight]


class Rebooking(Record, tag=True):
    flight_id: str
    message: str


class Waiting(Record, tag=True):
    message: str


class Delayed(Record, tag=True):
    flight_id: str
    minutes: int


class Cancelled(Record, tag=True):
    flight_id: str


class Price(Record):
    symbol: str
    value: int
    at: datetime


FlightEvent = Delayed | Cancelled

events = app.stream("flight_events", FlightEvent, key=Delayed.flight_id)
told = app.stream("told", Rebooking, key="flight_id")


def fly(flight: Flight | None, event: FlightEvent) -> Flight | None:
    if flight is None:
        return None
    match event:
        case Delayed():
            return flight.but(delay_minutes=event.minutes)
        case Cancelled():
            return flight.but(cancelled=True)


prices = app.table(
    "prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(days=7), ttl=timedelta(days=1)
)
captured = app.changes("captured", Price, key=Price.symbol)
followed = app.table("followed", Price, key=Price.symbol, source=captured)
flights = app.table("flights", Flight, key=Flight.flight_id, source=events, fold=fly)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id, turns_own=[Booking.flight_id])
by_name = app.table("by_name", Flight, key="flight_id")
by_route = flights.index(Flight.origin, Flight.destination)
to = flights.index(Flight.destination)
find = app.search("find", over=flights, text=[Flight.origin, Flight.destination])
by_departure = flights.range_index(Flight.destination, Flight.departs_at)


@app.view(over=bookings)
def disrupted(booking: Booking) -> Disruption | None:
    flight = flights[booking.flight_id]
    if not flight.cancelled and (flight.delay_minutes < 90 or not before(flight.departs_at)):
        return None
    return Disruption(booking, flight)


class Offer(Record):
    number: int
    booking_id: int
    flight: Flight


@app.view(over=disrupted)
def how_long(case: Disruption) -> int:
    return case.flight.delay_minutes


@app.view(over=how_long, keys=between(1, 100))
def is_long(minutes: int) -> bool | None:
    return minutes > 180 or None


@app.view(over=disrupted, key=Offer.number)
def offers(case: Disruption) -> Iterator[Offer]:
    for number, flight in enumerate(to[case.flight.destination]):
        yield Offer(case.booking.booking_id * 100 + number, case.booking.booking_id, flight)


of_booking = offers.index(Offer.booking_id)


@app.view(over=offers)
def offered(offer: Offer) -> str:
    return offer.flight.flight_id


@app.view(over=flights, key="number")
def by_text(flight: Flight) -> list[Offer]:
    return [Offer(1, 1, flight)]


@app.agent(wakes_on=offers)
async def offer_it(turn: Turn, offer: Offer | None) -> None:
    assert_type(is_long.get(1), bool | None)
    assert_type(turn.fresh(flights, timedelta(seconds=1))["F1"], Flight)
    assert_type(turn.fresh(to, timedelta(seconds=1))["ORD"], tuple[Flight, ...])
    assert_type(turn.fresh(how_long, timedelta(seconds=1)).get(1), int | None)
    assert_type(heard_within(find, timedelta(seconds=1)), bool)
    assert_type(turn.silent, tuple[str, ...])
    assert_type(how_long[1], int)
    assert_type(offers[1], Offer)
    assert_type(of_booking[1], tuple[Offer, ...])
    assert_type(offered[1], str)


@app.effect
async def send_message(customer_id: str, text: str) -> None: ...


@app.guard
def has_seats(flight_id: str) -> bool:
    return seats[flight_id].left >= 0


@app.effect
async def take_back(booking_id: int, *, undoes: str = "", idempotency_key: str = "") -> None: ...


@app.effect(idempotent=True, max_tries=3, retry=Backoff(jitter=0.1), undo=take_back, order_by="booking_id")
async def refund(booking_id: int, *, idempotency_key: str = "") -> int:
    return booking_id


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def earliest(choice: Choice) -> Rebooking:
    return Rebooking(choice.options[0].flight_id, "you are rebooked")


async def fare(flight_id: str) -> float:
    return 99.5


@app.agent(wakes_on=disrupted, model=earliest, order=lambda case: case.booking.booking_id, concurrency=10)
async def rebook(turn: Turn, case: Disruption) -> None:
    """You rebook airline passengers."""
    options = [
        flight for flight in by_route[case.flight.origin, case.flight.destination] if seats[flight.flight_id].left
    ]
    later = by_departure.between(("ORD", turn.now()), ("ORD",), limit=3)
    choice = await turn.ask(Choice(case, options), output=Rebooking)
    assert_type(choice, Rebooking)
    either = await turn.ask("rebook or wait?", output=Rebooking | Waiting)
    assert_type(either, Rebooking | Waiting)
    words = await turn.ask("in which words?", output=list[str])
    assert_type(words, list[str])
    price = await turn.call(fare, choice.flight_id, output=float)
    assert_type(price, float)
    free = seats.get(choice.flight_id)
    assert_type(free, Seats | None)
    if free is None or free.left == 0 or price > 500:
        raise Refuse("that flight is full")
    turn.put(bookings, case.booking.but(flight_id=choice.flight_id))
    turn.put(seats, Seats(choice.flight_id, free.left - 1))
    turn.delete(bookings, case.booking.booking_id)
    turn.emit(told, choice)
    turn.emit(events, Delayed("F1", len(later) + to.count("ORD")))
    turn.effect(send_message, case.booking.customer_id, choice.message + words[0])
    turn.effect(refund, case.booking.booking_id).once(17).guard(has_seats(choice.flight_id))
    turn.require(has_seats(choice.flight_id))
    turn.put(seats, Seats(choice.flight_id, free.left - 1), guard=has_seats(choice.flight_id))
    turn.undo("rebook:17@3")
    assert_type(flights["F1"], Flight)
    assert_type(disrupted[17].flight.departs_at, datetime)
    assert_type(to["ORD"], tuple[Flight, ...])
    hits = find.search("Chicago", limit=3, where={Flight.origin: "EWR"})
    assert_type(hits, list[Hit[Flight]])
    assert_type(find.search("Chicago", where=lambda flight: flight.cancelled)[0].row, Flight)


@app.agent(wakes_on=flights, when=lambda flight: flight.cancelled, rest=timedelta(seconds=1))
async def watch(turn: Turn, flight: Flight | None) -> None: ...


@app.agent(wakes_on=captured)
async def compare(turn: Turn, change: Change[Price]) -> None:
    assert_type(change.before, Price | None)
    assert_type(prices.as_of("ACME", turn.now()), Price | None)
    assert_type(flights.where({Flight.origin: "JFK", Flight.cancelled: False}), tuple[Flight, ...])
    until = between(turn.now(), bounds="[)")
    assert_type(flights.where({"origin": "JFK", Flight.departs_at: until}, limit=5), tuple[Flight, ...])
    assert_type(by_departure.first("ORD"), Flight | None)
    assert_type(flights.count() + by_departure.count_between(("ORD",)), int)
    by_departure.between(("ORD",), bounds="(]", limit=3, descending=True)


@app.agent(wakes_on=told)
async def follow(turn: Turn, event: Rebooking) -> None:
    assert event in turn.events


@app.agent(wakes_on=events)
async def hear(turn: Turn, event: FlightEvent) -> None: ...


alarms = app.pattern(
    "alarms",
    Waiting,
    key=Waiting.message,
    on=[events, told],
    match=when(Delayed, lambda event: event.minutes > 5)
    .times(3)
    .then(Rebooking, lambda delays, told: told.flight_id == delays[-1].flight_id)
    .without(Cancelled, lambda delays, told, event: event.flight_id == told.flight_id)
    .within(timedelta(minutes=20)),
    make=lambda delays, told: Waiting(f"{len(delays)} {delays[0].minutes} {told.message}"),
)
assert_type(alarms, Stream[Waiting])
nightly = app.schedule("nightly", every=timedelta(days=1))


@app.agent(wakes_on=nightly)
async def report(turn: Turn, tick: Tick) -> None:
    turn.emit(told, Rebooking("F1", f"{tick.missed}"), at=tick.at + timedelta(hours=1))


def recorded() -> Iterator[Arrival]:
    yield Arrival(0, "flight_events", Cancelled("F1"))


app.source(Replay("recorded", recorded))


def anything(choice: Choice) -> Rebooking:
    return Rebooking("F3", "...")


async def test_a_full_flight_is_refused(world: World) -> None:
    report = await world.send(seats, Seats("F1", 0))
    assert report.accepted == 1
    world.answer(rebook, Rebooking("F2", "..."), anything, thinks=timedelta(seconds=2))
    decision = await world.decision(rebook, 17)
    assert [write.key for write in decision.writes] == [17, "F2"]


moves = app.stream("moves", Rebooking, key=Rebooking.flight_id, id=Rebooking.message, horizon=timedelta(hours=1))
app.source(Lines("moves", moves, follow=True, every=timedelta(seconds=1)))
app.source(Csv(Path("moves.csv"), moves, name="desk", delimiter=";"))
app.source(Parquet("moves.parquet", moves, name="archive"))
departures = app.stream("departures", Flight, key=Flight.flight_id)
app.source(Lines("flown.jsonl", departures, at=Flight.departs_at, speed=600))


async def sends(left: Seats) -> None:
    async with app.serving() as engine:
        report = await engine.send(moves, (Rebooking("F1", "so") for _ in range(3)), source="desk")
        assert_type(report.duplicates, int)
        await engine.send(seats, [left])


@app.agent(wakes_on=app.outcomes(refund))
async def hear_of(turn: Turn, outcome: Outcome) -> None:
    assert_type(outcome.state, str)


class Mail(Record):
    mail_id: str
    text: Untrusted[str]
    files: Untrusted[list[str]]


mails = app.table("mails", Mail, key=Mail.mail_id)


@app.effect
async def reply(address: str, text: str) -> None: ...


@app.agent(
    wakes_on=mails,
    model="openai:gpt-5-mini",
    when_tainted=Permits(
        effects=[reply],
        writes=[seats, mails],
        approve=[reply, moves],
        trusted={reply: {"address": Booking.customer_id}},
    ),
)
async def answer(turn: Turn, mail: Mail) -> None:
    assert_type(Mail("M1", "text", ["a file"]).text, str)
    assert_type(mail.files, list[str])
    assert_type(turn.tainted, tuple[str, ...])
