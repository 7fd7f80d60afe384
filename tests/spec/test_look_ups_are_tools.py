"""Tables, indexes, views and searches are tools: a model looks up in them, and its reads are the turn's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from extrovert import App, Calls, Record, Result, Turn
from extrovert.testing import World


class Flight(Record):
    """A flight of today."""

    flight: str
    origin: str
    left: int = 1


class Case(Record):
    booking: str
    wish: str


class Page(Record):
    title: str
    text: str


class Choice(Record):
    flight: str


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight)
cases = app.table("cases", Case, key=Case.booking)
pages = app.table("pages", Page, key=Page.title)
chosen = app.table("chosen", Case, key=Case.booking)
by_origin = flights.index(Flight.origin)
by_left = flights.range_index(Flight.left)
policies = app.search("policies", over=pages, text=Page.text)


@app.view(over=flights)
def full(flight: Flight) -> str | None:
    """Why nobody can be put on a flight."""
    return "it is full" if flight.left == 0 else None


@app.agent(wakes_on=cases, model="openai:gpt-5-mini")
async def rebook(turn: Turn, case: Case) -> None:
    """You rebook."""
    choice = await turn.ask(case, output=Choice, tools=[flights, by_origin, by_left, full, policies])
    turn.put(chosen, Case(case.booking, choice.flight))


async def begun(world: World) -> None:
    await world.send(flights, Flight("F1", "JFK", 0), Flight("F2", "JFK", 3), Flight("F3", "LGA", 5))
    await world.send(pages, Page("pets", "Small dogs fly in the cabin."))


def given(result: Result) -> Any:
    assert not result.error
    return msgspec.json.decode(result.value)


@pytest.mark.parametrize(
    ("tool", "arguments", "gives"),
    [
        ("look_up_flights", {"flight": "F2"}, {"row": {"flight": "F2", "origin": "JFK", "left": 3}}),
        ("look_up_flights", {"flight": "F9"}, {"row": None, "note": "`flights` has nothing at `F9`."}),
        ("look_up_full", {"key": "F1"}, {"row": "it is full"}),
        ("search_policies", {"text": "dogs"}, {"rows": [{"title": "pets", "text": "Small dogs fly in the cabin."}]}),
        (
            "find_flights_by_origin",
            {"origin": "JFK", "limit": 1},
            {
                "rows": [{"flight": "F1", "origin": "JFK", "left": 0}],
                "note": "1 more rows were left out, since limit is 1.",
            },
        ),
        ("find_flights_between_left", {"left_from": 4}, {"rows": [{"flight": "F3", "origin": "LGA", "left": 5}]}),
    ],
)
async def test_a_model_looks_up_what_is_there(
    world: World, tool: str, arguments: dict[str, Any], gives: dict[str, Any]
) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of(tool, arguments), Choice("F2"))
    await world.send(cases, Case("B1", "any"))
    (result,) = script.told[1]
    assert given(result) == gives


async def test_what_was_looked_up_is_what_the_decision_read(world: World) -> None:
    await begun(world)
    calls = Calls.of("look_up_flights", {"flight": "F9"}, ("find_flights_by_origin", {"origin": "LGA"}))
    world.answer(rebook, calls, Choice("F3"))
    await world.send(cases, Case("B1", "any"))
    decision = await world.decision(rebook, "B1")
    read = {(one.kind, one.of, one.at) for one in decision.reads}
    assert {("row", "flights", "F9"), ("index", "flights.origin", "LGA")} <= read


async def test_when_what_was_looked_up_changes_the_model_is_asked_anew_from_there_on(world: World) -> None:
    await begun(world)
    calls = Calls.of("find_flights_by_origin", {"origin": "LGA"})
    world.answer(rebook, calls, Choice("F3"), thinks=timedelta(seconds=2))
    world.hand_in(cases, Case("B1", "any"))
    await world.advance(timedelta(seconds=3))  # it has looked, and thinks about what it saw
    script = world.answer(rebook, Choice("F4"))
    await world.send(flights, Flight("F4", "LGA"))
    assert [row["flight"] for row in given(script.told[0][0])["rows"]] == ["F3", "F4"]
    assert chosen["B1"].wish == "F4"


async def test_a_change_elsewhere_disturbs_nothing(world: World) -> None:
    await begun(world)
    calls = Calls.of("find_flights_by_origin", {"origin": "LGA"})
    script = world.answer(rebook, calls, Choice("F3"), thinks=timedelta(seconds=2))
    world.hand_in(cases, Case("B1", "any"))
    await world.advance(timedelta(seconds=3))
    await world.send(flights, Flight("F4", "JFK"))
    assert len(script.asked) == 2
    assert chosen["B1"].wish == "F3"


async def test_arguments_that_do_not_fit_are_told_to_the_model(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("find_flights_by_origin", {"origin": "JFK", "limit": 1000}), Choice("F2"))
    await world.send(cases, Case("B1", "any"))
    assert "Expected `int` <= 100 - at `$.limit`" in script.told[1][0].error
