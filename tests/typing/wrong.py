"""What a type checker finds in a user's code: each line that ends in `error` must be reported, and no other."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from extrovert import App, Csv, Lines, Permits, Record, Shape, Turn, Untrusted, between, heard_within, when
from extrovert.engine.loop import Engine

app = App("airline")


class Flight(Record):
    flight_id: str
    destination: str
    delay_minutes: int = 0


class Booking(Record):
    booking_id: int
    flight_id: str


class Rebooking(Record):
    flight_id: str


class Waiting(Record):
    minutes: int


flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
told = app.stream("told", Rebooking, key=Rebooking.flight_id)
to = flights.index(Flight.destination)
find = app.search("find", over=flights, text=Flight.destination)
like = app.search("like", over=flights, text=Flight.destination, embedder="wordllama")  # error: reportArgumentType
to_with = flights.index(Flight.destination, Flight.delay_minutes)
oops = app.table("oops", Flight, key=Flight.flight)  # error: reportAttributeAccessIssue
odd = flights.index(Flight.origin)  # error: reportAttributeAccessIssue


app.table("dated", Flight, key=Flight.flight_id, ttl=60)  # error: reportCallIssue


@app.guard
def has_seats(flight_id: str) -> bool:
    return bool(flight_id)


@app.effect
async def send_message(customer_id: str, text: str) -> None: ...


@app.view(over=bookings)
def late(booking: Booking) -> Flight | None:
    flight = flights[booking.booking_id]  # error: reportArgumentType
    return flight if flight.delay > 5 else None  # error: reportAttributeAccessIssue


@app.view(over=late)  # error: reportArgumentType
def over_late(booking: Booking) -> int:
    return booking.booking_id


@app.view(over=flights, key=Booking.booking_id)  # error: reportArgumentType
def one_row(flight: Flight) -> Booking:
    return Booking(1, flight.flight_id)


@app.view(over=flights, key=Booking.booking_id)
def rows(flight: Flight) -> list[Booking]:
    return [Booking(1, flight.flight_id)]


@app.view(over=rows)
def over_rows(booking: Booking) -> str:
    return rows["F1"].flight_id  # error: reportArgumentType


@app.view(over=told)  # error: reportArgumentType
def over_stream(event: Rebooking) -> str:
    return event.flight_id


@app.view(over=flights)  # error: reportArgumentType
def wrong_row(booking: Booking) -> int:
    return booking.booking_id


@app.agent(wakes_on=late)
async def rebook(turn: Turn, flight: Flight) -> None:
    answer = await turn.ask("rebook?", output=Rebooking | Waiting)
    answer.flight_id  # error: reportAttributeAccessIssue
    names = await turn.ask("names?", output=list[str])
    names[0].minutes  # error: reportAttributeAccessIssue
    one = await turn.ask("one?", output=Rebooking)
    total: int = one.flight_id  # error: reportAssignmentType
    assert total
    assert_type(one, Waiting)  # error: reportAssertTypeFailure
    await turn.ask(17, output=int)  # error: reportArgumentType
    flights.get(17)  # error: reportArgumentType
    bookings["B1"]  # error: reportArgumentType
    to[17]  # error: reportArgumentType
    find.search("Chicago", where=lambda flight: flight.delay > 5)  # error: reportAttributeAccessIssue
    find.search("Chicago")[0].row.delay  # error: reportAttributeAccessIssue
    find.search(17)  # error: reportArgumentType
    to_with["ORD"]  # error: reportArgumentType
    to_with.count(("ORD", "late"))  # error: reportArgumentType
    flights.as_of(17, turn.now())  # error: reportArgumentType
    turn.fresh("flights", timedelta(seconds=1))  # error: reportArgumentType
    turn.fresh(flights, 1)  # error: reportArgumentType
    turn.fresh(flights, timedelta(seconds=1))[17]  # error: reportArgumentType
    heard_within(17, timedelta(seconds=1))  # error: reportArgumentType
    flights.as_of("F1", 17)  # error: reportArgumentType
    flights.as_of("F1", turn.now()).delay  # error: reportAttributeAccessIssue
    flights.where({Flight.origin: "JFK"})  # error: reportAttributeAccessIssue
    flights.where({})[0].delay  # error: reportAttributeAccessIssue
    between(1, 2, bounds="[[")  # error: reportArgumentType
    turn.put(flights, Booking(1, "F1"))  # error: reportArgumentType
    turn.delete(bookings, "B1")  # error: reportArgumentType
    turn.emit(told, flight)  # error: reportArgumentType
    turn.effect(send_message, "C1")  # error: reportCallIssue
    turn.effect(send_message, "C1", "text").guard(has_seats(17))  # error: reportArgumentType
    turn.effect(send_message, "C1", "text").once(None)  # error: reportArgumentType
    turn.require(has_seats)  # error: reportArgumentType
    turn.require(has_seats())  # error: reportCallIssue
    turn.effect(send_message, "C1", 17)  # error: reportArgumentType
    turn.effect(send_message, "C1", "text", "more")  # error: reportCallIssue
    flight.delay_minutes = 5  # error: reportAttributeAccessIssue
    flight.but(delay_minutes=5).delay_minute  # error: reportAttributeAccessIssue
    Flight("F1", "ORD", "late")  # error: reportArgumentType
    Flight("F1", delays=5, destination="ORD")  # error: reportCallIssue


@app.agent(wakes_on=late)  # error: reportArgumentType
async def wrong_value(turn: Turn, booking: Booking) -> None: ...


@app.agent(wakes_on=bookings)  # error: reportArgumentType
async def wrong_record(turn: Turn, flight: Flight) -> None: ...


@app.agent(wakes_on=told)  # error: reportArgumentType
async def wrong_event(turn: Turn, event: Waiting) -> None: ...


@app.agent(wakes_on=flights)  # error: reportArgumentType
def not_a_coroutine(turn: Turn, flight: Flight) -> None: ...


@app.agent(wakes_on=flights, when=lambda flight: flight.delayed)  # error: reportAttributeAccessIssue
async def wrong_condition(turn: Turn, flight: Flight) -> None: ...


@app.agent(wakes_on=flights, rest=5)  # error: reportArgumentType
async def wrong_rest(turn: Turn, flight: Flight) -> None: ...


@app.agent(wakes_on=flights, rest=timedelta(seconds=5))
async def fine(turn: Turn, flight: Flight) -> None: ...


async def feed(engine: Engine, flight: Flight, seen: timedelta) -> None:
    await engine.send(flights, [flight])
    await engine.send(flights, [Waiting(3)])  # error: reportArgumentType
    await engine.send(told, [flight])  # error: reportArgumentType
    await engine.send(told, flight)  # error: reportArgumentType
    app.source(Lines("told.jsonl"))  # error: reportCallIssue
    app.source(Lines("told.jsonl", told, follow="yes"))  # error: reportArgumentType
    app.source(Csv("told.csv", flights))  # error: reportArgumentType
    app.stream("s", Flight, key=Flight.flight_id, id=Flight.flight_id, horizon=5)  # error: reportArgumentType


@app.effect  # error: reportArgumentType
def not_awaited(text: str) -> None: ...


app.pattern(
    "again",
    Waiting,
    key=Waiting.minutes,
    on=[told],
    match=when(Rebooking, lambda event: event.flight == "F1")  # error: reportAttributeAccessIssue
    .then(Waiting, lambda first, then: then.minute > 1)  # error: reportAttributeAccessIssue
    .within(timedelta(minutes=5)),
    make=lambda first, then: Waiting(then.minute),  # error: reportAttributeAccessIssue
)
unbounded: Shape[Rebooking] = when(Rebooking)  # error: reportAssignmentType
when(Rebooking).then(Waiting).times(2)  # error: reportAttributeAccessIssue


class Mail(Record):
    text: Untrusted[str]


Mail(5)  # error: reportArgumentType
Permits(effects=[flights])  # error: reportArgumentType
Permits(writes=[told])  # error: reportArgumentType
