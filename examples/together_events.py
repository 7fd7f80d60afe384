"""What the departments of `examples.together` are told, ask and tell one another. They share nothing else."""

from __future__ import annotations

from extrovert import Record

__all__ = ["Booking", "Flight", "Granted", "MoneyWanted", "NoSeat", "Rebooked", "Released", "Seat", "SeatWanted"]


# ---- told from outside


class Flight(Record):
    """A flight with seats for us; of a partner's, one costs us euros."""

    flight_id: str
    destination: str
    seats: int
    euros: int = 0
    cancelled: bool = False


class Booking(Record):
    booking_id: str
    flight_id: str
    destination: str
    status: str = "booked"
    case: str = ""  # the decision that rebooked it


# ---- asked and answered, in a case of whoever asks


class SeatWanted(Record):
    case: str
    destination: str
    off: list[str]  # the flights that are no help: another list is another question


class Seat(Record, tag=True):
    """It is held for the case, in the place of one before, until that releases it."""

    case: str
    flight_id: str
    euros: int


class NoSeat(Record, tag=True):
    case: str


class Released(Record, tag=True):
    case: str


class MoneyWanted(Record):
    case: str
    euros: int
    why: str


class Granted(Record):
    case: str
    granted: bool


# ---- made known


class Rebooked(Record):
    case: str
    booking_id: str
    euros: int
