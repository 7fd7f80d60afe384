"""The storm's input, as the engine gets it: in order, repeatable, and telling nothing before its time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest

from extrovert.core.event import Arrival
from extrovert.core.time import to_us
from extrovert.demos.storm.feed import feed
from extrovert.demos.storm.nycflights import NEW_YORK, read_flights
from extrovert.demos.storm.records import (
    Arrived,
    Booking,
    Cancelled,
    Customer,
    Delayed,
    Departed,
    Destination,
    FlightEvent,
    Scheduled,
    Weather,
)

FRIDAY, SATURDAY = date(2013, 2, 8), date(2013, 2, 9)
SEED = 7
MINUTE_US = 60_000_000

E = TypeVar("E", Scheduled, Delayed, Cancelled, Departed, Arrived)
Course = list[tuple[int, FlightEvent]]


@pytest.fixture(scope="module")
def arrivals() -> list[Arrival]:
    return list(feed(FRIDAY, 2, SEED))


@pytest.fixture(scope="module")
def saturday() -> list[Arrival]:
    return list(feed(SATURDAY, 1, SEED))


@pytest.fixture(scope="module")
def courses(arrivals: list[Arrival]) -> dict[str, Course]:
    """Each flight's events with their times, in the order of the feed."""
    found: defaultdict[str, Course] = defaultdict(list)
    for arrival in arrivals:
        if isinstance(arrival.data, FlightEvent):
            found[arrival.data.flight_id].append((arrival.at_us, arrival.data))
    return dict(found)


def of(kind: type[E], courses: dict[str, Course]) -> list[tuple[int, E]]:
    return [(at_us, event) for course in courses.values() for at_us, event in course if isinstance(event, kind)]


def on(day: date, flight_id: str) -> bool:
    return flight_id.endswith(f"{day:-%m%d}")


def evening_before_us(day: date) -> int:
    return to_us(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(NEW_YORK)) - timedelta(hours=6))


def scheduled_of(course: Course) -> Scheduled:
    _, first = course[0]
    assert isinstance(first, Scheduled)
    return first


def digest(arrivals: Iterable[Arrival]) -> str:
    found = hashlib.sha256()
    for arrival in arrivals:
        found.update(msgspec.msgpack.encode(arrival))
    return found.hexdigest()


def test_time_never_goes_back(arrivals: list[Arrival]) -> None:
    assert all(earlier.at_us <= later.at_us for earlier, later in pairwise(arrivals))


def test_the_same_arguments_give_the_same_arrivals_in_any_process(saturday: list[Arrival]) -> None:
    program = (
        "from datetime import date; from test_feed import digest, feed; "
        f"print(digest(feed(date(2013, 2, 9), 1, {SEED})))"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    env = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(saturday)


def test_another_seed_changes_the_passengers_and_not_what_really_happened(saturday: list[Arrival]) -> None:
    kinds = Scheduled | Departed | Arrived | Weather
    other = list(feed(SATURDAY, 1, SEED + 1))
    real, other_real = (sorted(repr(a.data) for a in found if isinstance(a.data, kinds)) for found in (saturday, other))
    assert real == other_real
    assert other != saturday


def test_a_flight_and_its_passengers_are_the_same_whichever_days_are_fed(
    arrivals: list[Arrival], saturday: list[Arrival]
) -> None:
    def of_saturday(arrival: Arrival) -> bool:
        match arrival.data:
            case Customer(customer_id):
                return customer_id.startswith("C-40")  # the 40th day of the year
            case Booking(booking_id):
                return booking_id.startswith("B-40")
            case None:
                return arrival.key.startswith("B-40")
            case _:
                return isinstance(arrival.data, FlightEvent) and on(SATURDAY, arrival.data.flight_id)

    assert list(filter(of_saturday, arrivals)) == list(filter(of_saturday, saturday))


def test_the_streams_hold_their_records(arrivals: list[Arrival]) -> None:
    kinds = {
        "flight_events": FlightEvent,
        "destinations": Destination,
        "customers": Customer,
        "bookings": Booking,
        "weather": Weather,
    }
    assert {arrival.stream for arrival in arrivals} == set(kinds)
    assert all(arrival.data is None or isinstance(arrival.data, kinds[arrival.stream]) for arrival in arrivals)


def test_each_days_flights_go_on_sale_at_six_in_the_evening_before(courses: dict[str, Course]) -> None:
    sales = Counter((at_us, event.flight_id[-4:]) for at_us, event in of(Scheduled, courses))
    assert sales == {(evening_before_us(FRIDAY), "0208"): 930, (evening_before_us(SATURDAY), "0209"): 684}


def test_customers_and_bookings_follow_their_flight_at_the_same_instant(arrivals: list[Arrival]) -> None:
    flight_id, opened_us = "", 0
    customers: set[str] = set()
    for arrival in arrivals:
        match arrival.data:
            case Scheduled():
                flight_id, opened_us = arrival.data.flight_id, arrival.at_us
            case Customer():
                assert arrival.at_us == opened_us
                customers.add(arrival.data.customer_id)
            case Booking():
                assert (arrival.data.flight_id, arrival.at_us) == (flight_id, opened_us)
                assert arrival.data.customer_id in customers
            case _:
                pass


def test_a_customer_who_gives_up_deletes_a_booking_that_exists_once(arrivals: list[Arrival]) -> None:
    booked_us = {arrival.data.booking_id: arrival.at_us for arrival in arrivals if isinstance(arrival.data, Booking)}
    gone = [arrival for arrival in arrivals if arrival.data is None]
    assert {arrival.stream for arrival in gone} == {"bookings"}
    assert all(booked_us[arrival.key] < arrival.at_us for arrival in gone)
    assert len({arrival.key for arrival in gone}) == len(gone)
    assert len(gone) / len(booked_us) == pytest.approx(0.015, abs=0.001)


@pytest.mark.parametrize(("day", "cancelled"), [(FRIDAY, 472), (SATURDAY, 393)])
def test_as_many_flights_are_cancelled_as_really_were(day: date, cancelled: int, courses: dict[str, Course]) -> None:
    found = [event.flight_id for _, event in of(Cancelled, courses) if on(day, event.flight_id)]
    assert len(found) == len(set(found)) == cancelled


def test_a_flight_is_cancelled_or_departs_and_arrives_and_nothing_follows(courses: dict[str, Course]) -> None:
    ends = {tuple(type(event) for _, event in course if not isinstance(event, Delayed)) for course in courses.values()}
    assert ends == {(Scheduled, Cancelled), (Scheduled, Departed, Arrived)}
    assert not any(isinstance(course[-1][1], Delayed) for course in courses.values())


def test_departures_and_landings_are_the_real_ones_and_no_landing_is_heard_of_late(courses: dict[str, Course]) -> None:
    real = {f.flight_id: f for of_day in read_flights([FRIDAY, SATURDAY]).values() for f in of_day}
    for _, event in of(Departed, courses):
        assert to_us(event.departed_at) == real[event.flight_id].left_us
    for at_us, event in of(Arrived, courses):
        assert to_us(event.arrived_at) == at_us
        assert event.diverted or at_us == real[event.flight_id].landed_us


def test_one_departure_in_five_is_heard_of_late_and_never_by_more_than_a_quarter_of_an_hour(
    courses: dict[str, Course],
) -> None:
    late = sorted((at_us - to_us(event.departed_at)) / MINUTE_US for at_us, event in of(Departed, courses))
    assert late[0] == 0
    assert late[-1] <= 15
    found = [minutes for minutes in late if minutes]
    assert len(found) / len(late) == pytest.approx(0.2, abs=0.03)
    assert found[len(found) // 2] == pytest.approx(5, abs=1)


def test_an_estimate_that_is_an_hour_too_long_may_be_corrected_to_what_comes_true(courses: dict[str, Course]) -> None:
    real = {f.flight_id: f for of_day in read_flights([FRIDAY, SATURDAY]).values() for f in of_day}
    announced: dict[tuple[str, datetime], Delayed] = {}
    corrections = 0
    for at_us, event in of(Delayed, courses):
        first = announced.setdefault((event.flight_id, event.announced_at), event)
        if first is event:
            assert at_us == to_us(event.announced_at)
            continue
        corrections += 1
        left_us = real[event.flight_id].left_us
        assert left_us is not None
        assert at_us == to_us(event.announced_at) + 10 * MINUTE_US < left_us == to_us(event.departs_at)
        assert to_us(first.departs_at) - left_us >= 60 * MINUTE_US
    assert corrections > 3


def test_a_diverted_flight_lands_an_hour_later_than_it_would_have(courses: dict[str, Course]) -> None:
    diverted = [event.flight_id for _, event in of(Arrived, courses) if event.diverted]
    assert sorted(diverted) == ["EV-4099-EWR-0208", "US-2122-LGA-0208", "WN-1558-EWR-0208"]
    for flight_id in diverted:
        course = courses[flight_id]
        scheduled = scheduled_of(course)
        (_, departed), (arrived_us, _) = course[-2:]
        assert isinstance(departed, Departed)
        departed_us = to_us(departed.departed_at)
        planned_us = to_us(scheduled.arrives_at) - to_us(scheduled.departs_at)
        assert arrived_us - departed_us == planned_us + 60 * MINUTE_US


def test_each_delay_is_announced_from_the_schedule_alone_and_doubles(courses: dict[str, Course]) -> None:
    for course in courses.values():
        due_us = to_us(scheduled_of(course).departs_at)
        delays = [
            ((at_us - due_us) / MINUTE_US, (to_us(event.departs_at) - due_us) / MINUTE_US)
            for at_us, event in course
            if isinstance(event, Delayed) and at_us == to_us(event.announced_at)
        ]
        assert delays == [(15 * 2**n, 30 * 2**n) for n in range(len(delays))]


def test_a_delay_is_announced_whenever_a_flight_is_still_at_the_gate_as_far_as_is_known(
    courses: dict[str, Course],
) -> None:
    for course in courses.values():
        due_us = to_us(scheduled_of(course).departs_at)
        heard_us = next(at_us for at_us, event in course if isinstance(event, Departed | Cancelled))
        waited = (heard_us - due_us) / MINUTE_US
        expected = sum(15 * 2**n < waited for n in range(10))
        assert len({event.announced_at for _, event in course if isinstance(event, Delayed)}) == expected


def test_no_flight_is_cancelled_before_it_is_on_sale(courses: dict[str, Course]) -> None:
    for at_us, event in of(Cancelled, courses):
        on_sale_us, _ = courses[event.flight_id][0]
        assert at_us > on_sale_us


def test_most_cancellations_are_announced_some_three_hours_ahead_and_some_after_a_delay(
    courses: dict[str, Course],
) -> None:
    ahead_h = sorted(
        (to_us(scheduled_of(courses[event.flight_id]).departs_at) - at_us) / 3.6e9
        for at_us, event in of(Cancelled, courses)
    )
    late = [hours for hours in ahead_h if hours < 0]
    assert len(late) / len(ahead_h) == pytest.approx(0.15, abs=0.03)
    assert -2 < late[0] < late[-1] < -0.25
    in_time = ahead_h[len(late) :]
    assert 2.5 < in_time[len(in_time) // 2] < 3.5


def test_each_hours_weather_comes_soon_after_it_or_after_the_next_ones(arrivals: list[Arrival]) -> None:
    hours = [(to_us(one.data.at), one.at_us) for one in arrivals if isinstance(one.data, Weather)]
    start_us = evening_before_us(FRIDAY)
    assert sorted(at_us for at_us, _ in hours) == [start_us + n // 3 * 60 * MINUTE_US for n in range((6 + 48) * 3)]
    late = [(heard_us - at_us) / MINUTE_US for at_us, heard_us in hours]
    assert all(0 < minutes < 10 or 60 < minutes < 70 for minutes in late)
    assert 0 < sum(minutes > 60 for minutes in late) < 0.1 * len(late)


@pytest.mark.parametrize(
    ("first", "days", "why"),
    [(FRIDAY, 0, "at least 1 day"), (date(2013, 12, 31), 2, "2014-01-01: it holds the year 2013")],
)
def test_days_that_cannot_be_fed_are_refused_at_once(first: date, days: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        feed(first, days, SEED)
