"""A small airline: passengers of cancelled flights are rebooked and told; complaints are filed under their booking."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from extrovert import App, Record, Turn

app = App("airline")


class Flight(Record):
    flight_id: str
    departs_at: datetime
    seats: Annotated[int, Meta(ge=0, le=1000)] = 0
    load: float = 0.0
    cancelled: bool = False


class Booking(Record):
    booking_id: str
    flight_id: str


class Gate(Record):
    number: int
    open: bool = False


class Complaint(Record):
    booking_id: str
    text: str


class Rebooking(Record):
    flight_id: str


flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
gates = app.table("gates", Gate, key=Gate.number)
complaints = app.stream("complaints", Complaint, key=Complaint.booking_id)


@app.view(over=bookings)
def stranded(booking: Booking) -> Booking | None:
    flight = flights.get(booking.flight_id)
    return booking if flight is not None and flight.cancelled else None


app.publish(flights, flights.range_index(Flight.seats), stranded)


@app.policy
def next_flight(options: str) -> Rebooking:
    return Rebooking(options.split(maxsplit=1)[0])


@app.effect
async def tell(booking_id: str, text: str) -> str:
    print(f"told {booking_id}: {text}", flush=True)
    return f"told {booking_id}"


@app.agent(wakes_on=stranded, model=next_flight)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = " ".join(flight.flight_id for flight in flights.all() if not flight.cancelled)
    choice = await turn.ask(options, output=Rebooking)
    turn.put(bookings, booking.but(flight_id=choice.flight_id))
    turn.effect(tell, booking.booking_id, f"you fly with {choice.flight_id}")


@app.agent(wakes_on=complaints, max_tries=1)
async def answer(turn: Turn, complaint: Complaint) -> None:
    flight = bookings[complaint.booking_id].flight_id
    turn.effect(tell, complaint.booking_id, f"about {flight}, sorry: {complaint.text}")
