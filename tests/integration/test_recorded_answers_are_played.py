"""Recorded answers: asked once of a real server, kept in a file, and played without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from extrovert import App, Calls, DeclarationError, Record, Recorded, Turn
from extrovert.core.ids import canonical
from extrovert.models.playing import RecordedModel, Recording
from extrovert.models.remote import RemoteModel
from extrovert.testing import ModelServer, World
from extrovert.turns.declare import Model
from extrovert.turns.request import Request

KEY = "sk-canary-81c2"


class Row(Record):
    key: str
    number: int = 0


class Twice(Record):
    number: int


class Desk:
    """An app whose model, at `url`, answers out of a file."""

    def __init__(self, url: str, path: Path, on_miss: Any, prompt: str = "Count.") -> None:
        self.app = App("app")
        self.rows = self.app.table("rows", Row, key=Row.key)
        self.answers = self.app.table("answers", Row, key=Row.key)
        of = Recorded(str(path), "openai:gpt-5-mini", on_miss)
        fast = self.app.model("fast", of, base_url=url, api_key_env="CANARY_KEY")

        def double(number: int) -> int:
            """Twice a number."""
            return 2 * number

        @self.app.agent(wakes_on=self.rows, model=fast, max_tries=1)
        async def count(turn: Turn, row: Row) -> None:
            answer = await turn.ask(f"{prompt} {row.number}", output=Twice, tools=[double])
            turn.put(self.answers, Row(row.key, answer.number))

    async def counted(self, *rows: Row) -> tuple[list[Row], list[str]]:
        """What was answered, and what failed, where these rows come."""
        async with World(self.app) as world:
            for row in rows:
                await world.send(self.rows, row)
            return list(self.answers.all()), [letter.cause for letter in world.dead_letters()]


def request() -> Request:
    return Request("ask", "model:fast", "Which flight?", str)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)


async def recorded(path: Path) -> str:
    """Has answers recorded in a file; the address at which the model was."""
    async with ModelServer() as server:
        server.answers(Calls.of("double", {"number": 7}), Twice(14))
        answers, failed = await Desk(server.url, path, "ask").counted(Row("a", 7), Row("b", 7))
        assert (answers, failed) == ([Row("a", 14), Row("b", 14)], [])
        assert len(server.asked) == 2  # the second row asks the same
        return server.url


async def test_what_was_asked_once_is_played_without_the_server(tmp_path: Path) -> None:
    url = await recorded(tmp_path / "tests" / "answers.jsonl")
    answers, failed = await Desk(url, tmp_path / "tests" / "answers.jsonl", "refuse").counted(Row("c", 7))
    assert (answers, failed) == ([Row("c", 14)], [])


async def test_the_file_has_a_line_for_each_question_and_no_key(tmp_path: Path) -> None:
    await recorded(tmp_path / "answers.jsonl")
    text = (tmp_path / "answers.jsonl").read_text()
    assert len(text.splitlines()) == 2
    assert '"Count. 7"' in text
    assert KEY not in text


async def test_another_question_is_refused_and_named(tmp_path: Path) -> None:
    url = await recorded(tmp_path / "answers.jsonl")
    answers, (cause,) = await Desk(url, tmp_path / "answers.jsonl", "refuse").counted(Row("a", 8))
    assert answers == []
    assert "Count. 8" in cause
    assert 'on_miss="ask"' in cause


async def test_what_an_answer_depends_on_makes_another_question(tmp_path: Path) -> None:
    url = await recorded(tmp_path / "answers.jsonl")
    _, (cause,) = await Desk(url, tmp_path / "answers.jsonl", "refuse", prompt="Count well.").counted(Row("a", 7))
    assert "no recorded answer" in cause


async def test_a_file_that_is_not_there_or_is_none_says_so_when_the_engine_starts(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="no file"):
        await Desk("http://127.0.0.1:9/v1", tmp_path / "answers.jsonl", "refuse").counted()
    (tmp_path / "answers.jsonl").write_text('{"hash":"a","asked":1,"answer":2}\n{"hash":\n')
    with pytest.raises(DeclarationError, match="line 2"):
        await Desk("http://127.0.0.1:9/v1", tmp_path / "answers.jsonl", "refuse").counted()


async def test_words_are_heard_as_they_come_and_played_at_once(tmp_path: Path) -> None:
    of = Recorded(str(tmp_path / "answers.jsonl"), "openai:gpt-5-mini", "ask")
    heard: list[str] = []
    async with ModelServer() as server:
        server.answers("Flight F2 leaves at noon.")
        declared = Model("fast", of.of, base_url=server.url, api_key_env="CANARY_KEY", recorded=of)
        asked = RecordedModel(declared, RemoteModel(declared))
        await asked.streamed(request(), heard.append)
        await asked.close()
    assert len(heard) == 5
    played = RecordedModel(declared)
    await played.streamed(request(), heard.append)
    assert heard[5:] == ["Flight F2 leaves at noon."]


async def test_calls_of_tools_are_played_though_somebody_listens(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(canonical(Recording(request().hash, Raw(b"1"), Raw(canonical(Calls.of("double", {}))))) + b"\n")
    played = RecordedModel(Model("fast", "openai:gpt-5-mini", recorded=Recorded(str(path), "openai:gpt-5-mini")))
    heard: list[str] = []
    reply = await played.streamed(request(), heard.append)
    assert (bytes(reply.answer), heard) == (canonical(Calls.of("double", {})), [""])


async def test_a_line_that_was_half_written_when_the_process_died_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    await recorded(path)
    first, second = path.read_bytes().splitlines(keepends=True)
    for left, kept in ((first + second[:-20], [first]), (first + second[:-1], [first, second])):
        path.write_bytes(left)
        async with ModelServer() as server:
            server.answers(Twice(14))
            answers, failed = await Desk(server.url, path, "ask").counted(Row("a", 7))
        assert (answers, failed) == ([Row("a", 14)], [])
        *before, added = path.read_bytes().splitlines(keepends=True)
        assert before == kept
        assert added.endswith(b"}\n")
