"""Joins: a view over three tables, of which one row that a thousand others depend on changes, in live context alone.

The view of a booking reads its flight and its customer. Beside the thousand bookings on the flight that changes there
are many on others. The reference calls the same rule for the same thousand rows over plain dicts.

What a change costs that nobody depends on is measured with ten times as many bookings as well: it evaluates nothing,
which is counted, and takes as long.
"""

from __future__ import annotations

import msgspec

from bench.measuring import Figure, Scale, alternate, expect, spent
from extrovert import App, Record
from extrovert.context.live import LiveContext

__all__ = ["measure"]

DEPENDANTS = 1_000
CHANGES = 200
OTHERS = 10_000
TIMES = 10
CUSTOMERS = 500
IDLE_CHANGES = 20_000


class Flight(Record):
    flight_id: str
    gate: str
    delay: int = 0


class Customer(Record):
    customer_id: str
    name: str
    language: str = "en"


class Booking(Record):
    booking_id: str
    flight_id: str
    customer_id: str
    bags: int = 0


class Notice(Record):
    booking_id: str
    name: str
    gate: str
    delay: int


app = App("joins")
flights = app.table("flights", Flight, key=Flight.flight_id)
customers = app.table("customers", Customer, key=Customer.customer_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
evaluations = [0]


@app.view(over=bookings)
def notice(booking: Booking) -> Notice:
    evaluations[0] += 1
    flight = flights[booking.flight_id]
    customer = customers[booking.customer_id]
    return Notice(booking.booking_id, customer.name, flight.gate, flight.delay)


def rule(booking: Booking, flights: dict[str, Flight], customers: dict[str, Customer]) -> Notice:
    """What the view says, over plain dicts."""
    evaluations[0] += 1
    flight = flights[booking.flight_id]
    customer = customers[booking.customer_id]
    return Notice(booking.booking_id, customer.name, flight.gate, flight.delay)


class World(msgspec.Struct):
    """The rows, and the live context that holds them."""

    flights: dict[str, Flight]
    customers: dict[str, Customer]
    bookings: list[Booking]
    context: LiveContext
    offset: int

    def change(self, flight: Flight) -> None:
        """One flight changes, and all that hangs on it."""
        self.offset += 1
        self.flights[flight.flight_id] = flight
        self.context.fold("flights", [flight.flight_id], [flight], [self.offset])
        self.context.settle()

    def check(self) -> None:
        """Every view is what the rule says."""
        wanted = {one.booking_id: rule(one, self.flights, self.customers) for one in self.bookings}
        expect("views", self.context.views["notice"].values == wanted, True)
        expect("keys in quarantine", dict(self.context.views["notice"].quarantine), {})


def measure(scale: Scale) -> list[Figure]:
    """Evaluations a second after a change of the hot row, and microseconds for a change that nobody depends on."""
    changes, others, idle = scale.of(CHANGES), scale.of(OTHERS), scale.of(IDLE_CHANGES)
    hot = alternate(scale.runs, lambda: _hot(changes, others), lambda: _hot_rules(changes))
    cold = alternate(scale.runs, lambda: _cold(idle, TIMES * others), lambda: _cold(idle, others))
    return [
        Figure(
            bench="joins",
            what=f"three tables, one row changes, {DEPENDANTS:,} depend on it",
            unit="evaluations/s",
            runs=[one for one, _ in hot],
            beside="plain function",
            references=[one for _, one in hot],
            aim="100,000",
        ),
        Figure(
            bench="joins",
            what=f"a change that none of {TIMES * others:,} views depends on: none evaluated",
            unit="ns",
            runs=[one for one, _ in cold],
            beside=f"with {others:,}",
            references=[one for _, one in cold],
            aim="ratio 1",
        ),
    ]


def _world(others: int) -> World:
    """`DEPENDANTS` bookings on flight F0, `others` on further ones, and a flight that nobody has booked."""
    known = {f"F{number}": Flight(f"F{number}", f"G{number % 40}") for number in range(1 + others // 100)}
    known["empty"] = Flight("empty", "G0")
    people = {f"C{number}": Customer(f"C{number}", f"Name {number}") for number in range(CUSTOMERS)}
    others_on = len(known) - 2
    booked = [Booking(f"B{number}", "F0", f"C{number % CUSTOMERS}") for number in range(DEPENDANTS)]
    booked += [
        Booking(f"X{number}", f"F{1 + number % others_on}", f"C{number % CUSTOMERS}")
        for number in (range(others) if others_on else ())
    ]
    declared = app.declared()
    world = World(known, people, booked, LiveContext(declared.tables, declared.views), 0)
    for name, rows in ("flights", known), ("customers", people), ("bookings", {one.booking_id: one for one in booked}):
        offsets = range(world.offset + 1, world.offset + 1 + len(rows))
        world.context.fold(name, list(rows), list(rows.values()), offsets)
        world.offset += len(rows)
    world.context.settle()
    world.context.take_changes()
    return world


def _hot(changes: int, others: int) -> float:
    world = _world(others)
    before = evaluations[0]
    with spent() as took:
        for delay in range(1, changes + 1):
            world.change(Flight("F0", "G0", delay))
            expect("views that changed", len(world.context.take_changes()), DEPENDANTS)
    expect("evaluations", evaluations[0] - before, changes * DEPENDANTS)
    world.check()
    return changes * DEPENDANTS / took.wall_s


def _hot_rules(changes: int) -> float:
    world = _world(0)
    with spent() as took:
        for delay in range(1, changes + 1):
            world.flights["F0"] = Flight("F0", "G0", delay)
            for booking in world.bookings:
                rule(booking, world.flights, world.customers)
    return changes * DEPENDANTS / took.wall_s


def _cold(changes: int, others: int) -> float:
    """Nanoseconds for a change of the row that nobody depends on."""
    world = _world(others)
    before = evaluations[0]
    with spent() as took:
        for delay in range(1, changes + 1):
            world.change(Flight("empty", "G0", delay))
    expect("evaluations", evaluations[0] - before, 0)
    world.check()
    return took.wall_s / changes * 1e9
