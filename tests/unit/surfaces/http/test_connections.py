"""A connection is not kept for those who keep it waiting, nor more of them than are wanted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from extrovert import Http
from extrovert.surfaces.http.site import Site
from tests.unit.surfaces.http.wire import airport, ask, code, connected, head, rest, said

SOON = timedelta(milliseconds=100)


async def test_a_client_that_says_nothing_is_left(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, head_within=SOON)), connected(http) as (reader, _):
        assert code(await rest(reader)) == (408, "too_slow")


async def test_a_request_that_comes_letter_by_letter_is_left(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, head_within=SOON)), connected(http) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        writer.write(b"GET /health HTTP/1.1\r\nx: ")
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.01)  # as slow as such clients are
        assert code(await answer) == (408, "too_slow")


async def test_the_second_request_of_a_connection_is_not_waited_for_either(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, head_within=SOON)), connected(http) as (reader, writer):
        writer.write(head("GET", "/health"))
        assert (await reader.readuntil(b'"alive"}')).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /hea")
        assert code(await rest(reader)) == (408, "too_slow")


async def test_an_answer_may_take_longer_than_the_head_of_a_request(tmp_path: Path) -> None:
    async def routes(site: Site) -> Sequence[BaseRoute]:
        async def slow(request: Request) -> Response:
            await asyncio.sleep(3 * SOON.total_seconds())  # as long as a model thinks
            return Response("done")

        return [Route("/slow", slow)]

    async with airport(tmp_path, http := Http(port=0, head_within=SOON), routes):
        assert (await ask(http, "/slow")).body == b"done"


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\x01", b"HELO there\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"])
async def test_what_is_no_http_is_told_so(raw: bytes, tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, head_within=SOON)):
        assert code(await said(http, raw)) in ((400, "not_http"), (408, "too_slow"))
        assert (await ask(http, "/health")).status == 200


async def test_a_head_without_end_is_not_kept(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        with suppress(ConnectionError):  # it may have hung up on what was still sent
            assert code(await said(http, b"GET /" + b"x" * 200_000)) == (400, "not_http")
        assert (await ask(http, "/health")).status == 200


async def test_two_lengths_are_none(tmp_path: Path) -> None:
    raw = (
        head("POST", "/health", content_length="3", transfer_encoding="chunked")
        + b"0\r\n\r\nGET /ready HTTP/1.1\r\n\r\n"
    )
    twice = head("POST", "/health", content_length="3").replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n") + b"abc"
    async with airport(tmp_path, http := Http(port=0, head_within=SOON)):
        for one in (raw, twice):
            async with connected(http) as (reader, writer):
                writer.write(one)
                assert b"200 OK" not in await reader.read()


async def test_above_so_many_connections_a_client_is_told_to_come_later(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, connections=3)):
        async with AsyncExitStack() as stack:
            for _ in range(3):
                _, writer = await stack.enter_async_context(connected(http))
                writer.write(b"GET")
            async with connected(http) as (reader, _):
                assert code(await rest(reader)) == (503, "too_many_connections")
        async with asyncio.timeout(10):
            while (await ask(http, "/health")).status != 200:
                pass


async def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def routes(site: Site) -> Sequence[BaseRoute]:
        async def endless() -> AsyncGenerator[bytes]:
            try:
                while True:
                    yield b"x" * 10_000
                    await asyncio.sleep(0)
            finally:
                ended.set()

        async def stream(request: Request) -> Response:
            return StreamingResponse(endless())

        return [Route("/stream", stream)]

    async with airport(tmp_path, http := Http(port=0, reads_within=SOON), routes):
        where = urlsplit(http.url)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, (where.hostname, where.port))
            await loop.sock_sendall(deaf, head("GET", "/stream"))
            async with asyncio.timeout(10):
                await ended.wait()
        assert (await ask(http, "/health")).status == 200


async def test_a_slow_reader_that_does_read_gets_all(tmp_path: Path) -> None:
    size = 20_000_000

    async def routes(site: Site) -> Sequence[BaseRoute]:
        async def large(request: Request) -> Response:
            return Response(b"x" * size)

        return [Route("/large", large)]

    async with airport(tmp_path, http := Http(port=0, reads_within=SOON), routes), connected(http) as (reader, writer):
        writer.write(head("GET", "/large", connection="close"))
        await reader.readuntil(b"\r\n\r\n")
        got = 0
        while part := await reader.read(1_000_000):
            got += len(part)
            await asyncio.sleep(0.01)  # as slow clients do
        assert got == size
