"""The records that the specification talks about."""

from __future__ import annotations

from extrovert import Record

__all__ = ["Booking", "Choice", "Flight", "Rebooking", "Seats"]


class Flight(Record):
    flight_id: str
    destination: str = "ORD"
    delay_minutes: int = 0
    cancelled: bool = False


class Seats(Record):
    flight_id: str
    left: int


class Booking(Record):
    booking_id: str
    flight_id: str
    customer_id: str = "C1"


class Choice(Record):
    """What is asked: which of these flights to take."""

    booking_id: str
    options: list[str]


class Rebooking(Record):
    """An answer."""

    flight_id: str
