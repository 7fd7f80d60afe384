"""Made-up passengers: plausible, and the same for a flight whatever else is fed."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import date

import pytest

from extrovert.demos.storm.nycflights import AIRPORTS, RealFlight, read_flights
from extrovert.demos.storm.passengers import Passengers, board
from extrovert.demos.storm.records import Booking, Customer

HOUR_US = 3_600_000_000
SEED = 7

Boarded = list[tuple[RealFlight, Passengers]]


def opens_us(flight: RealFlight) -> int:
    """A sale that opens 8 hours before departure: later than the first passengers would like to give up."""
    return flight.departs_us - 8 * HOUR_US


@pytest.fixture(scope="module")
def boarded() -> Boarded:
    flights = read_flights([date(2013, 2, 8)])[date(2013, 2, 8)]
    return [(flight, board(flight, opens_us(flight), SEED)) for flight in flights]


@pytest.fixture(scope="module")
def customers(boarded: Boarded) -> list[Customer]:
    return [customer for _, passengers in boarded for customer in passengers.customers]


@pytest.fixture(scope="module")
def bookings(boarded: Boarded) -> list[Booking]:
    return [booking for _, passengers in boarded for booking in passengers.bookings]


def test_the_same_seed_and_flight_give_the_same_passengers(boarded: Boarded) -> None:
    assert all(board(flight, opens_us(flight), SEED) == passengers for flight, passengers in boarded[::50])


def test_another_seed_gives_others(boarded: Boarded) -> None:
    assert all(board(flight, opens_us(flight), SEED + 1) != passengers for flight, passengers in boarded[::50])


def test_a_flight_is_never_sold_over_its_seats(boarded: Boarded) -> None:
    assert all(len(passengers.bookings) <= flight.seats for flight, passengers in boarded)


def test_four_fifths_of_the_seats_are_sold(boarded: Boarded) -> None:
    loads = [len(passengers.bookings) / flight.seats for flight, passengers in boarded]
    assert statistics.mean(loads) == pytest.approx(0.80, abs=0.02)
    assert statistics.stdev(loads) == pytest.approx(0.12, abs=0.02)


def test_every_booking_has_its_own_customer_of_the_same_tier(boarded: Boarded) -> None:
    for flight, passengers in boarded:
        for booking, customer in zip(passengers.bookings, passengers.customers, strict=True):
            assert (booking.customer_id, booking.tier) == (customer.customer_id, customer.tier)
            assert (booking.flight_id, booking.destination) == (flight.flight_id, flight.destination)
            assert booking.status == "booked"


def test_a_booking_is_named_by_its_flight_and_seat(boarded: Boarded) -> None:
    flight, passengers = boarded[0]
    assert flight.index == "390001"
    assert [booking.booking_id for booking in passengers.bookings[:2]] == ["B-390001-1", "B-390001-2"]
    assert [customer.customer_id for customer in passengers.customers[:2]] == ["C-390001-1", "C-390001-2"]


def test_ids_are_unique(bookings: list[Booking], customers: list[Customer]) -> None:
    assert len({booking.booking_id for booking in bookings}) == len(bookings)
    assert len({customer.customer_id for customer in customers}) == len(customers)


def test_tiers_are_shared_8_to_22_to_70(customers: list[Customer]) -> None:
    counts = Counter(customer.tier for customer in customers)
    shares = {tier: counts[tier] / len(customers) for tier in (1, 2, 3)}
    assert shares == pytest.approx({1: 0.08, 2: 0.22, 3: 0.70}, abs=0.01)


def test_seven_in_ten_prefer_the_airport_that_they_booked_from(boarded: Boarded, customers: list[Customer]) -> None:
    own = sum(customer.prefers == flight.origin for flight, passengers in boarded for customer in passengers.customers)
    assert own / len(customers) == pytest.approx(0.70, abs=0.01)
    assert {customer.prefers for customer in customers} == set(AIRPORTS)


def test_names_are_a_first_and_a_last_name(customers: list[Customer]) -> None:
    names = {customer.name for customer in customers}
    assert len(names) > 5_000
    assert all(len(name.split()) == 2 and name.istitle() for name in names)


def test_a_few_give_up(boarded: Boarded, bookings: list[Booking]) -> None:
    leaving = [booking_id for _, passengers in boarded for _, booking_id in passengers.leaving]
    assert len(leaving) / len(bookings) == pytest.approx(0.015, abs=0.002)
    assert len(set(leaving)) == len(leaving)
    assert set(leaving) <= {booking.booking_id for booking in bookings}


def test_nobody_gives_up_before_the_sale_opens_or_once_the_flight_has_left(boarded: Boarded) -> None:
    for flight, passengers in boarded:
        last_us = min(flight.departs_us, flight.left_us or flight.departs_us)
        assert all(opens_us(flight) < at_us < last_us for at_us, _ in passengers.leaving)


def test_giving_up_is_spread_over_the_12_hours_before_departure(boarded: Boarded) -> None:
    early = [(flight, board(flight, flight.departs_us - 24 * HOUR_US, SEED)) for flight, _ in boarded[::4]]
    ahead = [(flight.departs_us - at_us) / HOUR_US for flight, party in early for at_us, _ in party.leaving]
    assert max(ahead) <= 12
    assert statistics.mean(ahead) == pytest.approx(6, abs=0.5)
