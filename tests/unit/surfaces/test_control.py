"""The control socket: what is told through it is durable, and nothing that comes through it harms the engine."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from extrovert import App, DeclarationError, ExtrovertError, Record
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import Place
from extrovert.surfaces.control import MAX_NAME, SOCKET, Control, controlled, short_name
from extrovert.surfaces.protocol import (
    VERSION,
    Done,
    GetRow,
    ListRows,
    ListTables,
    Refused,
    Retaken,
    Retry,
    Rows,
    Tables,
    Take,
    Taken,
    reply_of,
    request_of,
)
from extrovert.surfaces.reaching import EngineGone, Running, one, reached
from tests.hosts import serving

T = TypeVar("T")


class Gate(Record):
    number: int
    open: bool = False


app = App("airport")
gates = app.table("gates", Gate, key=Gate.number)


@asynccontextmanager
async def controlled_engine(data: Path) -> AsyncGenerator[tuple[Engine, Control]]:
    async with serving(app, data) as engine, controlled(engine, data, "airport.py:app") as control:
        yield engine, control


async def asking(data: Path, ask: Callable[[Running], T]) -> T:
    """What `ask` returns, as a command in another process would ask."""

    def talk() -> T:
        running = Running(data / SOCKET)
        try:
            return ask(running)
        finally:
            running.close()

    return await asyncio.to_thread(talk)


async def raw_talk(data: Path, *lines: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(data / SOCKET)
    found: list[Any] = []
    for line in lines:
        writer.write(line + b"\n")
        found.append(reply_of.decode(await reader.readline()))
    writer.close()
    return found


async def test_an_engine_says_who_it_is(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path):
        welcome = await asking(tmp_path, lambda running: running.welcome)
    assert (welcome.version, welcome.app, welcome.name, welcome.pid) == (
        VERSION,
        "airport.py:app",
        "airport",
        os.getpid(),
    )


async def test_what_is_acknowledged_is_in_the_log(tmp_path: Path) -> None:
    def take(running: Running) -> int:
        assert one(running.ask(Take("gates", b'{"number":1}\nbad\n{"number":2}', 1, "test")), Taken).accepted == 2
        store = SqliteStore(tmp_path / "log.sqlite", read_only=True)
        try:
            return store.end()
        finally:
            store.close()

    async with controlled_engine(tmp_path):
        assert await asking(tmp_path, take) == 4


async def test_rows_come_in_order_of_their_keys_in_pages(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path) as (engine, _):
        engine.intake.lines("gates", b"\n".join(b'{"number":%d}' % number for number in range(1200, 0, -1)))
        replies = await asking(tmp_path, lambda running: list(running.ask(ListRows("gates"))))
        assert [len(reply.rows) for reply in replies if isinstance(reply, Rows)] == [500, 500, 200]
        keys = [row.key for reply in replies if isinstance(reply, Rows) for row in reply.rows]
        assert keys == list(range(1, 1201))
        assert replies[-1] == Done(1200)
        some = await asking(tmp_path, lambda running: list(running.ask(ListRows("gates", 2))))
        assert isinstance(some[0], Rows)
        assert [(row.key, row.version, bytes(row.row)) for row in some[0].rows] == [
            (1, 1200, b'{"number":1,"open":false}'),
            (2, 1199, b'{"number":2,"open":false}'),
        ]
        (table,) = one(await asking(tmp_path, lambda running: list(running.ask(ListTables()))), Tables).tables
        assert (table.table, table.key, table.rows) == ("gates", "number", 1200)


async def test_what_is_not_there_is_refused_as_it_is_said_elsewhere(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path):
        for request in (ListRows("gate"), Take("gate", b"{}"), GetRow("gates", "x")):
            with pytest.raises(DeclarationError):
                await asking(tmp_path, lambda running, request=request: list(running.ask(request)))
        retaken = one(await asking(tmp_path, lambda running: list(running.ask(Retry([7])))), Retaken)
        assert retaken.letters == [(7, "there is no dead letter at this offset")]


async def test_a_line_that_is_no_request_does_no_harm(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path):
        found = await raw_talk(tmp_path, b"", b"what?", b'{"type":"dance"}', b"[" * 100_000, b'{"type":"tables"}')
        assert [type(reply) for reply in found] == [Refused, Refused, Refused, Refused, Tables]
        assert found[2].message.startswith("The engine does not understand this request: ")


async def test_a_command_of_another_version_is_told_so(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path) as (_, control):
        control._welcome = control._welcome.but(version=VERSION + 1)  # pyright: ignore

        def reach() -> None:
            with reached(Place(tmp_path)):
                pass

        with pytest.raises(ExtrovertError, match=rf"speaks version {VERSION + 1} of the control protocol"):
            await asyncio.to_thread(reach)


async def test_an_engine_that_stops_takes_nothing_more(tmp_path: Path) -> None:
    async with controlled_engine(tmp_path) as (engine, control):
        running = await asyncio.to_thread(Running, tmp_path / SOCKET)
        control.closing = True
        with pytest.raises(EngineGone, match="The engine is stopping"):
            await asyncio.to_thread(lambda: list(running.ask(Take("gates", b'{"number":1}'))))
        running.close()
        assert engine.shard.fold.end == 1


async def test_a_log_that_cannot_be_written_stops_the_engine(tmp_path: Path) -> None:
    async def served() -> None:
        async with serving(app, tmp_path) as engine, controlled(engine, tmp_path, "x") as control:
            engine.store.close()
            with pytest.raises(ExtrovertError, match="The engine failed: ProgrammingError"):
                await asking(tmp_path, lambda running: list(running.ask(Take("gates", b'{"number":1}'))))
            assert isinstance(control.failure, sqlite3.ProgrammingError)

    with pytest.raises(sqlite3.ProgrammingError):
        await served()


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    async with controlled_engine(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600
        await asking(tmp_path, lambda running: running.welcome)
    assert not (tmp_path / SOCKET).exists()


def test_a_long_name_is_shortened_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / "y"
    deep.mkdir(parents=True)
    with short_name(deep / SOCKET) as name:
        assert len(os.fsencode(name)) <= MAX_NAME
        Path(name).write_text("reached")
    assert (deep / SOCKET).read_text() == "reached"
    assert not os.path.lexists(os.path.dirname(name))


@pytest.mark.parametrize("text", [b'\x00\xff\n"', b"", "Zürich ☃".encode()])
def test_bytes_travel_unchanged(text: bytes) -> None:
    request = Take("gates", text, 7, "file")
    line = msgspec.json.encode(request)
    assert b"\n" not in line
    assert request_of.decode(line) == request
