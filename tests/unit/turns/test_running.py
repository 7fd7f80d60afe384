"""A running turn: its name, and what it wants to be told of."""

from __future__ import annotations

from typing import Any

from extrovert.context.reads import Readable
from extrovert.core.log import Wake
from extrovert.turns.declare import Agent
from extrovert.turns.running import Running, turn_id


async def nothing(turn: object, value: object) -> None: ...


def running() -> Running:
    agent: Agent[Any] = Agent("rebook", nothing, source="view", on="x", declines_none=True, model="")
    return Running(agent, "B1", Wake("x", 17, 5), [], 5)


def test_its_name_is_its_agent_its_key_and_its_wake() -> None:
    assert running().id == "rebook:B1@17"
    assert turn_id("rebook", 7, Wake("x", 3, 5)) == "rebook:7@3"


def test_turns_stand_after_views_by_agent_and_key() -> None:
    assert running().order == (1, "rebook", "B1")


def test_it_watches_what_it_read_last_and_nothing_else() -> None:
    turn = running()
    flights = Readable("row", "flights")
    turn.watch({(flights, "F1"): 1, (flights, "F2"): 1})
    turn.watch({(flights, "F2"): 9, (flights, "F3"): 1})
    assert set(flights.watchers) == {"F2", "F3"}
    turn.watch({})
    assert flights.watchers == {}


def test_the_same_reads_with_other_tokens_are_taken_over() -> None:
    turn = running()
    flights = Readable("row", "flights")
    turn.watch({(flights, "F1"): 1})
    turn.watch({(flights, "F1"): 9})
    assert turn.reads == {(flights, "F1"): 9}
    assert list(flights.watchers["F1"]) == [turn]
