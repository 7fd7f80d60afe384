"""Tools over real HTTP: what a model is offered, what it is told of its calls, and what it may get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Calling, Calls, Record, Table, Turn
from extrovert.core.log import Answered, Attempted, Dead, Decided, Told
from extrovert.testing import ModelServer
from tests.hosts import body, until


class Case(Record):
    booking: str


class Seats(Record):
    flight: str
    left: int


class Choice(Record):
    flight: str


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "sk-canary-7f3a91")


def airline(server: ModelServer, output: Any) -> tuple[App, Table[str, Case], Table[str, Seats], list[Any]]:
    app = App("airline")
    cases = app.table("cases", Case, key=Case.booking)
    seats = app.table("seats", Seats, key=Seats.flight)
    fast = app.model("fast", "openai:gpt-5-mini", base_url=server.url, api_key_env="CANARY_KEY")
    answers: list[Any] = []

    def seats_left(flight: str) -> int:
        """How many seats a flight has left."""
        return seats[flight].left

    @app.agent(wakes_on=cases, model=fast, max_tries=1)
    async def rebook(turn: Turn, case: Case) -> None:
        """You rebook."""
        answers.append(await turn.ask(case, output=output, tools=[seats_left], max_steps=3))

    return app, cases, seats, answers


async def asked(server: ModelServer, data: Path, output: Any = Choice) -> tuple[list[Any], list[Any]]:
    """What came of one case: the answers, and all entries of the log."""
    app, cases, seats, answers = airline(server, output)
    async with app.serving(data) as engine:
        await engine.send(seats, [Seats("F1", 3)])
        await engine.send(cases, [Case("B1")])
        await until(lambda: engine.quiet)
        await engine.durable()
        return answers, [body(entry) for entry in engine.store.entries()]


async def test_a_model_is_offered_tools_and_told_what_they_gave(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls.of("seats_left", {"flight": "F1"}, ("seats_left", {"flight": "F7"})), Choice("F1"))
        answers, entries = await asked(server, tmp_path)
    assert answers == [Choice("F1")]
    first, second = (one.body for one in server.asked)
    (tool,) = first["tools"]
    assert tool["function"]["name"] == "seats_left"
    assert tool["function"]["description"] == "How many seats a flight has left."
    assert tool["function"]["parameters"]["properties"] == {"flight": {"type": "string"}}
    assert first["response_format"]["json_schema"]["schema"]["required"] == ["flight"]
    assert [one["role"] for one in second["messages"]] == ["system", "user", "assistant", "tool", "tool"]
    calls = second["messages"][2]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"flight":"F1"}', '{"flight":"F7"}']
    told = second["messages"][3:]
    assert [one["tool_call_id"] for one in told] == [call["id"] for call in calls]
    assert told[0]["content"] == "3"
    assert "There is no `F7` in seats" in told[1]["content"]
    assert second["tools"] == first["tools"]
    (decided,) = [one for one in entries if isinstance(one, Decided)]
    assert len(decided.answers) == 2


async def test_text_may_be_answered_after_tools(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls([Calling("seats_left", {"flight": "F1"})], "Let me look."), "There are 3.")
        answers, _ = await asked(server, tmp_path, str)
    assert answers == ["There are 3."]
    assert server.asked[1].body["messages"][2]["content"] == "Let me look."


async def test_arguments_that_are_no_json_are_told_to_the_model(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls([Calling("seats_left", "{oh")]), Choice("F1"))
        answers, _ = await asked(server, tmp_path)
    assert answers == [Choice("F1")]
    assert "The arguments do not fit" in server.asked[1].body["messages"][-1]["content"]


async def test_an_endless_loop_of_tools_is_stopped_and_told(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls.of("seats_left", {"flight": "F1"}))
        answers, entries = await asked(server, tmp_path)
    assert (answers, len(server.asked)) == ([], 3)
    (letter,) = [one for one in entries if isinstance(one, Dead)]
    assert "called tools in 3 requests in a row" in letter.cause


async def test_each_step_is_in_the_log_once(tmp_path: Path) -> None:
    async with ModelServer() as server:
        look = Calls.of("seats_left", {"flight": "F1"})
        server.answers(look, look, Choice("F1"))
        _, entries = await asked(server, tmp_path)
    asks = [ask for one in entries if isinstance(one, Attempted) for ask in one.asks]
    assert [ask.steps for ask in asks] == [1, 2, 3]
    steps = msgspec.json.decode(asks[-1].request)
    assert steps[1]["results"] == [{"tool": "seats_left", "value": 3}]
    said = [msgspec.json.decode(one.answer) for one in entries if isinstance(one, Answered)]
    assert [one.keys() for one in said] == [{"$calls"}, {"$calls"}, {"flight"}]
    assert sum(isinstance(one, Told) for one in entries) == 1
