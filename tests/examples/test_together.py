"""The example of agents that work together: they ask and tell one another by streams, and take back what failed."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from examples.together import app, bookings, care, find_seat, flights, grant, held_on, news, pay, settle, take_back
from examples.together_data import evening
from examples.together_events import Booking, Flight

from extrovert import PermanentError, TransientError
from extrovert.testing import World
from extrovert.turns.declare import Agent

__all__ = ["app"]

ROOT = Path(__file__).parents[2]
SEED = 3
FULL = Flight("XA1", "Oslo", 0)
OURS = Flight("XA3", "Oslo", 1)
PARTNERS = Flight("QB2", "Oslo", 1, euros=150)
DEAR = Flight("ZC2", "Oslo", 9, euros=300)
CANCELLED = FULL.but(cancelled=True)
DESK = "at the desk"


def booking(number: int) -> Booking:
    return Booking(f"B{number}", "XA1", "Oslo")


async def begin(world: World, *there: Flight, passengers: int = 1) -> None:
    """Passengers on a flight that is then cancelled, where these other flights are there."""
    await world.send(news, FULL, *there)
    await world.send(bookings, *(booking(number) for number in range(1, passengers + 1)))
    world.hand_in(news, CANCELLED)


async def test_who_has_a_seat_of_ours_need_not_ask_finance(world: World) -> None:
    await begin(world, OURS, PARTNERS)
    await world.settle()
    assert bookings["B1"].flight_id == "XA3"
    assert world.performed == [("issue", ["B1", "XA3"])]
    assert world.decisions(grant) == []


async def test_the_last_seat_is_given_once(world: World) -> None:
    await begin(world, OURS, passengers=2)
    await world.settle()
    assert sorted((bookings[name].flight_id, bookings[name].status) for name in ("B1", "B2")) == [
        ("XA1", DESK),
        ("XA3", "booked"),
    ]
    assert held_on.count("XA3") == 1


async def test_care_waits_for_both_answers_and_finance_pays(world: World) -> None:
    await begin(world, PARTNERS)
    await world.advance(timedelta(milliseconds=100))
    assert held_on.count("QB2") == 1  # operations has answered, finance still thinks
    assert bookings["B1"].flight_id == "XA1"
    assert world.performed == []
    await world.settle()
    assert bookings["B1"].flight_id == "QB2"
    case = (await world.decision(care, "B1")).id
    assert world.performed == [("issue", ["B1", "QB2"]), ("pay", [case, "B1", 150])]


async def test_what_finance_does_not_grant_is_let_go(world: World) -> None:
    await begin(world, DEAR)
    await world.settle()
    assert bookings["B1"] == booking(1).but(status=DESK)
    assert held_on.count("ZC2") == 0
    assert world.performed == []


async def test_where_finance_does_not_answer_in_time_nobody_waits_for_ever(world: World) -> None:
    world.answer(grant, True, thinks=timedelta(hours=1))
    await begin(world, PARTNERS)
    await world.advance(timedelta(minutes=4))
    assert bookings["B1"].status == "booked"
    await world.advance(timedelta(minutes=2))
    assert bookings["B1"].status == DESK
    assert held_on.count("QB2") == 0


async def test_a_payment_that_fails_takes_the_ticket_back_and_frees_the_seat(world: World) -> None:
    world.outcome(pay, PermanentError("the account is closed"), None)
    await begin(world, PARTNERS)
    await world.settle()
    assert [(name, args[-2:]) for name, args in world.performed] == [
        ("issue", ["B1", "QB2"]),
        ("pay", ["B1", 150]),
        ("void", ["B1", "QB2"]),
    ]
    assert bookings["B1"].status == DESK
    await world.send(bookings, booking(2))
    assert bookings["B2"].flight_id == "QB2"


async def test_a_payment_that_fails_after_the_passenger_has_moved_on_leaves_them_where_they_are(world: World) -> None:
    world.outcome(pay, TransientError("the bank is busy", retry_after_s=60), PermanentError("the account is closed"))
    await begin(world, PARTNERS)
    await world.advance(timedelta(seconds=30))
    assert bookings["B1"].flight_id == "QB2"
    world.hand_in(news, OURS, PARTNERS.but(cancelled=True))
    await world.settle()
    assert (bookings["B1"].flight_id, bookings["B1"].status) == ("XA3", "booked")
    assert world.performed[-1] == ("void", ["B1", "QB2"])
    assert (held_on.count("QB2"), held_on.count("XA3")) == (0, 1)


async def test_a_seat_on_a_flight_that_is_cancelled_while_finance_thinks_is_never_sold(world: World) -> None:
    await begin(world, PARTNERS, PARTNERS.but(flight_id="QB4", euros=160))
    await world.advance(timedelta(milliseconds=100))
    assert held_on.count("QB2") == 1
    await world.send(news, PARTNERS.but(cancelled=True))
    assert (bookings["B1"].flight_id, bookings["B1"].status) == ("QB4", "booked")
    assert [args[-2:] for _, args in world.performed] == [["B1", "QB4"], ["B1", 160]]
    assert (held_on.count("QB2"), held_on.count("QB4")) == (0, 1)  # another seat in the place of the first


async def test_no_department_reads_what_another_one_has(world: World) -> None:
    world.outcome(pay, PermanentError("the account is closed"))
    await begin(world, PARTNERS, passengers=2)
    await world.settle()
    own: list[tuple[Agent[Any], set[str]]] = [
        (find_seat, {"flights", "held"}),
        (grant, set()),
        (settle, set()),
        (care, {"bookings", "heard", "stranded"}),
        (take_back, {"bookings"}),
    ]
    for agent, tables in own:
        decisions = world.decisions(agent)
        assert decisions, agent.name
        read = {note.of.partition(".")[0] for decision in decisions for note in decision.reads}
        assert read <= tables, agent.name


async def test_after_an_evening_everybody_has_a_seat_that_flies_or_is_at_the_desk(world: World) -> None:
    print(f"seed {SEED}")
    there, booked, off = evening(SEED)
    world.outcome(pay, *[PermanentError("closed"), None, None, None] * 20)
    await world.send(news, *there)
    await world.send(bookings, *booked)
    for flight in off:
        await world.send(news, flight)
    flying = [row for one in booked if (row := bookings[one.booking_id]).status == "booked"]
    assert 0 < len(flying) < len(booked)
    assert [row for row in flying if flights[row.flight_id].cancelled] == []
    for flight in there:
        seats = sum(row.flight_id == flight.flight_id for row in flying)
        assert seats <= flight.seats
        assert flights[flight.flight_id].cancelled or seats == held_on.count(flight.flight_id)
    assert world.dead_letters() == []


def test_it_runs_by_itself_and_tells_what_became_of_the_passengers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.together_play", "1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    now = re.search(r"^  Now: (\d) QB\d+, 5 XA\d+, (\d) at the desk$", done.stdout, re.MULTILINE)
    assert now is not None, done.stdout
    partners, desk = int(now[1]), int(now[2])
    assert partners in (4, 5, 6)  # of six seats, without those that the bank refused to pay
    assert partners + 5 + desk == 14
    assert len(re.findall(r"^  B\d+: \d+ euros are paid to the partner$", done.stdout, re.MULTILINE)) == partners
    assert len(re.findall(r" is void$", done.stdout, re.MULTILINE)) == 6 - partners
