"""Reruns are bounded: a turn that the world does not leave in peace ends as contended, visibly."""

from __future__ import annotations

from pathlib import Path

from extrovert import App, Turn
from extrovert.core.log import Attempted, Ended
from tests.hosts import Host, Rule
from tests.spec.airline import Flight, Seats

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)


@app.agent(wakes_on=flights, max_reruns=3)
async def sell(turn: Turn, flight: Flight) -> None:
    await turn.ask(f"{seats[flight.flight_id].left} left: how many to sell?", output=int)


@app.agent(wakes_on=flights, max_reruns=3)
async def look(turn: Turn, flight: Flight) -> None:
    await turn.ask("any left?" if seats[flight.flight_id].left else "none left?", output=int)


async def flickering(tmp_path: Path) -> Host:
    """The number of seats changes all the time while both agents think."""
    host = Host(app, tmp_path / "log", {"agent:sell": Rule(1, 2), "agent:look": Rule(1, 2)})
    host.hand_in(seats, Seats("F1", 100))
    host.hand_in(flights, Flight("F1"))
    for left in range(99, 90, -1):
        await host.advance(0.1)
        host.hand_in(seats, Seats("F1", left))
    await host.settle()
    return host


async def test_a_turn_that_has_to_ask_anew_too_often_ends_as_contended(tmp_path: Path) -> None:
    host = await flickering(tmp_path)
    ended: list[Ended] = host.bodies(Ended)
    assert [(one.agent, one.outcome) for one in ended] == [("sell", "contended")]
    assert ended[0].cause == "what it read changed in 3 runs; the last change: seats/F1"


async def test_it_is_kept_as_a_dead_letter(tmp_path: Path) -> None:
    host = await flickering(tmp_path)
    (letter,) = host.dead_letters()
    assert (letter.agent, letter.key, letter.stream) == ("sell", "F1", "flights")
    assert letter.cause.startswith("contended: what it read changed")


async def test_it_asked_no_more_often_than_it_may(tmp_path: Path) -> None:
    host = await flickering(tmp_path)
    asked = [one for one in host.bodies(Attempted) if one.agent == "sell" and one.asks]
    assert len(asked) == 1 + 3


async def test_reruns_that_ask_the_same_do_not_count(tmp_path: Path) -> None:
    host = await flickering(tmp_path)
    assert [one.agent for one in host.decisions()] == ["look"]
    assert len([one for one in host.bodies(Attempted) if one.agent == "look" and one.joined]) == 9


async def test_the_bound_holds_across_a_crash(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"agent:sell": Rule(1, 2), "agent:look": Rule(1, 2)})
    host.hand_in(seats, Seats("F1", 100))
    host.hand_in(flights, Flight("F1"))
    for left in range(99, 90, -1):
        await host.advance(0.1)
        host.hand_in(seats, Seats("F1", left))
        await host.advance(0.01)
        host.flush()
        host.crash()
    await host.settle()
    assert len([one for one in host.bodies(Attempted) if one.agent == "sell" and one.asks]) == 1 + 3
    assert host.outcomes() == ["contended"]


async def test_a_contended_wake_is_due_again_when_something_changes(tmp_path: Path) -> None:
    host = await flickering(tmp_path)
    await host.send(flights, Flight("F1", delay_minutes=5))
    assert sorted(one.agent for one in host.decisions()) == ["look", "look", "sell"]
