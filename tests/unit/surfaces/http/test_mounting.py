"""What is reached by HTTP can be part of another program, which listens itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

from extrovert import Http, asgi
from tests.hosts import until
from tests.unit.surfaces.http.wire import app, ask, code

TOKEN = "a-token-that-is-long-enough"


@asynccontextmanager
async def program(data: Path, http: Http | None = None) -> AsyncGenerator[Http]:
    """A program with a page of its own, run by uvicorn; what is given says where."""

    @asynccontextmanager
    async def lifespan(api: Starlette) -> AsyncGenerator[None]:
        async with app.serving(data) as engine, asgi(engine, http) as extrovert:
            api.mount("/extrovert", extrovert)
            yield

    async def home(request: Request) -> Response:
        return PlainTextResponse("home")

    with socket.create_server(("127.0.0.1", 0)) as here:
        server = Server(Config(Starlette(routes=[Route("/", home)], lifespan=lifespan), log_config=None))
        serving = asyncio.create_task(server.serve([here]))
        await until(lambda: server.started)
        try:
            yield Http(url=f"http://127.0.0.1:{here.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving


async def test_it_answers_below_its_path_and_the_program_beside_it(tmp_path: Path) -> None:
    async with program(tmp_path) as there:
        assert (await ask(there, "/")).body == b"home"
        assert (await ask(there, "/extrovert/health")).json == {"status": "alive"}
        assert (await ask(there, "/extrovert/ready")).json["app"] == "airport"
        assert code(await ask(there, "/extrovert/nowhere")) == (404, "not_found")


async def test_it_is_guarded_as_if_it_listened_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with program(tmp_path) as there:
        assert code(await ask(there, "/extrovert/health", host="evil.example")) == (421, "other_host")
        assert code(await ask(there, "/extrovert/health", origin="https://evil.example")) == (403, "other_site")
    monkeypatch.setenv("EXTROVERT_TOKEN", TOKEN)
    async with program(tmp_path) as there:
        assert code(await ask(there, "/extrovert/ready")) == (401, "not_authenticated")
        assert (await ask(there, "/extrovert/ready", authorization=f"Bearer {TOKEN}")).status == 200
        assert (await ask(there, "/extrovert/health")).status == 200


async def test_the_program_may_say_who_asks(tmp_path: Path) -> None:
    def who(headers: Mapping[str, str]) -> str | None:
        return headers.get("x-badge")

    async with program(tmp_path, Http(who=who)) as there:
        assert code(await ask(there, "/extrovert/ready")) == (401, "not_authenticated")
        assert (await ask(there, "/extrovert/ready", x_badge="ann")).status == 200
