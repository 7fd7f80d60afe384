"""Words over real HTTP: who listens hears what a model says while it says it, and that it was cut off."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic_ai.models.test import TestModel

from extrovert import App, Calls, Record, Turn
from extrovert.core.log import Answered, Failed
from extrovert.engine.loop import Engine
from extrovert.engine.words import Begun, Cut, Delta, Done, Word
from extrovert.models.remote import RemoteModel
from extrovert.testing import ModelServer
from extrovert.turns.declare import Model
from extrovert.turns.request import Request
from tests.hosts import body, until

SAID = "Flight F2 leaves at noon."


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


class Row(Record):
    key: str
    number: int = 0


class Talk:
    """An app that is asked in words, or in numbers, and what was heard and came of it."""

    def __init__(self, server: ModelServer, output: Any = str) -> None:
        self.app = App("app")
        self.rows = self.app.table("rows", Row, key=Row.key)
        self.others = self.app.table("others", Row, key=Row.key)
        self.heard: list[Word] = []
        self.came: list[Any] = []
        fast = self.app.model("fast", "openai:gpt-5-mini", base_url=server.url)

        def seats() -> int:
            """Seats left."""
            return 3

        @self.app.agent(wakes_on=self.rows, model=fast, retry_after=timedelta(0))
        async def speak(turn: Turn, row: Row) -> None:
            """You tell."""
            other = self.others.get(row.key)
            about = f"{row.number} {0 if other is None else other.number}?"
            self.came.append(await turn.ask(about, output=output, tools=[seats] if row.number == 7 else []))

    @asynccontextmanager
    async def listened_to(self, data: Path, key: str = "a") -> AsyncGenerator[Engine]:
        async with self.app.serving(data) as engine:
            leave = engine.words.listen("speak", key, self.heard.append)
            yield engine
            leave()

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.heard if isinstance(word, Delta))


async def test_the_words_of_an_answer_are_heard_one_by_one_and_the_whole_is_kept(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(SAID)
        talk = Talk(server)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: talk.came)
            await engine.durable()
            (answered,) = [one for entry in engine.store.entries() if isinstance(one := body(entry), Answered)]
    assert talk.came == [SAID]
    assert [type(word) for word in talk.heard] == [Begun, *[Delta] * 5, Done]
    assert talk.text == SAID
    assert len({word.ask for word in talk.heard}) == 1
    assert answered.usage is not None
    assert (answered.usage.input_tokens, answered.usage.output_tokens) == (100, 10)


async def test_words_come_before_the_answer_is_whole(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(SAID)
        server.hold(after=2)
        talk = Talk(server)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: len(talk.heard) == 3)
            assert (talk.text, talk.came) == ("Flight F2", [])
            server.release()
            await until(lambda: talk.came)
    assert talk.text == SAID


async def test_where_nobody_listens_nothing_is_streamed(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(SAID)
        talk = Talk(server)
        async with talk.listened_to(tmp_path, key="another") as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: talk.came)
    assert talk.heard == []
    assert not server.asked[0].body.get("stream")


async def test_an_answer_that_is_no_text_is_not_streamed(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers({"answer": 5})
        talk = Talk(server, output=int)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: talk.came)
    assert (talk.came, talk.heard) == ([5], [])


async def test_words_whose_ground_has_shifted_are_cut_before_the_next_are_heard(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers("Flight F2 leaves at noon.", "Flight F2 is cancelled.")
        server.hold(after=3)
        talk = Talk(server)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: talk.text == "Flight F2 leaves")
            await engine.send(talk.others, [Row("a", 1)])
            await until(lambda: len(server.asked) == 2)
            server.release()
            await until(lambda: talk.came)
    assert talk.came == ["Flight F2 is cancelled."]
    kinds = [type(word) for word in talk.heard]
    assert kinds == [Begun, Delta, Delta, Delta, Cut, Begun, *[Delta] * 4, Done]
    assert talk.heard[0].ask == talk.heard[4].ask != talk.heard[5].ask


async def test_a_stream_that_breaks_off_is_cut_and_asked_again(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.cuts()
        server.answers(SAID)
        talk = Talk(server)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a")])
            await until(lambda: talk.came)
            await engine.durable()
            failed = [one for entry in engine.store.entries() if isinstance(one := body(entry), Failed)]
    assert talk.came == [SAID]
    kinds = [type(word) for word in talk.heard]
    assert kinds == [Begun, Delta, Delta, Delta, Cut, Begun, *[Delta] * 5, Done]
    assert len(failed) == 1


async def test_tools_are_called_from_a_stream_too(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls.of("seats", {}), SAID)
        talk = Talk(server)
        async with talk.listened_to(tmp_path) as engine:
            await engine.send(talk.rows, [Row("a", 7)])
            await until(lambda: talk.came)
    assert talk.came == [SAID]
    assert talk.text == SAID
    assert server.asked[1].body["messages"][-1]["content"] == "3"


async def test_a_test_double_is_heard_too() -> None:
    double = RemoteModel(Model("fast", "test:test", instance=TestModel(custom_output_text=SAID)))
    heard: list[str] = []
    reply = await double.streamed(Request("ask", "model:fast", "When?", str), heard.append)
    assert "".join(heard) == msgspec.json.decode(reply.answer) == SAID
