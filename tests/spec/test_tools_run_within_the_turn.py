"""A model's tools run within the turn: what they read is tracked, what they do waits for the commit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extrovert import App, Calling, Calls, DeclarationError, Record, Refuse, Result, Tool, Turn
from extrovert.testing import World


class Case(Record):
    booking: str
    ways: str = "look"


class Seats(Record):
    flight: str
    left: int


class Choice(Record):
    flight: str


app = App("airline")
cases = app.table("cases", Case, key=Case.booking)
seats = app.table("seats", Seats, key=Seats.flight)
chosen = app.table("chosen", Case, key=Case.booking)


@app.effect
async def tell(booking: str, text: str) -> None:
    """Tells the passenger of a booking something."""


async def weather(airport: str) -> str:
    return f"fog at {airport}"


def seats_left(flight: str) -> int:
    """How many seats a flight has left."""
    return seats[flight].left


def book(turn: Turn, flight: str, note: str = "") -> str:
    """Takes a seat on a flight."""
    turn.put(seats, Seats(flight, seats[flight].left - 1))
    if seats[flight].left < 0:
        raise Refuse(f"{flight} is full")
    return "booked" + note


async def weather_at(turn: Turn, airport: str) -> str:
    """The weather at an airport."""
    return await turn.call(weather, airport, output=str, max_age=timedelta(minutes=5))


@app.agent(wakes_on=cases, model="openai:gpt-5-mini", max_refusals=1)
async def rebook(turn: Turn, case: Case) -> None:
    """You rebook."""
    choice = await turn.ask(case, output=Choice, tools=[seats_left, book, weather_at, tell], max_steps=4)
    if choice.flight == "F9":
        raise Refuse("F9 does not fly")
    turn.put(chosen, case.but(ways=choice.flight))


async def begun(world: World) -> None:
    await world.send(seats, Seats("F1", 0), Seats("F2", 3))


async def test_a_model_looks_and_then_answers(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("seats_left", {"flight": "F2"}), Choice("F2"))
    await world.send(cases, Case("B1"))
    assert chosen["B1"].ways == "F2"
    assert script.asked == [Case("B1"), Case("B1")]
    decision = await world.decision(rebook, "B1")
    assert ("row", "seats", "F2") in {(read.kind, read.of, read.at) for read in decision.reads}


async def test_what_a_tool_read_is_what_the_decision_read(world: World) -> None:
    await begun(world)
    world.answer(rebook, Calls.of("seats_left", {"flight": "F2"}), Choice("F2"), thinks=timedelta(seconds=2))
    world.hand_in(cases, Case("B1"))
    await world.advance(timedelta(seconds=3))  # it has looked, and thinks about what it saw
    script = world.answer(rebook, Choice("F1"))
    await world.send(seats, Seats("F2", 1))
    assert [[bytes(result.value) for result in told] for told in script.told] == [
        [b"1"]
    ]  # what was asked before stands
    assert chosen["B1"].ways == "F1"


async def test_what_a_tool_does_waits_for_the_decision(world: World) -> None:
    await begun(world)
    calls = Calls([Calling("book", {"flight": "F2"}), Calling("tell", {"booking": "B1", "text": "F2"})])
    world.answer(rebook, calls, Choice("F2"), thinks=timedelta(seconds=2))
    world.hand_in(cases, Case("B1"))
    await world.advance(timedelta(seconds=3))
    assert (seats["F2"].left, world.performed) == (3, [])
    await world.settle()
    assert (seats["F2"].left, world.performed) == (2, [("tell", ["B1", "F2"])])


async def test_a_tool_that_refuses_has_done_nothing_and_the_model_is_told_why(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("book", {"flight": "F1"}), Choice("F2"))
    await world.send(cases, Case("B1"))
    assert seats["F1"].left == 0
    assert script.told == [[], [Result("book", error="F1 is full")]]


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (Calls.of("fly", {}), "There is no such tool. There are: seats_left, book, weather_at, tell."),
        (Calls.of("seats_left", {"flight": 2}), "The arguments do not fit: Expected `str`, got `int`"),
        (Calls.of("seats_left", {}), "The arguments do not fit: Object missing required field `flight`"),
        (Calls([Calling("seats_left", "no JSON")]), "The arguments do not fit: Expected `object`, got `str`"),
        (Calls.of("seats_left", {"flight": "F7"}), "There is no `F7` in seats."),
    ],
)
async def test_a_wrong_call_is_told_to_the_model(world: World, calls: Calls, told: str) -> None:
    await begun(world)
    script = world.answer(rebook, calls, Choice("F2"))
    await world.send(cases, Case("B1"))
    assert script.told[-1][0].error.startswith(told)
    assert chosen["B1"].ways == "F2"


async def test_a_tool_may_ask_the_outside_world_and_is_remembered(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("weather_at", {"airport": "JFK"}), Choice("F2"))
    await world.send(cases, Case("B1"))
    assert bytes(script.told[-1][0].value) == b'"fog at JFK"'


async def test_a_model_that_only_calls_tools_is_stopped(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("seats_left", {"flight": "F2"}))
    await world.send(cases, Case("B1"))
    assert len(script.asked) == 4
    (letter,) = world.dead_letters()
    assert "its model called tools in 4 requests in a row, the last time seats_left" in letter.cause


async def test_an_answer_may_be_refused_after_tools_and_they_are_not_called_again(world: World) -> None:
    await begun(world)
    script = world.answer(rebook, Calls.of("book", {"flight": "F2"}), Choice("F9"), Choice("F2"))
    await world.send(cases, Case("B1"))
    assert (chosen["B1"].ways, seats["F2"].left, len(script.asked)) == ("F2", 2, 3)


class Odd(Record):
    x: int


def untyped(x: int) -> int:
    return x


del untyped.__annotations__["x"]


def many(*names: str) -> int:
    return len(names)


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        (untyped, "parameter `x` has no type"),
        (many, "its parameters are given in order; `names` cannot be"),
        (17, "A tool is a function, an effect"),
    ],
)
async def test_what_cannot_be_a_tool_says_why(tool: object, why: str) -> None:
    wrong = App("wrong")
    odd = wrong.table("odd", Odd, key=Odd.x)

    @wrong.agent(wakes_on=odd, model="openai:gpt-5-mini", max_tries=1)
    async def agent(turn: Turn, row: Odd) -> None:
        await turn.ask("?", output=str, tools=[tool])  # pyright: ignore

    with World(wrong) as world:
        await world.send(odd, Odd(1))
        (letter,) = world.dead_letters()
        assert why in letter.cause


def test_a_tool_has_a_name_that_models_take() -> None:
    with pytest.raises(DeclarationError, match="letters, digits, _ and -"):
        Tool("book a seat", "", Odd, lambda turn, arguments: None)
    with pytest.raises(DeclarationError, match="models give their answer under this name"):
        Tool("answer", "", Odd, lambda turn, arguments: None)
