"""A made-up evening for `examples.together`, from a seed, and the world outside that its departments act upon."""

from __future__ import annotations

import random

from examples.together_events import Booking, Flight
from extrovert import PermanentError

__all__ = ["Outside", "evening", "outside"]

PLACES = ("Porto", "Oslo", "Malta")
PASSENGERS = 14
CLOSED = 7
"""Of every so many bookings, the partner does not accept the payment for one."""


def evening(seed: int = 1) -> tuple[list[Flight], list[Booking], list[Flight]]:
    """The flights, the bookings, and the flights that are then cancelled, one after the other."""
    draw = random.Random(seed)  # noqa: S311 -- it makes data up
    flights, bookings, off = list[Flight](), list[Booking](), list[Flight]()
    for place in PLACES:
        number = draw.randrange(100, 900)
        full, later = Flight(f"XA{number}", place, 0), Flight(f"XA{number + 2}", place, 5)
        cheap = Flight(f"QB{draw.randrange(100, 900)}", place, 6, draw.randrange(80, 200))
        dear = Flight(f"ZC{draw.randrange(100, 900)}", place, 20, draw.randrange(201, 400))
        flights += [full, later, cheap, dear]
        for _ in range(PASSENGERS):
            bookings.append(Booking(f"B{len(bookings) + 1}", full.flight_id, place))
        off.append(full.but(cancelled=True))
    return flights, bookings, [*off, flights[1].but(cancelled=True)]


class Outside:
    """Ticketing and the bank: they say what they do."""

    def __init__(self) -> None:
        self.tickets: dict[str, str] = {}
        self.paid: dict[str, int] = {}

    def issue(self, booking_id: str, flight_id: str) -> None:
        self.tickets[booking_id] = flight_id
        print(f"  {booking_id}: a ticket for {flight_id}")

    def void(self, booking_id: str, flight_id: str) -> None:
        self.tickets.pop(booking_id, None)
        print(f"  {booking_id}: the ticket for {flight_id} is void")

    def pay(self, booking_id: str, euros: int) -> None:
        if int(booking_id[1:]) % CLOSED == 0:
            raise PermanentError("the partner's account is closed")
        self.paid[booking_id] = euros
        print(f"  {booking_id}: {euros} euros are paid to the partner")


outside = Outside()
