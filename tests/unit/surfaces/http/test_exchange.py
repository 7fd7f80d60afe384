"""A request's body is bounded in size and in time, whatever the route does that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from extrovert import Http
from extrovert.surfaces.http.site import Site
from tests.unit.surfaces.http.wire import airport, ask, code, connected, head, said

SMALL = Http(port=0, max_body=10, body_within=timedelta(milliseconds=100))
CHUNKED = {"transfer_encoding": "chunked", "connection": "close"}


async def routes(site: Site) -> Sequence[BaseRoute]:
    """Routes that read a body, as one should and as one should not."""

    async def size(request: Request) -> Response:
        return JSONResponse(len(await request.body()))

    async def careless(request: Request) -> Response:
        try:
            return JSONResponse(len(await request.body()))
        except Exception:
            return PlainTextResponse("never mind")

    async def unread(request: Request) -> Response:
        return PlainTextResponse("not read")

    return [Route(f"/{one.__name__}", one, methods=["POST"]) for one in (size, careless, unread)]


async def slowly(*parts: bytes) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


async def test_a_body_within_the_limit_is_read(tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        assert (await ask(SMALL, "/size", b"0123456789")).json == 10
        assert (await said(SMALL, head("POST", "/size", **CHUNKED) + chunks(b"01234", b"56789", b""))).json == 10


async def test_a_length_above_the_limit_is_refused_before_the_body_comes(tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        for length in ("11", str(10**12), "9" * 4_000):
            assert code(await said(SMALL, head("POST", "/size", content_length=length))) in (
                (413, "too_large"),
                (400, "not_http"),
            )


@pytest.mark.parametrize("path", ["/size", "/careless"])
async def test_a_body_that_does_not_say_its_length_is_cut_at_the_limit(path: str, tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        assert code(await said(SMALL, head("POST", path, **CHUNKED) + chunks(b"0123456789", b"0"))) == (
            413,
            "too_large",
        )


async def test_a_body_without_end_is_not_kept(tmp_path: Path) -> None:
    async def endless() -> None:
        async with connected(SMALL) as (_, writer):
            writer.write(head("POST", "/size", transfer_encoding="chunked"))
            while True:
                writer.write(chunks(b"0" * 100_000))
                await writer.drain()
                await asyncio.sleep(0)

    async with airport(tmp_path, SMALL, routes), asyncio.timeout(10):
        with pytest.raises(ConnectionError):  # it hangs up
            await endless()
        assert (await ask(SMALL, "/size", b"01234")).json == 5


async def test_a_client_that_listens_when_it_has_sent_all_hears_what_is_wrong(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0), routes), AsyncClient() as client:
        for body in (b"0" * 3_000_000, slowly(b"0" * 1_000_000, b"0" * 1_000_000, b"0" * 1_000_000)):
            answer = await client.post(f"{http.url}/size", content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert (await client.post(f"{http.url}/size", content=b"0" * 1_000_000)).json() == 1_000_000


async def test_a_client_that_asks_whether_to_send_the_body_need_not(tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        answer = await said(SMALL, head("POST", "/size", content_length="11", expect="100-continue"))
        assert code(answer) == (413, "too_large")


@pytest.mark.parametrize("path", ["/size", "/careless"])
async def test_a_body_that_does_not_come_is_not_waited_for(path: str, tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        assert code(await said(SMALL, head("POST", path, content_length="5") + b"01")) == (408, "too_slow")


async def test_a_body_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    async with airport(tmp_path, SMALL, routes):
        answer = await said(SMALL, head("POST", "/unread", content_length="5", connection="close") + b"01")
        assert (answer.status, answer.body) == (200, b"not read")


async def test_a_client_that_leaves_amid_its_body_is_no_error_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with airport(tmp_path, SMALL, routes):
        async with connected(SMALL) as (_, writer):
            writer.write(head("POST", "/size", content_length="5") + b"01")
            await writer.drain()
        assert (await ask(SMALL, "/size", b"01234")).json == 5
    assert caplog.text == ""
