"""Slow asks: what a thousand of them, under way at once, cost the processor.

Each of 1,000 turns asks once. A model in the process sleeps, and answers nothing; one over HTTP is
`extrovert.testing.ModelServer` in a process of its own, which holds all requests until the last has come. What is
counted is the processor's time of the engine's process, all threads, from the first event until the last decision is
durable. Beside each is what the same calls take without an engine: as many tasks that sleep, and as many requests of
the same client.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, expect
from extrovert import App, Model, Record, Turn
from extrovert.engine.hosting import hosted
from extrovert.models.remote import RemoteModel
from extrovert.testing import ModelServer
from extrovert.turns.request import Request

__all__ = ["allow_files", "measure"]

ASKS = 1_000
CHUNK = 250
THINKS_S = 1.0
FILES = 8_192
PATIENCE_S = 600


class Case(Record):
    case_id: str
    facts: str


class Choice(Record):
    option: str


class Chosen(Record):
    case_id: str
    option: str


def measure(scale: Scale) -> list[Figure]:
    """Microseconds of the processor for each ask."""
    count = scale.of(ASKS)
    allow_files()
    figures: list[Figure] = []
    for what, beside, ours, bare in (
        ("a model in the process", "tasks that sleep", _asked_here, _slept),
        ("a model over HTTP", "the same client without an engine", _asked_over_http, _requested),
    ):
        pairs: list[tuple[float, float]] = []
        for _ in range(scale.runs):
            pairs.append((asyncio.run(ours(count)), asyncio.run(bare(count))))
        figures.append(
            Figure(
                bench="asks",
                what=f"{count:,} slow asks at once, {what}: processor time",
                unit="µs/ask",
                runs=[one * 1e6 / count for one, _ in pairs],
                beside=beside,
                references=[other * 1e6 / count for _, other in pairs],
            )
        )
    return figures


def allow_files() -> None:
    """Each request has a connection of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# ---- in the process


async def _asked_here(count: int) -> float:
    async def thinker(request: Request) -> msgspec.Raw:
        await asyncio.sleep(THINKS_S)
        return msgspec.Raw(b'{"option":"a"}')

    app = App("asks")
    model = app.model("thinker", "openai:none")
    return await _asked(app, model, count, thinker)


async def _slept(count: int) -> float:
    async def think() -> None:
        await asyncio.sleep(THINKS_S)

    spent = time.process_time()
    await asyncio.gather(*(asyncio.create_task(think()) for _ in range(count)))
    return time.process_time() - spent


async def _asked(app: App, model: Model, count: int, answerer: Any = None) -> float:
    """Lets as many turns ask at once; seconds of the processor."""
    cases = app.stream("cases", Case, key=Case.case_id)
    chosen = app.table("chosen", Chosen, key=Chosen.case_id)

    @app.agent(wakes_on=cases, model=model, concurrency=count)
    async def choose(turn: Turn, case: Case) -> None:
        choice = await turn.ask(case, output=Choice)
        turn.put(chosen, Chosen(case.case_id, choice.option))

    made = _cases(count)
    encode: Any = msgspec.json.Encoder().encode_lines
    chunks = [encode(made[start : start + CHUNK]) for start in range(0, count, CHUNK)]
    with tempfile.TemporaryDirectory() as directory:
        async with hosted(app.declared(), Path(directory)) as engine:
            if answerer is not None:
                engine.calls.answer_for(f"agent:{choose.name}", answerer)
            spent = time.process_time()
            await feed(engine, "cases", chunks, ahead=count)
            spent = time.process_time() - spent
            rows = engine.shard.fold.context.tables["chosen"].rows
            expect("choices", {row.option for row in rows.values()}, {"a"})
            expect("rows", len(rows), count)
    return spent


def _cases(count: int) -> list[Case]:
    return [Case(f"C{number}", f"facts of case {number}: {'x' * 200}") for number in range(count)]


# ---- over HTTP


async def _asked_over_http(count: int) -> float:
    async with _server(count) as url:
        app = App("asks")
        model = _model(app, url)
        await (await _warm(model)).close()
        return await _asked(app, model, count)


async def _requested(count: int) -> float:
    async with _server(count) as url:
        client = await _warm(_model(App("bare"), url))
        requests = [Request("ask", "model:thinker", case, Choice) for case in _cases(count)]
        spent = time.process_time()
        replies = await asyncio.gather(*(asyncio.create_task(client(request)) for request in requests))
        spent = time.process_time() - spent
        expect("answers", {bytes(reply.answer) for reply in replies}, {b'{"option":"a"}'})
        await client.close()
        return spent


def _model(app: App, url: str) -> Model:
    patience = timedelta(seconds=PATIENCE_S)
    return app.model("thinker", "openai:thinker", base_url=url, api_key_env="BENCH_KEY", timeout=patience)


async def _warm(model: Model) -> RemoteModel:
    """A client that has asked once, so that what is imported and set up at first use is not counted."""
    client = RemoteModel(model)
    await client(Request("ask", "model:thinker", "warm", Choice))
    return client


@asynccontextmanager
async def _server(count: int) -> AsyncGenerator[str]:
    os.environ.setdefault("BENCH_KEY", "none")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.asks", str(count),
        cwd=Path(__file__).parents[1], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(count: int) -> None:
    """Serves one request at once, then holds as many as `count` until they are there; ends when its input does."""
    allow_files()
    async with ModelServer() as server:
        server.answers(Choice("a"))
        print(server.url, flush=True)
        holding = asyncio.create_task(_hold(server, count))
        await asyncio.to_thread(sys.stdin.read)
        holding.cancel()


async def _hold(server: ModelServer, count: int) -> None:
    await server.request(0)
    await server.asked[0].answered.wait()
    server.hold()
    await server.request(count)
    server.release()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
