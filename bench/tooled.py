"""Tooled asks: a structured answer after one call of a tool, over HTTP, beside a Pydantic AI agent and raw aiohttp.

Each ask is two requests: the model calls a tool, is told what came of it, and answers with an object. The server is
`bench/model_server.py`, in a process of its own, which answers at once or after 500 ms; 200, 500 or 1,000 asks are in
flight at a time. Extrovert's are whole turns: what they ask and are answered is written durably, the tool reads a live
table, the decision is committed. A Pydantic AI agent keeps nothing; raw aiohttp sends and reads the same JSON.

What remembering saves is counted in tokens: the engine stops in the midst of so many asks and starts again, and what
was answered before is not asked again.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.asks import allow_files
from bench.feeding import feed
from bench.measuring import Figure, Scale, expect
from bench.model_server import ANSWER, FLIGHT, TOKENS_IN, TOKENS_OUT, TOOL, model_server
from extrovert import App, Price, Record, Table, Turn
from extrovert.core.log import Answered, Decided
from extrovert.engine.hosting import hosted
from extrovert.engine.loop import Engine

__all__ = ["measure"]

ASKS = 1_000
FLIGHTS = (200, 500, 1_000)
LATENCIES_MS = (0, 500)
SEATS = 3
INSTRUCTIONS = "You choose a flight for a passenger."
AIM = "1.5 ms of the processor for each, and three times the agent's rate"


class Case(Record):
    case_id: str
    facts: str


class Flight(Record):
    flight_id: str
    seats: int


class Choice(Record):
    flight_id: str


class Took(msgspec.Struct, frozen=True):
    """Seconds that so many asks took: by the wall clock, and of the processor."""

    wall_s: float
    processor_s: float


Ours = Callable[[str, int, int], Awaitable[Took]]


def measure(scale: Scale) -> list[Figure]:
    """Asks a second and microseconds of the processor for each, and tokens saved."""
    allow_files()
    figures: list[Figure] = []
    for latency_ms in LATENCIES_MS:
        for flight in FLIGHTS:
            count = max(scale.of(ASKS), 4)
            runs = [asyncio.run(_all(latency_ms, count, min(flight, count))) for _ in range(scale.runs)]
            figures += _figures(f"{latency_ms} ms, {flight:,} in flight", count, runs)
    return [*figures, asyncio.run(_saved(scale))]


def _figures(what: str, count: int, runs: list[dict[str, Took]]) -> list[Figure]:
    found: list[Figure] = []
    for beside in ("a Pydantic AI agent", "raw aiohttp"):
        found.append(
            Figure(
                bench="tooled",
                what=f"asks with a tool, {what}",
                unit="asks/s",
                runs=[count / run["ours"].wall_s for run in runs],
                beside=beside,
                references=[count / run[beside].wall_s for run in runs],
            )
        )
        found.append(
            Figure(
                bench="tooled",
                what=f"asks with a tool, {what}: processor time",
                unit="µs/ask",
                runs=[run["ours"].processor_s * 1e6 / count for run in runs],
                beside=beside,
                references=[run[beside].processor_s * 1e6 / count for run in runs],
                aim=AIM,
            )
        )
    return found


async def _all(latency_ms: int, count: int, flight: int) -> dict[str, Took]:
    found: dict[str, Took] = {}
    ways: dict[str, Ours] = {"ours": _ours, "a Pydantic AI agent": _agent, "raw aiohttp": _raw}
    for name, way in ways.items():
        async with model_server(latency_ms) as served:
            found[name] = await way(served.url, count, flight)
        expect(f"requests of {name}", served.requests, 2 * count)
    return found


# ---- ours


def _app(url: str, flight: int) -> tuple[App, Table[str, Choice]]:
    app = App("tooled")
    cases = app.stream("cases", Case, key=Case.case_id)
    flights = app.table("flights", Flight, key=Flight.flight_id)
    chosen = app.table("chosen", Choice, key=Choice.flight_id)
    model = app.model(
        "bench", "openai:bench", base_url=url, api_key_env="BENCH_KEY",
        timeout=timedelta(seconds=600), price=Price(input="0.25", output="2"),
    )  # fmt: skip

    def seats_left(flight_id: str) -> int:
        """How many seats a flight has left."""
        return flights[flight_id].seats

    @app.agent(wakes_on=cases, model=model, concurrency=flight)
    async def choose(turn: Turn, case: Case) -> None:
        """You choose a flight for a passenger."""
        choice = await turn.ask(case, output=Choice, tools=[seats_left])
        turn.put(chosen, Choice(f"{case.case_id}:{choice.flight_id}"))

    return app, chosen


def _lines(start: int, count: int) -> bytes:
    return msgspec.json.Encoder().encode_lines(
        [Case(f"C{number}", f"facts of case {number}: {'x' * 200}") for number in range(start, start + count)]
    )


async def _begin(engine: Engine) -> None:
    """Has a flight there, and what is imported and set up at first use."""
    engine.intake.lines("flights", msgspec.json.encode(Flight(FLIGHT, SEATS)))
    await feed(engine, "cases", [_lines(0, 1)], ahead=1)


async def _ours(url: str, count: int, flight: int) -> Took:
    app, _ = _app(url, flight)
    with tempfile.TemporaryDirectory() as directory:
        async with hosted(app.declared(), Path(directory)) as engine:
            await _begin(engine)
            wall, processor = time.perf_counter(), time.process_time()
            await feed(engine, "cases", [_lines(1, count - 1)], ahead=count)
            took = Took(time.perf_counter() - wall, time.process_time() - processor)
            rows = engine.shard.fold.context.tables["chosen"].rows
            expect("choices", len(rows), count)
    return took


# ---- beside


async def _each(count: int, flight: int, ask: Callable[[str], Awaitable[Any]]) -> Took:
    """Asks so often, with so many in flight."""
    left = iter(range(1, count))

    async def worker() -> None:
        for number in left:
            await ask(f"facts of case {number}: {'x' * 200}")

    await ask("warm")
    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(flight)))
    return Took(time.perf_counter() - wall, time.process_time() - processor)


async def _agent(url: str, count: int, flight: int) -> Took:
    from httpx2 import Limits
    from openai import AsyncOpenAI, DefaultAioHttpClient
    from pydantic import BaseModel
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    class Chosen(BaseModel):
        flight_id: str

    client = AsyncOpenAI(
        base_url=url,
        api_key=os.environ["BENCH_KEY"],
        timeout=600,
        http_client=DefaultAioHttpClient(limits=Limits(max_connections=0, max_keepalive_connections=None)),
    )
    model = OpenAIChatModel("bench", provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, output_type=Chosen, instructions=INSTRUCTIONS)

    @agent.tool_plain(name=TOOL)
    def seats_left(flight_id: str) -> int:
        """How many seats a flight has left."""
        return SEATS

    async def ask(facts: str) -> None:
        result = await agent.run(facts)
        expect("the agent's answer", result.output.flight_id, FLIGHT)

    took = await _each(count, flight, ask)
    await client.close()
    return took


async def _raw(url: str, count: int, flight: int) -> Took:
    import aiohttp

    headers = {"authorization": f"Bearer {os.environ['BENCH_KEY']}", "content-type": "application/json"}
    parameters = {"type": "object", "properties": {"flight_id": {"type": "string"}}, "required": ["flight_id"]}
    function = {"name": TOOL, "description": "How many seats a flight has left.", "parameters": parameters}
    wants = {"type": "json_schema", "json_schema": {"name": "answer", "schema": parameters}}
    base = {"model": "bench", "tools": [{"type": "function", "function": function}], "response_format": wants}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def post(messages: list[dict[str, Any]]) -> dict[str, Any]:
            body = msgspec.json.encode({**base, "messages": messages})
            async with session.post(f"{url}/chat/completions", data=body) as response:
                return msgspec.json.decode(await response.read())["choices"][0]["message"]

        async def ask(facts: str) -> None:
            messages: list[dict[str, Any]] = [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": facts},
            ]
            said = await post(messages)
            call = said["tool_calls"][0]["id"]
            answer = await post([*messages, said, {"role": "tool", "tool_call_id": call, "content": str(SEATS)}])
            expect("the raw answer", msgspec.json.decode(answer["content"]), ANSWER)

        return await _each(count, flight, ask)


# ---- what remembering saves


async def _saved(scale: Scale) -> Figure:
    """Stops the engine in the midst, and starts it again: tokens for which nobody had to pay twice."""
    count, flight = max(scale.of(1_000), 20), max(scale.of(50), 5)
    with tempfile.TemporaryDirectory() as directory:
        async with model_server(20) as served:
            app, _ = _app(served.url, flight)
            async with hosted(app.declared(), Path(directory)) as engine:
                await _begin(engine)
                engine.intake.lines("cases", _lines(1, count - 1))
                engine.nudge()
                await _decided(engine, count // 2)
            app, _ = _app(served.url, flight)
            async with hosted(app.declared(), Path(directory)) as engine:
                kept = _kept(engine)
                await _decided(engine, count)
    again = served.requests - 2 * count
    each = TOKENS_IN + TOKENS_OUT
    return Figure(
        bench="tooled",
        what=f"tokens that a restart in the midst of {flight} asks would have cost again",
        unit="tokens",
        runs=[float(kept * each)],
        beside="tokens that it did (requests that were under way)",
        references=[float(max(again, 1) * each)],
    )


async def _decided(engine: Engine, count: int) -> None:
    """Waits until so many are decided."""
    while len(engine.shard.fold.context.tables["chosen"].rows) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def _kept(engine: Engine) -> int:
    """How many answers unfinished turns had had when the engine started."""
    body: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Answered | Decided)
    answers: dict[str, int] = {}
    for entry in engine.store.entries():
        if entry.kind not in ("answered", "decided"):
            continue
        said = body.decode(entry.body)
        if isinstance(said, Answered):
            answers[said.turn] = answers.get(said.turn, 0) + 1
        else:
            answers.pop(said.turn, None)
    return sum(answers.values())
