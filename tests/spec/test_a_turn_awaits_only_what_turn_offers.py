"""Between two asks a turn is plain Python over live context; it awaits only what `turn` offers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from extrovert import App, Table, Turn
from extrovert.testing import World
from tests.spec.airline import Flight, Seats

SECOND = timedelta(seconds=1)


def airline(body: str) -> tuple[World, Table[str, Flight], list[object]]:
    """A world with one agent that does as `body` says, the table that wakes it, and what it got to."""
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    got: list[object] = []

    async def weather(airport: str) -> str:
        await asyncio.sleep(0)
        return f"snow in {airport}"

    @app.agent(wakes_on=flights)
    async def follow(turn: Turn, flight: Flight) -> None:
        if body == "sleep":
            await asyncio.sleep(1)
        elif body == "nothing":
            await asyncio.sleep(0)
        elif body == "task":
            await asyncio.get_running_loop().create_future()
        elif body == "call":
            got.append(await turn.call(weather, flight.destination, output=str))
        elif body == "finally":
            try:
                await turn.ask("ready?", output=int)
            finally:
                got.append(seats.get("F1"))
        elif body == "await in finally":
            try:
                await turn.ask("ready?", output=int)
            finally:
                await turn.ask("steady?", output=int)
            got.append("went")
        turn.put(seats, Seats(flight.flight_id, 1))

    world = World(app)
    world.answer(follow, 1, thinks=SECOND)
    return world, flights, got


@pytest.mark.parametrize("what", ["sleep", "nothing", "task"])
async def test_awaiting_anything_else_is_an_error_that_names_the_line_and_what_to_use(what: str) -> None:
    world, flights, _ = airline(what)
    with world:
        await world.send(flights, Flight("F1"))
        (letter,) = world.dead_letters()
        assert "Agent `follow` awaited" in letter.cause
        assert "which a turn cannot wait for" in letter.cause
        assert f"{__file__}:" in letter.cause
        assert "await turn.call(function, ...)" in letter.cause


async def test_it_is_not_tried_again() -> None:
    world, flights, _ = airline("nothing")
    with world:
        await world.send(flights, Flight("F1"))
        world.engine.writing.flush()
        assert [entry.kind for entry in world.store.entries()] == ["events", "ended", "dead"]


async def test_a_read_from_outside_goes_through_turn_call() -> None:
    world, flights, got = airline("call")
    with world:
        await world.send(flights, Flight("F1", "ORD"))
        assert got == ["snow in ORD"]
        assert world.dead_letters() == []


@pytest.mark.parametrize("body", ["finally", "await in finally"])
async def test_an_attempt_that_is_dropped_has_no_say_on_its_way_out(body: str) -> None:
    world, flights, got = airline(body)
    with world:
        await world.send(flights, Flight("F1"))
        assert world.dead_letters() == []
        assert got[-1] == (None if body == "finally" else "went")
        world.engine.writing.flush()
        assert [entry.kind for entry in world.store.entries()].count("decided") == 1
