"""What the storm's streams and tables hold."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from extrovert.core.record import Record

__all__ = [
    "Arrived",
    "Booking",
    "Cancelled",
    "Customer",
    "Delayed",
    "Departed",
    "Flight",
    "FlightEvent",
    "Scheduled",
    "Weather",
]

Status = Literal["booked", "waiting", "called", "flown"]


class Scheduled(Record, tag=True):
    """A flight is put on sale; times are UTC."""

    flight_id: str
    carrier: str
    number: int
    origin: str
    destination: str
    departs_at: datetime
    arrives_at: datetime
    seats: int


class Delayed(Record, tag=True):
    """The airline now expects the flight to leave at `departs_at`."""

    flight_id: str
    departs_at: datetime


class Cancelled(Record, tag=True):
    """The flight will not leave."""

    flight_id: str


class Departed(Record, tag=True):
    """The flight has left the gate."""

    flight_id: str
    departed_at: datetime


class Arrived(Record, tag=True):
    """The flight has landed, perhaps elsewhere."""

    flight_id: str
    arrived_at: datetime
    diverted: bool


FlightEvent = Scheduled | Delayed | Cancelled | Departed | Arrived


class Flight(Record):
    """A flight as it is known now; `departs_at` is the present estimate."""

    flight_id: str
    carrier: str
    origin: str
    destination: str
    scheduled_at: datetime
    departs_at: datetime
    arrives_at: datetime
    seats: int
    cancelled: bool = False
    departed: bool = False
    arrived: bool = False


class Customer(Record):
    """A passenger: tier 1 is served first; `prefers` is the airport that they would rather leave from."""

    customer_id: str
    name: str
    tier: int
    prefers: str


class Booking(Record):
    """One seat for one customer; turns own `flight_id` and `status`, the reservation system owns the rest."""

    booking_id: str
    customer_id: str
    flight_id: str
    destination: str
    tier: int
    status: Status = "booked"


class Weather(Record):
    """One hour at one airport: degrees Fahrenheit, miles an hour, inches, miles."""

    airport: str
    at: datetime
    temperature_f: float | None
    wind_mph: float | None
    precipitation_in: float
    visibility_mi: float
