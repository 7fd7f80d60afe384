"""Limits, breakers and fallbacks on the wire: what a provider is really asked, and when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Breaker, Limits, Price, Record, Table, TransientError, Turn
from extrovert.core.log import Admitted, Answered, Attempted, Decided, Entry, Unanswered
from extrovert.engine.loop import Engine
from extrovert.models.remote import RemoteModel
from extrovert.testing import ModelServer
from extrovert.turns.declare import Model
from extrovert.turns.limits import worst_case
from extrovert.turns.request import Refusal, Request
from tests.hosts import body

PRICE = Price(input="0.25", output="2.00")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITS_KEY", "sk-limits")


class Row(Record):
    key: str
    number: int = 0


class Wired:
    """An app whose agent asks a model on the server about each row; `done` has the answers by key."""

    def __init__(self, url: str, *, fallback: bool = False, **options: Any) -> None:
        self.app, self.done = App("app"), dict[str, int]()
        self.rows: Table[str, Row] = self.app.table("rows", Row, key=Row.key)

        @self.app.policy
        def guess(about: str) -> int:
            return -1

        fast = self.app.model(
            "fast",
            "openai:gpt-5-mini",
            base_url=url,
            api_key_env="LIMITS_KEY",
            max_tokens=50,
            price=PRICE,
            fallback=guess if fallback else None,
            **options,
        )

        @self.app.agent(wakes_on=self.rows, model=fast, retry_after=timedelta(milliseconds=10))
        async def think(turn: Turn, row: Row) -> None:
            """You count."""
            self.done[row.key] = await turn.ask(f"{row.key} {row.number}?", output=int)


def entries(engine: Engine, *kinds: type[Any]) -> list[tuple[Entry, Any]]:
    return [(entry, one) for entry in engine.store.entries() if isinstance(one := body(entry), kinds)]


def bodies(engine: Engine, *kinds: type[Any]) -> list[Any]:
    return [one for _, one in entries(engine, *kinds)]


async def soon(condition: Callable[[], object]) -> None:
    """Waits for what the server and the clock have to do first."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)  # real time has to pass: the engine's clock is the real one here


async def test_a_real_answer_settles_what_was_reserved(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        wired = Wired(server.url, limits=Limits(tokens_per_minute=5_000, usd_per_hour=1))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            await soon(lambda: wired.done)
            await engine.durable()
            account = engine.shard.fold.spending.account("model:fast")
            assert account.calls == 0
            assert account.tokens == 110
            assert account.nano_usd == 100 * 250 + 10 * 2_000
            (reserved,) = bodies(engine, Admitted)
    assert reserved.tokens > 110
    assert reserved.cost_nano_usd > account.nano_usd


@pytest.mark.parametrize("refusals", [0, 2])
async def test_the_prompt_that_is_sent_has_no_more_bytes_than_are_reserved(refusals: int) -> None:
    about = "Is é or 飛行機 the shorter one? " * 20
    refused = tuple(Refusal(msgspec.Raw(b'{"answer":7}'), f"not {number}") for number in range(refusals))
    request = Request("ask", "model:fast", about, list[Row], instructions="Count. " * 30, refusals=refused)
    async with ModelServer() as server:
        server.answers({"answer": []})
        declared = Model("fast", "openai:gpt-5-mini", base_url=server.url, api_key_env="LIMITS_KEY", max_tokens=50)
        fast = RemoteModel(declared)
        await fast(request)
        await fast.close()
        sent = server.asked[0].body
    told = sum(len(one["content"].encode()) for one in sent["messages"])
    schema = len(msgspec.json.encode(sent["response_format"]["json_schema"]["schema"]))
    assert told + schema < worst_case(declared, request).tokens - 50


async def test_so_many_requests_are_on_the_wire_at_a_time(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        server.hold()
        wired = Wired(server.url, limits=Limits(calls=2))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row(str(number)) for number in range(5)])
            await server.request(1)
            await engine.durable()
            assert len(server.asked) == 2
            server.release()
            await soon(lambda: len(wired.done) == 5)
    assert len(server.asked) == 5


async def test_over_the_limit_nothing_is_sent_and_the_fallback_answers(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        wired = Wired(server.url, fallback=True, limits=Limits(requests_per_minute=2, over="fallback"))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row(str(number)) for number in range(5)])
            await soon(lambda: len(wired.done) == 5)
    assert sorted(wired.done.values()) == [-1, -1, -1, 5, 5]
    assert len(server.asked) == 2


async def test_a_request_that_is_cancelled_is_closed_and_counted(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        server.hold()
        wired = Wired(server.url, limits=Limits(tokens_per_minute=5_000))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            first = await server.request(0)
            await engine.send(wired.rows, [Row("a", 1)])
            await server.request(1)
            await asyncio.wait_for(first.closed.wait(), 10)
            server.release()
            await soon(lambda: wired.done)
            await engine.durable()
            reserved = bodies(engine, Admitted)
            assert engine.shard.fold.spending.account("model:fast").tokens == reserved[0].tokens + 110


async def test_429_costs_nothing_and_nobody_asks_before_retry_after(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.fails(429, retry_after="1")
        server.answers({"answer": 5})
        wired = Wired(server.url, limits=Limits(tokens_per_minute=5_000))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            await soon(lambda: bodies(engine, Unanswered))
            await engine.send(wired.rows, [Row("b")])
            assert engine.shard.fold.spending.account("model:fast").tokens == 0
            await soon(lambda: len(wired.done) == 2)
            await engine.durable()
            ((refused, unanswered),) = entries(engine, Unanswered)
            times = [entry.at_us for entry, _ in entries(engine, Admitted)]
    assert unanswered.free
    assert unanswered.until_us == refused.at_us + 1_000_000
    assert [at_us >= unanswered.until_us for at_us in times] == [False, True, True]


async def test_a_failing_server_is_left_alone(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.fails(503)
        wired = Wired(server.url, fallback=True, breaker=Breaker(failures=3, open_for=timedelta(minutes=10)))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            await soon(lambda: wired.done)
            await engine.send(wired.rows, [Row("b")])
            await soon(lambda: len(wired.done) == 2)
            await engine.durable()
            whys = [one.why for one in bodies(engine, Admitted)]
    assert wired.done == {"a": -1, "b": -1}
    assert len(server.asked) == 3
    assert whys == ["", "", "", "the breaker of model:fast", "the breaker of model:fast"]


async def test_a_server_that_hangs_trips_the_breaker_too(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        server.hold()
        breaker = Breaker(failures=2, open_for=timedelta(minutes=10))
        wired = Wired(server.url, fallback=True, breaker=breaker, timeout=timedelta(milliseconds=100))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            await soon(lambda: wired.done)
    assert wired.done == {"a": -1}
    assert len(server.asked) == 2


async def test_a_server_that_is_not_there_costs_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    fast = RemoteModel(Model("fast", "openai:gpt-5-mini", base_url=url, api_key_env="LIMITS_KEY"))
    with pytest.raises(TransientError) as raised:
        await fast(Request("ask", "model:fast", "?", int))
    await fast.close()
    assert raised.value.free
    assert "could not be reached" in str(raised.value)


async def test_what_was_on_the_wire_when_the_engine_stopped_counts_beside_what_is_sent_anew(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        server.hold()
        wired = Wired(server.url, limits=Limits(requests_per_minute=2))
        async with wired.app.serving(tmp_path) as engine:
            await engine.send(wired.rows, [Row("a")])
            await server.request(0)
        server.release()
        async with wired.app.serving(tmp_path) as engine:
            await soon(lambda: wired.done)
            await engine.send(wired.rows, [Row("b")])
            await soon(lambda: len(bodies(engine, Attempted)) == 2)
            await engine.durable()
            assert len(server.asked) == 2
            assert len(bodies(engine, Admitted)) == 2
            assert len(bodies(engine, Answered, Decided)) == 2
            assert [hold.why for hold in engine.limiting.holds.values()] == ["2 requests a minute of model:fast"]
