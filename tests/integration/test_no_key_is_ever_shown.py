"""Keys as canaries: whatever a provider echoes, and however it is asked, none is in logs, ledger, errors or answers of
the command line."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent as Helper

from extrovert import App, Calls, PermanentError, Record, Recorded, Turn
from extrovert.core.log import Dead, Decided
from extrovert.surfaces.cli import main
from extrovert.testing import ModelServer
from tests.hosts import body, until

CANARY = "sk-canary-5f1e0b"
ECHO = f"we know your key {CANARY}, and that it is {CANARY}"
WAYS = ("ask", "words", "tools", "run", "recorded")


class Row(Record):
    key: str


def desk(server: ModelServer, way: str, data: Path) -> tuple[App, Any]:
    """An app that asks in this way."""
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    of: Any = Recorded(str(data / "answers.jsonl"), "openai:gpt-5-mini", "ask") if way == "recorded" else None
    fast = app.model(
        "fast",
        of or "openai:gpt-5-mini",
        base_url=server.url,
        api_key_env="CANARY_KEY",
        settings={"extra_headers": {"x-api-key": CANARY}},
    )
    helper = Helper(output_type=str, name="helper")

    def look(key: str) -> str:
        """Looks something up."""
        raise PermanentError(f"no {key}")

    @app.agent(wakes_on=rows, model=fast, retry_after=timedelta(0), max_tries=2)
    async def think(turn: Turn, row: Row) -> None:
        """You think."""
        if way == "run":
            await turn.run(helper, row.key, output=str)
        else:
            await turn.ask(row.key, output=str, tools=[look] if way == "tools" else [])

    return app, rows


def told(server: ModelServer, acts: str) -> None:
    match acts:
        case "refuses":
            server.fails(401, ECHO)
        case "breaks":
            server.fails(500, ECHO, retry_after="0")
        case "cuts":
            server.cuts()
        case "calls":
            server.answers(Calls.of("look", {"key": "x"}))
        case _:
            server.answers("a quiet answer")


async def test_settings_of_an_agent_that_may_hold_a_key_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", "sk-another-one")
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    fast = app.model("fast", "openai:gpt-5-mini", base_url="http://127.0.0.1:9/v1", api_key_env="CANARY_KEY")
    helper = Helper(output_type=str, name="helper", model_settings={"extra_headers": {"x-other": CANARY}})

    @app.agent(wakes_on=rows, model=fast, max_tries=1)
    async def think(turn: Turn, row: Row) -> None:
        await turn.run(helper, row.key, output=str)

    async with app.serving(tmp_path) as engine:
        await engine.send(rows, [Row("a")])
        await until(lambda: [e for e in engine.store.entries() if isinstance(body(e), Dead)])
        (letter,) = [one for e in engine.store.entries() if isinstance(one := body(e), Dead)]
    assert "model_settings (extra_headers) may hold a key" in letter.cause
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("acts", ["refuses", "breaks", "cuts", "calls", "answers"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_canary_is_shown(
    way: str, acts: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    data = tmp_path / "data"
    heard: list[Any] = []
    with caplog.at_level(logging.DEBUG):
        async with ModelServer() as server:
            told(server, acts)
            app, rows = desk(server, way, tmp_path)
            async with app.serving(data) as engine:
                if way == "words":
                    engine.words.listen("think", "a", heard.append)
                await engine.send(rows, [Row("a")])
                await until(lambda: [e for e in engine.store.entries() if isinstance(body(e), Dead | Decided)])
                await engine.durable()
                ledger = await app.sql(engine, "select * from ledger_asks, ledger_told")
            assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    shown = f"{heard} {ledger.dicts()} {caplog.text}"
    for command in ("dead-letters", "explain"):
        said = await asyncio.to_thread(says, command, data, monkeypatch)
        assert said.strip()
        assert not said.startswith("Error"), said
        shown += said
    assert CANARY not in shown
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def says(command: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command of the command line says of the log."""
    given = ["think:a"] if command == "explain" else []
    monkeypatch.setattr(sys, "argv", ["extrovert", command, *given, "--data", str(data)])
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out), suppress(SystemExit):
        main()
    return out.getvalue()
