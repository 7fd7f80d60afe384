"""What the log tells of a prompt is what the model's server had, byte for byte: over re-runs, refusals and restarts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Record, Refuse, Turn
from extrovert.core.ids import canonical
from extrovert.core.log import Attempted
from extrovert.testing import ModelServer
from tests.hosts import body, until

KEY = "sk-canary-51c0de"
MANUAL = "Passengers of a cancelled flight are moved to the earliest one with seats, gold before silver. ä😀 " * 30


class Row(Record):
    key: str
    number: int = 0


class Desk:
    """An agent that asks a model twice, the second time with all that was said before; the first answer may be
    refused."""

    def __init__(self, server: ModelServer) -> None:
        self.app, self.heard = App("desk"), list[str]()
        self.rows = self.app.table("rows", Row, key=Row.key)
        self.others = self.app.table("others", Row, key=Row.key)
        fast = self.app.model(
            "fast",
            "openai:gpt-5-mini",
            base_url=server.url,
            api_key_env="CANARY_KEY",
            settings={"seed": 7, "extra_headers": {"x-canary": KEY}},
        )

        @self.app.agent(wakes_on=self.rows, model=fast, retry_after=timedelta(0))
        async def think(turn: Turn, row: Row) -> None:
            """You rebook passengers."""
            other = self.others.get(row.key)
            seats = 0 if other is None else other.number
            first = f"{MANUAL}\nThere are {seats} seats.\n{MANUAL}"
            number = await turn.ask(first, output=int)
            if number > 100:
                raise Refuse("too large")
            said = await turn.ask(f"{first}\nYou said {number}. Why?", output=str)
            self.heard.append(said)


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)


def read_back(messages: list[dict[str, str]]) -> tuple[str, str]:
    """The instructions and the prompt that the server had."""
    assert [one["role"] for one in messages[:2]] == ["system", "user"]
    return messages[0]["content"], messages[1]["content"]


async def told(app: App, engine: Any) -> list[tuple[str, str]]:
    """The instructions and the prompt of each ask, as the ledger tells them."""
    found = await app.sql(
        engine, "select instructions, request from ledger_asks join ledger_told using (told) order by sent_at, state"
    )
    return [(row["instructions"], msgspec.json.decode(row["request"])) for row in found.dicts()]


async def test_the_log_tells_what_the_server_had(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 500}, {"answer": 5}, "since it is early", "since it is early")
        server.hold()
        desk = Desk(server)
        async with desk.app.serving(tmp_path) as engine:
            await engine.send(desk.rows, [Row("a")])
            await asyncio.wait_for(server.request(0), 10)
            await engine.send(desk.others, [Row("a", 7)])  # the call in flight is cancelled, and asked anew
            await asyncio.wait_for(server.request(1), 10)
            server.release()
            await until(lambda: desk.heard)
            await engine.durable()
            entries = list(engine.store.entries())
            found = await told(desk.app, engine)
    had = [read_back(one.body["messages"]) for one in server.asked]
    assert len(had) == 4  # cancelled, refused, answered, and the second question
    assert sorted(found) == sorted(had)
    asks = [ask for one in map(body, entries) if isinstance(one, Attempted) for ask in one.asks]
    assert [bool(ask.like) for ask in asks] == [False, True, True, True]
    assert sum(len(entry.body) for entry in entries) < 1.5 * len(canonical(had[0][1]))


async def test_the_schema_and_the_parameters_are_those_of_the_request_without_keys(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5}, "since it is early", {"answer": 6}, "since it is late")
        desk = Desk(server)
        async with desk.app.serving(tmp_path) as engine:
            for number, key in enumerate("ab", start=1):
                await engine.send(desk.rows, [Row(key)])
                await until(lambda: len(desk.heard) == number)  # noqa: B023 -- it is waited for in this round
            await engine.durable()
            found = (await desk.app.sql(engine, "select parameters, schema from ledger_told order by 1, 2")).dicts()
    schemas = [msgspec.json.decode(row["schema"]) for row in found]
    assert schemas == [{"type": "integer"}, {"type": "string"}]  # each once, over all turns
    sent = server.asked[0].body["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["answer"] == schemas[0]
    assert server.asked[0].headers["x-canary"] == KEY
    parameters = msgspec.json.decode(found[0]["parameters"])
    assert parameters == [
        "openai:gpt-5-mini",
        server.url,
        {"seed": 7, "extra_headers": {"x-canary": "[key]"}},
        None,
    ]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
