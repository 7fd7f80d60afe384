"""The host listens beside an engine, leaves signals to the program, and stops within a bound."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from extrovert import DeclarationError, ExtrovertError, Http
from extrovert.engine.hosting import opened
from extrovert.surfaces.http.health import DURABLE_S
from extrovert.surfaces.http.host import listening
from extrovert.surfaces.http.site import Site, durably
from tests.hosts import until
from tests.unit.surfaces.http.wire import Gate, airport, app, ask, code, connected, gates, head, rest

SOON = timedelta(milliseconds=100)


class Slow:
    """A part with a route whose answer waits until it is `let` go on, and a stream that has no end."""

    def __init__(self, *, polite: bool = False) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.left = asyncio.Event()
        self.polite = polite

    async def __call__(self, site: Site) -> Sequence[BaseRoute]:
        async def answer(request: Request) -> Response:
            self.asked.set()
            await self.let.wait()
            return await durably(site.engine, len(site.engine.shard.fold.context.tables["gates"].rows))

        async def ticks() -> AsyncGenerator[bytes]:
            try:
                while not (self.polite and site.stopping.is_set()):
                    yield b"tick "
                    self.asked.set()
                    await asyncio.sleep(0.001)
                yield b"goodbye"
            finally:
                self.left.set()

        async def stream(request: Request) -> Response:
            return StreamingResponse(ticks())

        async def deaf(request: Request) -> Response:
            self.asked.set()
            while not self.let.is_set():
                try:
                    await self.let.wait()
                except asyncio.CancelledError:
                    continue  # as one should not
            return Response("late")

        return [Route("/answer", answer), Route("/stream", stream), Route("/deaf", deaf)]


async def ending(data: Path, http: Http, part: Slow, path: str) -> tuple[bytes, float]:
    """All that a request gets that is under way when the host stops, and how long the stop took."""
    async with asyncio.timeout(20):
        async with airport(data, http, part):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(http.url.rpartition(":")[2]))
            writer.write(head("GET", path))
            answer = asyncio.create_task(reader.read())
            await part.asked.wait()
            began = time.monotonic()
        took = time.monotonic() - began
        part.let.set()
        try:
            return await answer, took
        finally:
            writer.close()


async def test_it_tells_where_it_listens_and_a_port_is_free_again_afterwards(tmp_path: Path) -> None:
    async with airport(tmp_path / "1", first := Http(port=0)):
        port = int(first.url.removeprefix("http://127.0.0.1:"))
        assert port > 0
    async with airport(tmp_path / "2", second := Http(port=port)):
        assert second.url == first.url
        assert (await ask(second, "/ready")).status == 200


async def test_it_listens_by_name_and_by_other_addresses_of_this_machine(tmp_path: Path) -> None:
    for host in ("localhost", "::1"):
        async with airport(tmp_path, http := Http(host=host, port=0)):
            assert (await ask(http, "/health")).status == 200


async def test_a_port_that_is_in_use_is_told(tmp_path: Path) -> None:
    async with airport(tmp_path / "1", first := Http(port=0)):
        taken = int(first.url.rpartition(":")[2])
        with pytest.raises(ExtrovertError, match=f"Port {taken} of 127.0.0.1 is in use, perhaps by another engine"):
            async with airport(tmp_path / "2", Http(port=taken)):
                pass
        assert (await ask(first, "/ready")).status == 200


@pytest.mark.parametrize(
    ("http", "wrong"),
    [
        (Http(host="no-such-host.invalid"), "the host 'no-such-host.invalid' is not known"),
        (Http(host="127.0.0.1", port=0, token_env="NO_SUCH_TOKEN"), "NO_SUCH_TOKEN holds no token"),
    ],
)
async def test_where_it_cannot_listen_is_told(http: Http, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=wrong):
        async with airport(tmp_path, http):
            pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65_536),
        ("per_minute", 0),
        ("max_body", 0),
        ("connections", 0),
        ("stop_within", timedelta(0)),
    ],
)
def test_a_setting_that_makes_no_sense_is_told(name: str, value: object) -> None:
    with pytest.raises(DeclarationError, match=f"Http: {name}= must be"):
        Http(**{name: value})  # pyright: ignore[reportArgumentType]


async def test_signals_are_left_to_the_program(tmp_path: Path) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    async with airport(tmp_path, http := Http(port=0)):
        await ask(http, "/health")
        assert {one: signal.getsignal(one) for one in before} == before


async def test_it_runs_beside_an_engine_inside_another_program(tmp_path: Path) -> None:
    http = Http(port=0)
    async with app.serving(tmp_path, beside=[http]) as engine:
        await engine.send(gates, [Gate(1)])
        assert (await ask(http, "/ready")).json["offset"] == engine.shard.fold.end - 1
    with pytest.raises(ConnectionError):
        await ask(http, "/health")


# ---- stopping


async def test_a_request_under_way_is_answered_before_the_engine_stops(tmp_path: Path) -> None:
    part, http = Slow(), Http(port=0)
    stopped = asyncio.Event()

    async def serve() -> None:
        async with airport(tmp_path, http, part) as engine:
            await engine.send(gates, [Gate(1), Gate(2)])
            await part.asked.wait()
        stopped.set()

    async with asyncio.timeout(20):
        serving = asyncio.create_task(serve())
        await until(lambda: http.url)
        async with connected(http) as (kept_reader, kept), connected(http) as (reader, writer):
            kept.write(head("GET", "/health"))
            await kept_reader.readuntil(b'"alive"}')
            writer.write(head("GET", "/answer"))
            await part.asked.wait()
            while True:  # nobody new is let in
                try:
                    await ask(http, "/health")
                except (ConnectionError, IndexError):
                    break
            kept.write(head("GET", "/health"))
            assert code(await rest(kept_reader)) == (503, "stopping")
            assert not stopped.is_set()
            part.let.set()
            assert (await rest(reader)).json == 2
        await serving


async def test_a_stream_that_hears_of_the_stop_says_goodbye(tmp_path: Path) -> None:
    got, took = await ending(tmp_path, Http(port=0), Slow(polite=True), "/stream")
    assert b"goodbye\r\n0\r\n\r\n" in got
    assert took < 5


async def test_a_stream_that_goes_on_is_cut_off(tmp_path: Path) -> None:
    part = Slow()
    got, took = await ending(tmp_path, Http(port=0, stop_within=SOON), part, "/stream")
    assert part.left.is_set()
    assert b"tick" in got
    assert not got.endswith(b"0\r\n\r\n")
    assert took < 5


@pytest.mark.parametrize("path", ["/answer", "/deaf"])
async def test_what_does_not_end_is_left_behind(path: str, tmp_path: Path) -> None:
    got, took = await ending(tmp_path, Http(port=0, stop_within=SOON), Slow(), path)
    assert b"200 OK" not in got
    assert took < 5


# ---- readiness


async def test_an_engine_that_has_failed_is_not_ready_and_says_why(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    async def block() -> None:
        async with airport(tmp_path, http := Http(port=0)) as engine:
            engine.at_instant = fail
            engine.nudge()
            await until(lambda: engine.failure)
            answer = await ask(http, "/ready")
            assert code(answer) == (503, "not_ready")
            assert "The engine has failed: ZeroDivisionError: a bug." in answer.json["error"]["message"]
            assert (await ask(http, "/health")).status == 200

    with pytest.raises(ZeroDivisionError):
        await block()


async def test_an_engine_whose_log_is_not_written_is_not_ready(tmp_path: Path) -> None:
    http = Http(port=0)
    with opened(app.declared(), tmp_path) as engine:  # it does not run, so nothing is written
        async with listening(http, engine.declared, engine):
            assert (await ask(http, "/ready")).status == 200
            engine.intake.lines("gates", b'{"number":1}')
            answer = await ask(http, "/ready")
            assert code(answer) == (503, "not_ready")
            assert f"has not come to the disk for {DURABLE_S:g} s" in answer.json["error"]["message"]
            engine.writing.flush()
            assert (await ask(http, "/ready")).json["offset"] == engine.shard.fold.end - 1
        await engine.close()
