"""`extrovert shadow`: a candidate beside the live agent, on live wakes, and what it would have done."""

from __future__ import annotations

import time
from typing import Any

from tests.e2e.command import PATIENCE_S, Home, flights, records

SHADOW = """

@app.policy
def last_flight(options: str) -> Rebooking:
    return Rebooking(options.split()[-1])


@app.agent(wakes_on=stranded, model=last_flight, shadow=True)
async def careful(turn: Turn, booking: Booking) -> None:
    options = " ".join(flight.flight_id for flight in flights.all() if not flight.cancelled)
    choice = await turn.ask(options, output=Rebooking)
    turn.put(bookings, booking.but(flight_id=choice.flight_id))
    turn.effect(tell, booking.booking_id, f"you fly with {choice.flight_id}")
"""


def test_a_shadow_is_compared_with_the_agent_that_acts(home: Home) -> None:
    with (home.path / "airline.py").open("a") as file:
        file.write(SHADOW)
    with home.running():
        home("send", "flights", "-", given=flights("F1", "F2", "F3"))
        home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
        cancelled = {"flight_id": "F1", "departs_at": "2026-01-01T12:00:00Z", "cancelled": True}
        home("send", "flights", "-", given=records(cancelled))
        until = time.monotonic() + PATIENCE_S
        while len(decided := home("decisions", "--app", "airline.py", "--json").documents) < 2:
            assert time.monotonic() < until
        assert {(one["agent"], one["outcome"]) for one in decided} == {("rebook", "decided"), ("careful", "shadow")}
        wake, totals = _documents(home)
    assert (wake["key"], wake["version"], wake["differs"]) == ("B1", "careful", ["writes", "effects"])
    assert (totals["kind"], totals["wakes"], totals["differ"]) == ("totals", 1, 1)
    lines = [line.split() for line in home("shadow", "careful", "--app", "airline.py").out.splitlines()]
    assert lines[0] == ["wake", "at", "(UTC)", "what", "rebook", "careful"]
    assert lines[1][3:] == ["bookings/B1", '{"flight_id":"F2"}', '{"flight_id":"F3"}']
    assert home("tables", "--app", "airline.py", "bookings", "B1", "--json").documents[0]["row"]["flight_id"] == "F2"
    told = home("explain", "--app", "airline.py", "careful:B1").out
    assert "Decided as a shadow, so that nothing of it was done," in told
    assert "Would write\n" in told
    assert 'tell ["B1","you fly with F3"]  shadowed' in told
    done = home("shadow", "answer", "--app", "airline.py")
    assert (done.code, "On stream `complaints` wakes no other agent. Say which one acts" in done.err) == (2, True)


def _documents(home: Home) -> list[Any]:
    return home("shadow", "careful", "--app", "airline.py", "--json").documents
