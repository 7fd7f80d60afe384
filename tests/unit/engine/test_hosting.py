"""Hosting: one engine per data directory, stopped cleanly."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from extrovert import AlreadyRunning, App, DeclarationError, Record
from extrovert.engine.declared import Declared
from extrovert.engine.hosting import LOG, Beside, hosted, locked, opened
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore
from tests.hosts import until


class Row(Record):
    key: str


def app(name: str = "app") -> App:
    made = App(name)
    made.table("rows", Row, key=Row.key)
    return made


def test_a_directory_is_made_and_owned_for_a_block(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "state"
    with locked(data):
        assert (data / "lock").read_text() == str(os.getpid())
        with (
            pytest.raises(AlreadyRunning, match=rf"Another engine \(process {os.getpid()}\) has .*--data"),
            locked(data),
        ):
            pass
    with locked(data):
        pass


def test_an_engine_is_open_but_not_running(tmp_path: Path) -> None:
    with opened(app().declared(), tmp_path, durability="os") as engine:
        engine.intake.lines("rows", b'{"key":"a"}')
        engine.writing.flush()
    with opened(app().declared(), tmp_path) as engine:
        assert engine.shard.fold.context.tables["rows"].rows == {"a": Row("a")}


def test_the_directory_belongs_to_one_app(tmp_path: Path) -> None:
    with opened(app().declared(), tmp_path):
        pass
    with (
        pytest.raises(DeclarationError, match="holds the state of app `app`"),
        opened(app("other").declared(), tmp_path),
    ):
        pass


async def test_an_engine_runs_beside_the_block_and_keeps_a_snapshot_when_it_stops(tmp_path: Path) -> None:
    async with hosted(app().declared(), tmp_path) as engine:
        engine.intake.lines("rows", b'{"key":"a"}')
        engine.nudge()
        await until(lambda: not engine.writing.behind)
    store = SqliteStore(tmp_path / LOG)
    found = store.load_snapshot()
    store.close()
    assert found is not None
    assert found[0] == 2


async def test_what_is_beside_an_engine_is_left_before_that_stops(tmp_path: Path) -> None:
    seen: list[str] = []

    def beside(name: str) -> Beside:
        @asynccontextmanager
        async def block(declared: Declared, engine: Engine) -> AsyncGenerator[None]:
            seen.append(f"{name} enters {declared.name}")
            yield
            report = await engine.send(declared.tables[0], [Row(name)])  # the engine still takes it in
            seen.append(f"{name} leaves, {report.accepted} durable")

        return block

    async with hosted(app().declared(), tmp_path, beside=[beside("one"), beside("two")]):
        seen.append("block")
    assert seen == ["one enters app", "two enters app", "block", "two leaves, 1 durable", "one leaves, 1 durable"]


async def test_what_makes_it_fail_is_raised_at_the_end_of_the_block(tmp_path: Path) -> None:
    failed: list[str] = []

    def fail() -> None:
        failed.append("once")
        raise ZeroDivisionError("a bug")

    async def block() -> None:
        async with hosted(app().declared(), tmp_path) as engine:
            engine.at_instant = fail
            engine.nudge()
            await until(lambda: failed)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await block()
