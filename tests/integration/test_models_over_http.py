"""Models over real HTTP: what is asked on the wire, what comes of what the server does, and what is never told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, PermanentError, Price, Record, Refuse, Table, TransientError, Turn
from extrovert.core.log import Answered, Dead, Decided, Failed
from extrovert.engine.loop import Engine
from extrovert.models.remote import RemoteModel
from extrovert.testing import ModelServer
from extrovert.turns.declare import Model
from extrovert.turns.request import Refusal, Request
from tests.hosts import body, until
from tests.spec.airline import Choice, Rebooking

KEY = "sk-canary-7f3a91"


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)


def model(server: ModelServer, **options: Any) -> RemoteModel:
    return RemoteModel(Model("fast", "openai:gpt-5-mini", base_url=server.url, api_key_env="CANARY_KEY", **options))


def request(output: Any = Rebooking, **options: Any) -> Request:
    return Request("ask", "model:fast", Choice("B1", ["F1", "F2"]), output, instructions="You rebook.", **options)


async def test_the_prompt_has_the_instructions_then_the_facts_then_the_refusals() -> None:
    async with ModelServer() as server:
        server.answers(Rebooking("F2"))
        fast = model(server)
        refused = Refusal(msgspec.Raw(b'{"flight_id":"F1"}'), "that flight is full")
        reply = await fast(request(refusals=(refused,)))
        await fast.close()
    assert msgspec.json.decode(reply.answer, type=Rebooking) == Rebooking("F2")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (100, 10)
    said = server.asked[0].body["messages"]
    assert [one["role"] for one in said] == ["system", "user", "assistant", "user"]
    assert said[0]["content"] == "You rebook."
    assert said[1]["content"] == '{"booking_id":"B1","options":["F1","F2"]}'
    assert said[2]["content"] == '{"flight_id":"F1"}'
    assert "that flight is full" in said[3]["content"]
    assert server.asked[0].body["response_format"]["json_schema"]["schema"]["required"] == ["flight_id"]
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("output", "said", "wanted"),
    [
        (str, "plain", "plain"),
        (int, {"answer": 7}, 7),
        (list[str], {"answer": ["F1"]}, ["F1"]),
        (int, "seven", "seven"),
    ],
)
async def test_an_answer_is_text_or_json_of_any_type(output: Any, said: Any, wanted: Any) -> None:
    async with ModelServer() as server:
        server.answers(said)
        fast = model(server)
        reply = await fast(request(output))
        await fast.close()
    assert msgspec.json.decode(reply.answer) == wanted


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (429, TransientError, "429"),
        (500, TransientError, "500"),
        (503, TransientError, "503"),
        (400, PermanentError, "settings"),
        (401, PermanentError, "API key"),
        (404, PermanentError, "base_url"),
    ],
)
async def test_an_error_is_transient_or_says_what_to_do(status: int, kind: type[Exception], says: str) -> None:
    async with ModelServer() as server:
        server.fails(status, f"no, not with {KEY}", retry_after="7")
        fast = model(server)
        with pytest.raises(kind, match=says) as raised:
            await fast(request())
        await fast.close()
    assert KEY not in repr(raised.value)
    assert raised.value.__suppress_context__
    if isinstance(raised.value, TransientError):
        assert raised.value.retry_after_s == 7
    assert len(server.asked) == 1  # whether and when to ask again is the turn's to say


async def test_what_is_cut_off_or_takes_too_long_is_transient() -> None:
    async with ModelServer() as server:
        fast = model(server, timeout=timedelta(milliseconds=50))
        server.cuts()
        with pytest.raises(TransientError):
            await fast(request())
        server.hold()
        with pytest.raises(TransientError, match=r"0\.05 s"):
            await fast(request())
        await fast.close()


async def test_more_requests_than_a_client_has_connections_by_default_are_under_way_at_once() -> None:
    at_once = 130  # aiohttp opens 100 connections, unless it is told otherwise
    async with ModelServer() as server:
        server.answers({"flight_id": "F2"})
        server.hold()
        fast = model(server)
        asking = [asyncio.create_task(fast(request())) for _ in range(at_once)]
        await asyncio.wait_for(server.request(at_once - 1), 30)
        server.release()
        await asyncio.gather(*asking)
        await fast.close()


async def test_a_proxy_that_the_environment_names_leads_to_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer() as server:
        monkeypatch.setenv("http_proxy", server.url.removeprefix("http://").removesuffix("/v1"))
        server.answers("plain", "plain")
        declared = Model("fast", "openai:gpt-5-mini", base_url="http://far.example/v1", api_key_env="CANARY_KEY")
        fast = RemoteModel(declared)
        assert bytes((await fast(request(str))).answer) == b'"plain"'
        await fast.close()
        monkeypatch.setenv("no_proxy", "far.example")
        fast = RemoteModel(declared)
        with pytest.raises(TransientError, match="could not be reached"):
            await fast(request(str))
        await fast.close()
    assert [asked.path for asked in server.asked] == ["http://far.example/v1/chat/completions"]


async def test_a_key_that_is_not_there_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANARY_KEY")
    async with ModelServer() as server:
        with pytest.raises(PermanentError, match="CANARY_KEY"):
            await model(server)(request())


class Row(Record):
    key: str
    number: int = 0


def asking(server: ModelServer) -> tuple[App, Table[str, Row], Table[str, Row], list[Any]]:
    app, saw = App("app"), list[Any]()
    rows = app.table("rows", Row, key=Row.key)
    others = app.table("others", Row, key=Row.key)
    fast = app.model(
        "fast",
        "openai:gpt-5-mini",
        base_url=server.url,
        api_key_env="CANARY_KEY",
        price=Price(input="0.25", output="2.00"),
    )

    @app.agent(wakes_on=rows, model=fast, retry_after=timedelta(0))
    async def think(turn: Turn, row: Row) -> None:
        """You count."""
        other = others.get(row.key)
        number = await turn.ask(f"{row.number} {0 if other is None else other.number}?", output=int)
        if number > 100:
            raise Refuse("too large")
        saw.append(number)

    return app, rows, others, saw


@asynccontextmanager
async def running(app: App, data: Path) -> AsyncGenerator[Engine]:
    async with app.serving(data) as engine:
        yield engine


def bodies(engine: Engine, *kinds: type[Any]) -> list[Any]:
    return [one for entry in engine.store.entries() if isinstance(one := body(entry), kinds)]


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


async def test_what_an_answer_took_is_kept_with_it(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        app, rows, _, saw = asking(server)
        async with running(app, tmp_path) as engine:
            await engine.send(rows, [Row("a")])
            await until(lambda: saw)
            await engine.durable()
            (answered,) = bodies(engine, Answered)
    assert answered.usage.input_tokens == 100
    assert answered.usage.output_tokens == 10
    assert answered.usage.cost_nano_usd == 100 * 250 + 10 * 2_000
    assert server.asked[0].body["messages"][0]["content"] == "You count."


async def test_an_answer_that_does_not_fit_goes_back_to_the_model(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers("I think five", {"answer": 500}, {"answer": 5})
        app, rows, _, saw = asking(server)
        async with running(app, tmp_path) as engine:
            await engine.send(rows, [Row("a")])
            await until(lambda: saw)
    assert saw == [5]
    assert len(server.asked) == 3
    told = [one["content"] for one in server.asked[2].body["messages"] if one["role"] == "user"]
    assert "does not fit" in told[1]
    assert "too large" in told[2]


async def test_a_call_that_is_superseded_really_closes_its_request(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        server.hold()
        app, rows, others, saw = asking(server)
        async with running(app, tmp_path) as engine:
            await engine.send(rows, [Row("a")])
            first = await server.request(0)
            await engine.send(others, [Row("a", 1)])
            second = await server.request(1)
            await asyncio.wait_for(first.closed.wait(), 10)
            server.release()
            await until(lambda: saw)
    assert not first.answered.is_set()
    assert second.answered.is_set()


async def test_a_key_that_the_library_finds_by_itself_is_not_told_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with ModelServer() as server:
        server.fails(401, f"wrong key {KEY}")
        fast = RemoteModel(Model("fast", "openai-chat:gpt-5-mini", base_url=server.url))
        with pytest.raises(PermanentError) as raised:
            await fast(request())
        await fast.close()
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(raised.value)


async def test_no_key_is_in_the_log_nor_in_what_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with logged(caplog):
        async with ModelServer() as server:
            server.fails(500, f"we know your key {KEY}")
            server.fails(401, f"wrong key {KEY}")
            app, rows, _, _ = asking(server)
            async with running(app, tmp_path) as engine:
                await engine.send(rows, [Row("a")])
                await until(lambda: bodies(engine, Dead))
                assert [type(one) for one in bodies(engine, Failed, Dead, Decided)] == [Failed, Dead]
    assert KEY not in caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert all(KEY not in record.getMessage() for record in caplog.records if record.name.startswith("extrovert"))
