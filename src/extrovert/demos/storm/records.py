"""What the storm's streams and tables hold."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from extrovert.core.record import Record

__all__ = [
    "Arrived",
    "Bookable",
    "Booking",
    "Cancelled",
    "Case",
    "Choices",
    "Customer",
    "Delayed",
    "Departed",
    "Destination",
    "Disruption",
    "Flight",
    "FlightEvent",
    "News",
    "Opening",
    "Option",
    "Outcome",
    "Owed",
    "Rebooking",
    "Scheduled",
    "Seats",
    "Weather",
    "Words",
]

Status = Literal["booked", "late", "waiting", "called", "recalled", "flown", "refunded"]
Reason = Literal["", "late", "cancelled", "left"]


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
    """One seat for one customer. Turns own `flight_id`, `status`, `because` and `moves`, their source the rest.

    `status`: booked; waiting (has no seat); late (keeps a seat on a late flight, would rather have another); called and
    recalled (waited, or was late: a seat may be there, and it is first in line); flown; refunded. `because` is why it
    is not simply booked. `moves` counts the decisions that changed something for the passenger.
    """

    booking_id: str
    customer_id: str
    flight_id: str
    destination: str
    tier: int
    status: Status = "booked"
    because: Reason = ""
    moves: int = 0


class Weather(Record):
    """One hour at one airport: degrees Fahrenheit, miles an hour, inches, miles."""

    airport: str
    at: datetime
    temperature_f: float | None
    wind_mph: float | None
    precipitation_in: float
    visibility_mi: float


class Destination(Record):
    """A place that one can fly to."""

    code: str


class Disruption(Record):
    """A booking that needs a decision: its flight is late or cancelled, or has left with a passenger who waited.

    `seat` is the flight that has a seat, for one that was called.
    """

    booking: Booking
    reason: Reason
    seat: str = ""


class Option(Record):
    """A flight that could be taken; that it has a seat left is why it is an option."""

    flight_id: str
    origin: str
    departs_at: datetime
    arrives_at: datetime


class Seats(Record):
    """A flight that could be taken, and how many seats are left on it."""

    option: Option
    left: int


class Bookable(Record):
    """The flights to one destination with a seat left, earliest arrival first."""

    flights: tuple[Seats, ...]


class Choices(Record):
    """What a passenger to one destination can be offered, earliest arrival first."""

    options: tuple[Option, ...]


class Opening(Record):
    """Seats to one destination that nobody is being offered, and the bookings to call for them, in order of tier."""

    destination: str
    call: tuple[str, ...]


class Case(Record):
    """What the rebooking policy (or a model) is told: who needs what, and which flights there are."""

    booking_id: str
    tier: int
    prefers: str
    reason: Reason
    options: tuple[Option, ...]


class Rebooking(Record):
    """The answer: the flight to take."""

    flight_id: str


class Outcome(Record):
    """What was decided about a booking; `move` is its number among the decisions about it."""

    booking_id: str
    destination: str
    kind: Literal["rebooked", "late", "waiting"]
    flight_id: str
    move: int


class News(Record):
    """What a passenger is to be told, as facts."""

    name: str
    kind: Literal["rebooked", "late", "waiting"]
    flight_id: str
    destination: str
    departs_at: datetime | None


class Words(Record):
    """The answer: the message."""

    text: str


class Owed(Record):
    """Money that a passenger gets back for a flight that never left, if a person says so; in cents of a dollar."""

    booking_id: str
    customer_id: str
    cents: int
