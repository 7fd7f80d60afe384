"""The storm, as an app: live tables of an airline, and agents that rebook its passengers and tell them.

This is what a user of Extrovert writes. Where the events come from is in `feed`, how a run is made in `run`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from extrovert import App, DecisionInvalidated, Limits, Price, Refuse, Thinking, Turn, before
from extrovert.demos.storm.network import bank, network
from extrovert.demos.storm.records import (
    Arrived,
    Bookable,
    Booking,
    Cancelled,
    Case,
    Choices,
    Customer,
    Delayed,
    Departed,
    Destination,
    Disruption,
    Flight,
    FlightEvent,
    News,
    Opening,
    Option,
    Outcome,
    Owed,
    Rebooking,
    Scheduled,
    Seats,
    Weather,
    Words,
)

__all__ = ["app"]

TOO_LATE = timedelta(hours=3)
CLOSES = timedelta(minutes=20)
MOST_OPTIONS = 8
REFUNDED_AFTER = timedelta(hours=6)
DESK_TAKES = timedelta(hours=4)
FLEXIBLE = 1
FARE_CENTS = 38_900
PREFERENCE_IS_WORTH = timedelta(minutes=30)
HEARD_WITHIN = timedelta(minutes=30)
BUDGET_USD = "10.00"

app = App("storm")


# ---- what is true now


def fly(flight: Flight | None, event: FlightEvent) -> Flight | None:
    """The flight after one more event about it."""
    if isinstance(event, Scheduled):
        return Flight(
            flight_id=event.flight_id,
            carrier=event.carrier,
            origin=event.origin,
            destination=event.destination,
            scheduled_at=event.departs_at,
            departs_at=event.departs_at,
            arrives_at=event.arrives_at,
            seats=event.seats,
        )
    if flight is None:
        raise ValueError(f"flight {event.flight_id} was never scheduled")
    match event:
        case Delayed():
            return flight.but(departs_at=event.departs_at, arrives_at=event.arrives_at)
        case Cancelled():
            return flight.but(cancelled=True)
        case Departed():
            return flight.but(departed=True, departs_at=event.departed_at)
        case Arrived():
            return flight.but(arrived=True, arrives_at=event.arrived_at)


flight_events = app.stream("flight_events", FlightEvent, key=Scheduled.flight_id)
flights = app.table(
    "flights", Flight, key=Flight.flight_id, source=flight_events, fold=fly, shard_by=Flight.destination
)
bound_for = flights.index(Flight.destination)

# What is heard of late, or corrected, is kept in the order of event time too: who had decided by it is then known.
departed = app.stream("departed", Departed, key=Departed.flight_id, source=flight_events.only(Departed))
departures = app.table(
    "departures",
    Departed,
    key=Departed.flight_id,
    source=departed,
    order_by=Departed.departed_at,
    history=2 * HEARD_WITHIN,
    replicated=True,
)
delayed = app.stream("delayed", Delayed, key=Delayed.flight_id, source=flight_events.only(Delayed))
estimates = app.table(
    "estimates",
    Delayed,
    key=Delayed.flight_id,
    source=delayed,
    order_by=Delayed.announced_at,
    history=2 * HEARD_WITHIN,
    replicated=True,
)

destinations = app.table("destinations", Destination, key=Destination.code)

reservations = app.stream("bookings", Booking, key=Booking.booking_id)
bookings = app.table(
    "bookings",
    Booking,
    key=Booking.booking_id,
    source=reservations,
    turns_own=[Booking.flight_id, Booking.status, Booking.because, Booking.moves],
    shard_by=Booking.destination,
)
on_flight = bookings.index(Booking.destination, Booking.flight_id)
standing = bookings.index(Booking.destination, Booking.status)
queue = bookings.range_index(Booking.destination, Booking.status, Booking.tier)

customers = app.table("customers", Customer, key=Customer.customer_id, replicated=True)
weather = app.table("weather", Weather, key=Weather.airport, order_by=Weather.at, replicated=True)
outcomes = app.stream("outcomes", Outcome, key=Outcome.booking_id, shard_by=Outcome.destination)


def is_late(flight: Flight) -> bool:
    return flight.departs_at - flight.scheduled_at >= TOO_LATE


@app.view(over=destinations)
def bookable(destination: Destination) -> Bookable | None:
    """The flights that one can still be rebooked to, and the seats left on each."""
    found: list[Seats] = []
    for flight in bound_for[destination.code]:
        if flight.cancelled or flight.departed or is_late(flight) or not before(flight.departs_at - CLOSES):
            continue
        left = flight.seats - on_flight.count((flight.destination, flight.flight_id))
        if left > 0:
            option = Option(flight.flight_id, flight.origin, flight.departs_at, flight.arrives_at)
            found.append(Seats(option, left))
    found.sort(key=earliest_arrival)
    return Bookable(tuple(found)) if found else None


def earliest_arrival(seats: Seats) -> tuple[datetime, str]:
    return seats.option.arrives_at, seats.option.flight_id


@app.view(over=bookings)
def disrupted(booking: Booking) -> Disruption | None:
    """A booking that needs a decision. One that waits already is left alone until it is called, or worse happens."""
    flight = flights[booking.flight_id]
    if booking.status == "refunded":
        return None
    missed = "missed" in (booking.status, booking.because)
    if flight.departed and not missed:
        return None if booking.status in ("booked", "flown") else Disruption(booking, "left")
    reason = "missed" if missed else "cancelled" if flight.cancelled else "late" if is_late(flight) else ""
    if booking.status in ("called", "recalled"):
        found = choices.get(booking.destination)
        return Disruption(booking, reason or booking.because, found.options[0].flight_id if found else "")
    if not reason or booking.because == reason:
        return None
    return Disruption(booking, reason)


@app.view(over=bookings)
def owed(booking: Booking) -> Owed | None:
    """A refund: to who has a flexible fare, and still waits hours after the cancelled flight was to leave."""
    if booking.tier > FLEXIBLE or booking.status != "waiting":
        return None
    flight = flights[booking.flight_id]
    if not flight.cancelled or before(flight.scheduled_at + REFUNDED_AFTER):
        return None
    return Owed(booking.booking_id, booking.customer_id, FARE_CENTS)


@app.view(over=destinations)
def choices(destination: Destination) -> Choices | None:
    """What can be offered. It tells that there is a seat, not how many: a prompt should not change with each sale."""
    found = bookable.get(destination.code)
    return Choices(tuple(seats.option for seats in found.flights[:MOST_OPTIONS])) if found else None


@app.view(over=destinations)
def openings(destination: Destination) -> Opening | None:
    """Whom to call for the seats that nobody is being offered: as many as can be seated, by tier."""
    code = destination.code
    found = bookable.get(code)
    if found is None:
        return None
    seats = sum(flight.left for flight in found.flights) - standing.count((code, "called"))
    if seats <= 0:
        return None
    call = [booking.booking_id for booking in queue.under(code, "waiting", limit=seats)]
    seats -= len(call) + standing.count((code, "recalled"))
    if seats > 0 and standing.count((code, "late")):
        earliest = found.flights[0].option.arrives_at
        late = (booking for booking in queue.under(code, "late") if flights[booking.flight_id].arrives_at > earliest)
        call += [booking.booking_id for booking in islice(late, seats)]
    return Opening(code, tuple(call)) if call else None


def worth_offering(options: tuple[Option, ...], prefers: str) -> tuple[Option, ...]:
    """The earliest arrival, and the earliest from the airport that the passenger prefers.

    A prompt says what matters to the choice and no more: what happens to the other options then disturbs nobody.
    """
    from_there = next((option for option in options if option.origin == prefers), options[0])
    return options[:1] if from_there == options[0] else (options[0], from_there)


# ---- who acts


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def earliest(case: Case) -> Rebooking:
    """Takes the earliest arrival, or one a little later from the airport that the passenger prefers."""
    best, preferred = case.options[0], case.options[-1]
    if preferred.arrives_at - best.arrives_at <= PREFERENCE_IS_WORTH:
        best = preferred
    return Rebooking(best.flight_id)


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def wording(news: News) -> Words:
    """Says the news in a sentence or two."""
    match news.kind:
        case "rebooked":
            text = f"you have a seat on {news.flight_id} to {news.destination}, leaving at {news.departs_at:%H:%M} UTC."
        case "late":
            text = f"{news.flight_id} is expected to leave at {news.departs_at:%H:%M} UTC. You keep your seat."
        case "waiting":
            text = f"{news.flight_id} will not take you to {news.destination}, and no seat is free. We keep looking."
    return Words(f"{news.name}: {text}")


@app.policy
def form(news: News) -> Words:
    """Says the same in a form's words, which cost nothing."""
    leaves = "" if news.departs_at is None else f", {news.departs_at:%H:%M} UTC"
    return Words(f"{news.name}: {news.kind.upper()}. {news.flight_id} {news.destination}{leaves}.")


writer = app.model(
    "writer",
    wording,
    price=Price(input="0", output="0", request="0.002"),
    limits=Limits(usd_per_hour=BUDGET_USD, over="fallback"),
    fallback=form,
)


@app.effect(idempotent=True)
async def send_message(
    customer_id: str, booking_id: str, words: Words, news: News, *, idempotency_key: str = ""
) -> None:
    """Sends a text message."""
    network.deliver(idempotency_key, customer_id, words.text)


@app.agent(
    wakes_on=disrupted,
    model=earliest,
    order=lambda case: case.booking.tier,
    concurrency=64,
    rest=timedelta(minutes=5),
    max_reruns=100,
)
async def rebook(turn: Turn, case: Disruption) -> None:
    """You rebook airline passengers. Take the earliest arrival; mind the airport that they prefer."""
    booking, reason = case.booking, case.reason
    if reason == "left" or (reason != "missed" and departures.as_of(booking.flight_id, turn.now())):
        turn.put(bookings, booking.but(status="flown", because=""))
        return
    found = choices.get(booking.destination)
    options = tuple(option for option in found.options if option.flight_id != booking.flight_id) if found else ()
    if reason == "late":
        expected = estimates.get(booking.flight_id) or flights[booking.flight_id]
        options = tuple(option for option in options if option.arrives_at < expected.arrives_at)
    move = booking.moves + 1
    if not options:
        if booking.because != reason:
            kind = "late" if reason == "late" else "waiting"
            turn.put(bookings, booking.but(status=kind, because=reason, moves=move))
            turn.emit(outcomes, Outcome(booking.booking_id, booking.destination, kind, booking.flight_id, move))
        return
    prefers = customers[booking.customer_id].prefers
    offered = worth_offering(options, prefers)
    choice = await turn.ask(Case(booking.booking_id, booking.tier, prefers, reason, offered), output=Rebooking)
    flight = flights[choice.flight_id]
    if on_flight.count((flight.destination, flight.flight_id)) >= flight.seats:
        raise Refuse(f"{flight.flight_id} is full")
    if departures.as_of(flight.flight_id, turn.now()):  # asked last: of no flight that was refused for another reason
        raise Refuse(f"{flight.flight_id} has left")
    turn.put(bookings, booking.but(flight_id=flight.flight_id, status="booked", because="", moves=move))
    turn.emit(outcomes, Outcome(booking.booking_id, booking.destination, "rebooked", flight.flight_id, move))


@app.agent(wakes_on=app.invalidations(horizon=HEARD_WITHIN))
async def put_right(turn: Turn, event: DecisionInvalidated) -> None:
    """Looks anew after a passenger for whom `rebook` decided by what was not so, as has been heard since."""
    for read in (read for wrong in turn.events for read in wrong.reads):
        booking, flight = bookings.get(str(event.about)), flights[str(read.key)]
        if booking is None or booking.status in ("flown", "refunded"):
            return  # gave up, or is where they are
        stays, move = booking.flight_id == flight.flight_id, booking.moves + 1
        if read.table == departures.name and not stays:  # it had left before they were moved off it: they are aboard
            turn.put(bookings, booking.but(flight_id=flight.flight_id, status="flown", because="", moves=move))
        elif read.table == departures.name and booking.status == "booked":  # it had left before they were moved to it
            turn.put(bookings, booking.but(status="missed", moves=move))
        elif read.table == estimates.name and would_keep(flight, booking):  # it was not to be so late after all
            turn.put(bookings, booking.but(flight_id=flight.flight_id, status="booked", because="", moves=move))
            kind = "late" if stays else "rebooked"
            turn.emit(outcomes, Outcome(booking.booking_id, booking.destination, kind, flight.flight_id, move))


def would_keep(flight: Flight, booking: Booking) -> bool:
    """Whether a passenger for whom another flight was sought would rather have their first one, and still can."""
    if flight.departed or flight.cancelled or is_late(flight):
        return False
    if booking.flight_id == flight.flight_id:
        return booking.status in ("late", "recalled")
    if on_flight.count((flight.destination, flight.flight_id)) >= flight.seats:
        return False
    return booking.status != "booked" or flight.arrives_at < flights[booking.flight_id].arrives_at


@app.effect(idempotent=True)
async def pay_back(customer_id: str, booking_id: str, cents: int, *, idempotency_key: str = "") -> None:
    """Pays a refund."""
    bank.deliver(idempotency_key, customer_id, f"{booking_id} {cents}")


@app.agent(wakes_on=owed)
async def refund(turn: Turn, due: Owed) -> None:
    """Pays money back when a person at the desk agrees, unless a seat has been found meanwhile."""
    said = await turn.approval(due, who="desk", until=turn.now() + DESK_TAKES)
    if said.granted:
        booking = bookings[due.booking_id]
        turn.put(bookings, booking.but(status="refunded", because="", moves=booking.moves + 1))
        turn.effect(pay_back, due.customer_id, due.booking_id, due.cents)


@app.agent(wakes_on=openings)
async def usher(turn: Turn, opening: Opening) -> None:
    """Calls the passengers who wait, as many as there are seats, so that `rebook` looks at them again."""
    for booking_id in opening.call:
        booking = bookings.get(booking_id)
        if booking is not None and booking.status in ("waiting", "late"):
            turn.put(bookings, booking.but(status="called" if booking.status == "waiting" else "recalled"))


@app.agent(wakes_on=outcomes, model=writer, concurrency=64)
async def tell(turn: Turn, outcome: Outcome) -> None:
    """You tell passengers what was decided for them, in one or two plain sentences."""
    booking = bookings.get(outcome.booking_id)
    if booking is None or booking.moves > outcome.move:
        return  # gave up meanwhile, or more has been decided: that decision tells its own outcome
    flight = flights[outcome.flight_id]
    leaves = None if outcome.kind == "waiting" else flight.departs_at
    if leaves is not None and (flight.cancelled or flight.departed):
        return  # being rebooked again, or gone
    customer = customers[booking.customer_id]
    news = News(customer.name, outcome.kind, flight.flight_id, flight.destination, leaves)
    words = await turn.ask(news, output=Words)
    turn.effect(send_message, booking.customer_id, booking.booking_id, words, news)
