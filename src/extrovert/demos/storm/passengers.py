"""Made-up passengers: who has booked a real flight, and who gives up before it leaves.

Everything about a flight's passengers follows from the seed and that flight alone, so that feeding other days doesn't
change them. Names, tiers, loads and wishes are invented; no real person is meant.
"""

from __future__ import annotations

import random

from extrovert.core.record import Record
from extrovert.demos.storm.nycflights import AIRPORTS, RealFlight
from extrovert.demos.storm.records import Booking, Customer

__all__ = ["Passengers", "board"]

_HOUR_US = 3_600_000_000

# The share of seats sold: about the load of US airlines in winter.
_LOAD_MEAN, _LOAD_SD, _LOAD_LEAST = 0.80, 0.12, 0.40
_TIERS = (1, 2, 3)
_TIER_SHARES = (8, 22, 70)
# Most would rather leave from where they booked; the rest are split between the other two.
_PREFERS_ORIGIN, _PREFERS_OTHER = 70, 15
_GIVES_UP = 0.015
_GIVES_UP_WITHIN_US = 12 * _HOUR_US

_FIRST_NAMES = """
    Aaliyah Abigail Adam Aisha Alejandro Amara Amir Ana Andre Anita Arjun Astrid Ben Bianca Bruno Camila Carlos
    Cecilia Chen Chloe Claire Daniel Darius David Deepa Diego Elena Elias Emily Emma Esther Ethan Fatima Felix
    Gabriel Grace Hannah Hassan Hugo Ibrahim Imani Ines Isaac Ivan Jack Jamal James Jasmine Jin Joanna Jonas Jose
    Julia Kavya Keiko Kenji Kofi Lars Laura Leila Leon Liam Lina Lucia Luis Maria Marcus Maya Mei Michael Mila
    Mohammed Nadia Naomi Noah Nora Olga Oliver Omar Paolo Priya Rachel Rafael Ravi Rosa Ruth Samira Samuel Sofia
    Stefan Tara Thomas Tunde Valeria Victor Wei Yara Yusuf Zoe
"""
_LAST_NAMES = """
    Abbott Acosta Adeyemi Ahmed Allen Alvarez Andersen Bailey Baker Banerjee Barnes Becker Bell Bennett Brooks Brown
    Campbell Carter Castro Chang Chen Clark Cohen Cole Cooper Costa Cruz Das Davis Delgado Diallo Diaz Edwards Ellis
    Evans Fernandez Fischer Flores Foster Garcia Gomez Gray Greene Gupta Hall Hansen Harris Hayes Hernandez Hill
    Hoffman Hughes Hussein Ito Ivanova Jackson Jensen Johnson Jones Kang Kaplan Kaur Kelly Khan Kim Kowalski Kumar
    Larsen Lee Lewis Lin Lopez Marino Martin Mbeki Mehta Mendoza Meyer Miller Mitchell Moore Morales Morgan Murphy
    Nakamura Nelson Nguyen Novak Okafor Olsen Ortiz Osei Park Patel Perez Petrov Phillips Quinn Ramirez Reyes Rivera
    Roberts Robinson Rosen Rossi Russo Saito Salazar Santos Schmidt Scott Shah Shapiro Silva Singh Smith Stewart
    Suzuki Tanaka Taylor Thomas Torres Tran Turner Vargas Vega Walker Wang Ward Watson White Williams Wilson Wong
    Wright Yamamoto Young Zhang
"""


class Passengers(Record):
    """A flight's bookings and, at the same positions, their customers; `leaving` is (µs, booking_id), unordered."""

    customers: list[Customer]
    bookings: list[Booking]
    leaving: list[tuple[int, str]]


def board(flight: RealFlight, opens_us: int, seed: int) -> Passengers:
    """Who has booked `flight` when its sale opens at `opens_us`: one customer per booking, never over the seats."""
    draw = random.Random(f"{seed}/{flight.flight_id}/passengers")  # noqa: S311 - to be repeated, not to be secret
    load = min(1.0, max(_LOAD_LEAST, draw.gauss(_LOAD_MEAN, _LOAD_SD)))
    count = round(flight.seats * load)
    customers = _customers(flight, count, draw)
    bookings = [
        Booking(f"B-{flight.index}-{seat}", customer.customer_id, flight.flight_id, flight.destination, customer.tier)
        for seat, customer in enumerate(customers, start=1)
    ]
    return Passengers(customers, bookings, _leaving(flight, bookings, opens_us, draw))


def _customers(flight: RealFlight, count: int, draw: random.Random) -> list[Customer]:
    first = draw.choices(_FIRST_NAMES.split(), k=count)
    last = draw.choices(_LAST_NAMES.split(), k=count)
    tiers = draw.choices(_TIERS, _TIER_SHARES, k=count)
    weights = [_PREFERS_ORIGIN if airport == flight.origin else _PREFERS_OTHER for airport in AIRPORTS]
    prefers = draw.choices(AIRPORTS, weights, k=count)
    return [
        Customer(f"C-{flight.index}-{seat + 1}", f"{first[seat]} {last[seat]}", tiers[seat], prefers[seat])
        for seat in range(count)
    ]


def _leaving(flight: RealFlight, bookings: list[Booking], opens_us: int, draw: random.Random) -> list[tuple[int, str]]:
    """Who gives up without being asked, and when: uniformly in the 12 hours before the flight's scheduled departure.

    Never at or before `opens_us`, when the booking appears, nor once the flight has left early.
    """
    until_us = min(flight.departs_us, flight.left_us or flight.departs_us)
    from_us = max(opens_us + 1, flight.departs_us - _GIVES_UP_WITHIN_US)
    return [
        (draw.randrange(from_us, until_us), booking.booking_id) for booking in bookings if draw.random() < _GIVES_UP
    ]
