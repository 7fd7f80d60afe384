"""A whole agent of Pydantic AI runs within a turn: its model requests are remembered, and the turn's tools are the
turn's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
from pydantic import BaseModel
from pydantic_ai import Agent as Helper
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from extrovert import App, Calls, Prompt, Record, Refuse, Section, Turn
from extrovert.core.log import Answered, AskSent, Attempted
from extrovert.models.remote import RemoteModel
from extrovert.testing import World
from extrovert.turns.declare import Model
from tests.hosts import Host, body, until


class Flight(Record):
    flight_id: str
    seats: int


class Question(Record):
    key: str
    text: str = "Which flight?"


class Choice(BaseModel):
    flight_id: str


class Desk:
    """An app whose agent hands its question to a helper; with what the helper's own tools have done."""

    def __init__(self, **options: Any) -> None:
        self.app = App("desk")
        self.flights = self.app.table("flights", Flight, key=Flight.flight_id)
        self.choices = self.app.table("choices", Flight, key=Flight.flight_id)
        self.questions = self.app.table("questions", Question, key=Question.key)
        self.looked_up: list[str] = []
        self.helper = Helper[str, Choice](
            output_type=Choice, deps_type=str, name="helper", instructions="You choose flights."
        )

        @self.helper.tool
        def weather(context: RunContext[str], city: str) -> str:
            """The weather in a city."""
            if city == "Atlantis":
                raise ModelRetry("There is no such city.")
            self.looked_up.append(city)
            return f"{context.deps}: sun in {city}"

        self.fast = self.app.model("fast", TestModel(call_tools=[], custom_output_args={"flight_id": "F1"}))

        def seats(flight_id: str) -> int:
            """Seats left on a flight."""
            return self.flights[flight_id].seats

        def take(turn: Turn, flight_id: str) -> str:
            """Takes a seat."""
            if self.flights[flight_id].seats < 1:
                raise Refuse("That flight is full.")
            turn.put(self.choices, self.flights[flight_id])
            return "taken"

        @self.app.agent(wakes_on=self.questions, model=self.fast, **options)
        async def choose(turn: Turn, question: Question) -> None:
            choice = await turn.run(self.helper, self.asked(question), output=Choice, deps="today", tools=[seats, take])
            turn.put(self.choices, self.flights[choice.flight_id])

        self.agent = choose

    def asked(self, question: Question) -> str | Prompt:
        if question.text:
            return question.text
        return Prompt("Choose.", Section("flights", self.flights.all(), fields=(Flight.flight_id,)))


DOUBLES: dict[int, list[ModelMessage]] = {}
"""The messages that each double was asked last."""


def saying(*said: Any) -> FunctionModel:
    """A double that says one after the other: text, calls as (tool, arguments), or a list of these at once."""
    left, latest = list(said), list[ModelMessage]()

    def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        latest[:] = messages
        next_one: Any = left.pop(0)
        parts = cast("list[Any]", next_one if isinstance(next_one, list) else [next_one])
        return ModelResponse(
            parts=[TextPart(part) if isinstance(part, str) else ToolCallPart(part[0], part[1]) for part in parts]
        )

    double = FunctionModel(say)
    DOUBLES[id(double)] = latest
    return double


FLIGHTS = (Flight("F1", 3), Flight("F2", 0))


async def test_its_result_is_typed() -> None:
    desk = Desk()
    with World(desk.app) as world:
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        assert [row.flight_id for row in desk.choices.all()] == ["F1"]


async def test_its_own_tools_are_run_and_those_of_the_turn_are_the_turns() -> None:
    desk = Desk()
    looks = [("weather", {"city": "Rome"}), ("seats", {"flight_id": "F1"}), ("seats", {"flight_id": "F2"})]
    with World(desk.app) as world:
        double = saying(looks, ("final_result", {"flight_id": "F1"}))
        world.double(desk.fast, double)
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        decision = await world.decision(desk.agent, "a")
    assert desk.looked_up == ["Rome"]
    assert {(read.of, read.at) for read in decision.reads if read.of == "flights"} == {
        ("flights", "F1"),
        ("flights", "F2"),
    }
    assert told(double) == [("weather", "today: sun in Rome"), ("seats", 3), ("seats", 0)]


async def test_what_a_tool_of_the_turn_refuses_is_told_and_takes_back_what_it_staged() -> None:
    desk = Desk()
    with World(desk.app) as world:
        double = saying(
            ("take", {"flight_id": "F2"}), ("take", {"flight_id": "F1"}), ("final_result", {"flight_id": "F1"})
        )
        world.double(desk.fast, double)
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        assert [row.flight_id for row in desk.choices.all()] == ["F1"]
    assert told(double) == [("take", {"error": "That flight is full."}), ("take", "taken")]


async def test_a_tool_of_its_own_may_want_to_be_called_otherwise() -> None:
    desk = Desk()
    with World(desk.app) as world:
        double = saying(
            ("weather", {"city": "Atlantis"}), ("weather", {"city": "Rome"}), ("final_result", {"flight_id": "F1"})
        )
        world.double(desk.fast, double)
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        assert [row.flight_id for row in desk.choices.all()] == ["F1"]
    assert told(double) == [("weather", "There is no such city."), ("weather", "today: sun in Rome")]


async def test_it_is_asked_by_a_prompt_of_live_context_too() -> None:
    desk = Desk()
    with World(desk.app) as world:
        script = world.answer(desk.agent, Choice(flight_id="F1"))
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a", ""))
    (message,) = script.asked[0].messages
    said = msgspec.json.decode(message)["parts"][0]["content"]
    assert said.startswith("Choose.")
    assert '<data name="flights">\n["flight_id"]\n["F1"]\n["F2"]\n</data>' in said


async def test_where_a_read_changes_it_goes_on_from_what_it_was_told() -> None:
    """The seats that it has looked up change while its model thinks: it looks again, and the model is asked about that;
    what its own tool gave before is not asked for again."""
    desk = Desk()
    with World(desk.app) as world:
        first = [("weather", {"city": "Rome"}), ("seats", {"flight_id": "F1"})]
        script = world.answer(
            desk.agent,
            Calls.of(*first[0], first[1]),
            Choice(flight_id="F1"),
            thinks=timedelta(seconds=1),
        )
        await world.send(desk.flights, *FLIGHTS)
        world.hand_in(desk.questions, Question("a"))
        while len(asks(world)) < 2:
            await world.advance(timedelta(milliseconds=10))
        await world.send(desk.flights, Flight("F1", 2))
        assert len(asks(world)) == 3
    assert desk.looked_up == ["Rome"]
    assert len(script.asked) == 2  # the call about three seats was cancelled
    assert returned(script.asked[1]) == [("weather", "today: sun in Rome"), ("seats", 2)]


async def test_after_a_crash_nothing_is_asked_again(tmp_path: Path) -> None:
    """An engine is cut off after each answer, again and again."""
    desk, asked = Desk(), list[int]()

    def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(len(messages))
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("weather", {"city": "Rome"})])
        if len(messages) == 3:
            return ModelResponse(parts=[ToolCallPart("seats", {"flight_id": "F1"})])
        return ModelResponse(parts=[ToolCallPart("final_result", {"flight_id": "F1"})])

    host = Host(
        desk.app, tmp_path / "log.db", {"model:fast": RemoteModel(Model("fast", "double", instance=FunctionModel(say)))}
    )
    await host.send(desk.flights, *FLIGHTS)
    host.hand_in(desk.questions, Question("a"))
    lives = 1
    for _ in range(1_000):
        if host.decisions():
            break
        await one_more(host)
        host.crash()
        lives += 1
    assert sorted(set(asked)) == [1, 3, 5]
    assert len(asked) <= 6  # a request that was under way when the engine was cut off is asked again, once
    assert [one.usage.model for one in host.bodies(Answered) if one.usage] == ["function:say:"] * 3
    assert desk.looked_up in (["Rome"], ["Rome", "Rome"])
    assert host.row(desk.choices, "F1") == Flight("F1", 3)
    assert lives > 5
    await host.stop()


async def test_a_backtest_finds_all_that_was_answered() -> None:
    desk = Desk()
    with World(desk.app) as world:
        world.double(desk.fast, saying(("seats", {"flight_id": "F1"}), ("final_result", {"flight_id": "F1"})))
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        (compared,) = await world.backtest(desk.agent, on_miss="refuse")
    assert compared.same


async def test_a_helper_that_comes_to_no_result_is_a_dead_letter_that_says_why() -> None:
    desk = Desk(max_tries=1)
    with World(desk.app) as world:
        world.double(desk.fast, saying(*[("seats", {"flight_id": "F1"})] * 60))
        await world.send(desk.flights, *FLIGHTS)
        await world.send(desk.questions, Question("a"))
        (letter,) = world.dead_letters()
    assert "`helper` came to no result" in letter.cause
    assert "request_limit" in letter.cause


async def one_more(host: Host) -> None:
    """Lets one more answer come, and makes it durable."""
    before = len(host.bodies(Answered))
    running = asyncio.ensure_future(host.settle())
    await until(lambda: running.done() or len(host.bodies(Answered)) > before)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def asks(world: World) -> list[AskSent]:
    """What models were asked so far."""
    world.engine.writing.flush()
    attempts = [one for entry in world.store.entries() if isinstance(one := body(entry), Attempted)]
    return [ask for one in attempts for ask in one.asks if ask.kind == "ask"]


def told(double: FunctionModel) -> list[tuple[str, Any]]:
    """What the model was told of its calls, as (tool, value), the last time that it was asked."""
    messages: Any = DOUBLES[id(double)]
    return [
        (part.tool_name, part.content)
        for message in messages
        for part in message.parts
        if part.part_kind in ("tool-return", "retry-prompt")
    ]


def returned(asked: Any) -> list[tuple[str, Any]]:
    """The same, of what a script was asked."""
    messages = [msgspec.json.decode(message) for message in asked.messages]
    return [
        (part["tool_name"], part["content"])
        for message in messages
        for part in message["parts"]
        if part["part_kind"] == "tool-return"
    ]
