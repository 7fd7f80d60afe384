"""HTTP as it is on the wire, so that a test can also say what no client would; and an engine that is asked so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from extrovert import App, Http, Record
from extrovert.engine.loop import Engine
from extrovert.surfaces.http.host import PARTS, listening
from extrovert.surfaces.http.site import Part

__all__ = ["Answer", "Gate", "airport", "app", "ask", "code", "connected", "gates", "head", "rest", "said"]


class Gate(Record):
    number: int
    open: bool = False


app = App("airport")
gates = app.table("gates", Gate, key=Gate.number)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def code(answer: Answer) -> tuple[int, str]:
    """The status, and what an error calls itself."""
    return answer.status, answer.json["error"]["code"]


@asynccontextmanager
async def airport(data: Path, http: Http, *parts: Part) -> AsyncGenerator[Engine]:
    """An airport's engine that is reached by HTTP, with routes of these parts too."""
    async with app.serving(data, durability="os") as engine, listening(http, engine.declared, engine, [*PARTS, *parts]):
        yield engine


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request; `content_length="3"` is the header Content-Length."""
    headers = {"host": "localhost", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def ask(http: Http, path: str, body: bytes = b"", /, *, method: str = "", **headers: str) -> Answer:
    """The answer to one whole request."""
    sized = {"content-length": str(len(body))} if body else {}
    return await said(
        http, head(method or ("POST" if body else "GET"), path, connection="close", **sized, **headers) + body
    )


async def said(http: Http, raw: bytes) -> Answer:
    """The answer to these bytes."""
    async with connected(http) as (reader, writer):
        writer.write(raw)
        return await rest(reader)


@asynccontextmanager
async def connected(http: Http) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(http.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> Answer:
    """All that comes until the server hangs up, as an answer."""
    async with asyncio.timeout(10):
        raw = await reader.read()
    top, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    return Answer(int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body)
