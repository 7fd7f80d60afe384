"""Views: re-evaluations a second, in the live context alone: no log, no agents, no I/O.

The view reads its own row, one row of another table and one count of an index. The reference calls the same rule for
the same rows over plain dicts, with nothing tracked and nothing kept: what must be computed in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bench.measuring import Figure, Scale, alternate, expect, spent
from extrovert import App, Record
from extrovert.context.live import LiveContext

__all__ = ["measure"]

DEPENDANTS = 1_000
FLIPS = 100
ROWS = 100_000
FLIGHTS = 1_000


class Flight(Record):
    flight_id: str
    seats: int
    cancelled: bool = False


class Booking(Record):
    booking_id: str
    flight_id: str
    bags: int = 0


class Trouble(Record):
    booking_id: str
    others: int
    bags: int


app = App("views")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
on_flight = bookings.index(Booking.flight_id)


@app.view(over=bookings)
def trouble(booking: Booking) -> Trouble | None:
    flight = flights[booking.flight_id]
    if not flight.cancelled:
        return None
    return Trouble(booking.booking_id, on_flight.count(booking.flight_id), booking.bags)


def rule(booking: Booking, known: dict[str, Flight], sizes: Counter[str]) -> Trouble | None:
    """What the view says, over plain dicts."""
    flight = known[booking.flight_id]
    if not flight.cancelled:
        return None
    return Trouble(booking.booking_id, sizes[booking.flight_id], booking.bags)


def measure(scale: Scale) -> list[Figure]:
    """Evaluations a second: of many rows because of one that they all read, and because each of them changed."""
    flips, rows = scale.of(FLIPS), scale.of(ROWS)
    return [
        _figure(scale, f"one row flips, {DEPENDANTS:,} read it", lambda: _flips(flips), lambda: _rules(flips)),
        _figure(scale, f"{rows:,} rows change once", lambda: _changes(rows), lambda: _changed_rules(rows)),
    ]


def _figure(scale: Scale, what: str, ours: Callable[[], float], reference: Callable[[], float]) -> Figure:
    pairs = alternate(scale.runs, ours, reference)
    return Figure(
        bench="views",
        what=what,
        unit="evaluations/s",
        runs=[one for one, _ in pairs],
        beside="plain function",
        references=[one for _, one in pairs],
    )


def _filled(flights_: list[Flight], bookings_: list[Booking]) -> LiveContext:
    declared = app.declared()
    context = LiveContext(declared.tables, declared.views)
    context.fold("flights", [flight.flight_id for flight in flights_], flights_, range(1, 1 + len(flights_)))
    context.fold(
        "bookings",
        [booking.booking_id for booking in bookings_],
        bookings_,
        range(1 + len(flights_), 1 + len(flights_) + len(bookings_)),
    )
    context.settle()
    context.take_changes()
    return context


def _booked(rows: int, flights_: int, bags: int = 0) -> list[Booking]:
    return [Booking(f"B{number}", f"F{number % flights_}", bags) for number in range(rows)]


def _flips(flips: int) -> float:
    """The first flip makes the views read the count as well, so it is not measured."""
    flight, booked = Flight("F0", 200), _booked(DEPENDANTS, 1)
    context = _filled([flight], booked)
    offset = context.offset
    with spent() as took:
        for flip in range(flips):
            flight = flight.but(cancelled=not flight.cancelled)
            offset += 1
            context.fold("flights", ["F0"], [flight], [offset])
            context.settle()
            expect("views that changed", len(context.take_changes()), DEPENDANTS)
            expect("views with a value", len(context.views["trouble"].values), 0 if flip % 2 else DEPENDANTS)
    _check(context, [flight], booked)
    return flips * DEPENDANTS / took.wall_s


def _rules(flips: int) -> float:
    flight, booked = Flight("F0", 200), _booked(DEPENDANTS, 1)
    sizes = Counter(booking.flight_id for booking in booked)
    with spent() as took:
        for _ in range(flips):
            flight = flight.but(cancelled=not flight.cancelled)
            known = {"F0": flight}
            for booking in booked:
                rule(booking, known, sizes)
    return flips * DEPENDANTS / took.wall_s


def _changes(rows: int) -> float:
    known = _some_cancelled()
    context = _filled(known, _booked(rows, FLIGHTS))
    changed = _booked(rows, FLIGHTS, bags=2)
    keys = [booking.booking_id for booking in changed]
    offset = context.offset + 1
    with spent() as took:
        for start in range(0, rows, 100):
            batch = slice(start, start + 100)
            offsets = range(offset + start, offset + start + len(keys[batch]))
            context.fold("bookings", keys[batch], changed[batch], offsets)
            context.settle()
    _check(context, known, changed)
    return rows / took.wall_s


def _changed_rules(rows: int) -> float:
    known = {flight.flight_id: flight for flight in _some_cancelled()}
    changed = _booked(rows, FLIGHTS, bags=2)
    sizes = Counter(booking.flight_id for booking in changed)
    with spent() as took:
        for booking in changed:
            rule(booking, known, sizes)
    return rows / took.wall_s


def _some_cancelled() -> list[Flight]:
    return [Flight(f"F{number}", 200, cancelled=number % 2 == 0) for number in range(FLIGHTS)]


def _check(context: LiveContext, known: list[Flight], booked: list[Booking]) -> None:
    by_id = {flight.flight_id: flight for flight in known}
    sizes = Counter(booking.flight_id for booking in booked)
    wanted = {booking.booking_id: rule(booking, by_id, sizes) for booking in booked}
    values = context.views["trouble"].values
    expect("views", values == {key: value for key, value in wanted.items() if value is not None}, True)
    expect("keys in quarantine", dict(context.views["trouble"].quarantine), {})
