"""The host: a server in the engine's loop. It leaves signals to the program, and stops within a bound."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config, Server

from extrovert.core.errors import DeclarationError, ExtrovertError
from extrovert.engine.declared import Declared
from extrovert.engine.loop import Engine
from extrovert.surfaces.http.agui import agui
from extrovert.surfaces.http.chat import chats
from extrovert.surfaces.http.connections import Connection
from extrovert.surfaces.http.guarding import is_here
from extrovert.surfaces.http.health import health
from extrovert.surfaces.http.keys import HOW, TOKEN, Keys
from extrovert.surfaces.http.openai import openai
from extrovert.surfaces.http.settings import Http
from extrovert.surfaces.http.site import Part, Site, opened
from extrovert.surfaces.mcp.http import mcp

__all__ = ["PARTS", "listening", "mounted", "place"]

PARTS: Sequence[Part] = (health, chats, openai, agui, mcp)
"""All that is there to be reached: each gives its routes."""

CUT_S = 1.0
"""How long what is cut off has to end."""


@asynccontextmanager
async def listening(
    http: Http, declared: Declared, engine: Engine, parts: Sequence[Part] = PARTS
) -> AsyncGenerator[None]:
    """Answers at `http.url` during the block; then requests and streams under way come to their end, or are cut off.

    Raises `DeclarationError` where it may not listen there, `ExtrovertError` where it cannot.
    """
    async with opened(http, declared, engine, parts) as (app, site):
        with _bound(http) as here:
            server = await _begin(app, here, http)
            ticking = asyncio.create_task(server.main_loop(), name="http")
            http.url = _url(here)
            try:
                yield
            finally:
                await _end(server, here, ticking, site, http.stop_within.total_seconds())


@asynccontextmanager
async def mounted(engine: Engine, http: Http | None = None) -> AsyncGenerator[ASGIApp]:
    """The same as an ASGI app, for a program that listens itself: what `http` says of addresses is not used."""
    async with opened(http or Http(), engine.declared, engine, PARTS) as (app, _):
        yield app


async def _begin(app: ASGIApp, here: socket.socket, http: Http) -> Server:
    config = Config(
        cast("Any", app),
        http=cast("Any", partial(Connection, http)),
        ws="none",
        lifespan="off",
        log_config=None,
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[here])
    return server


async def _end(server: Server, here: socket.socket, ticking: asyncio.Task[None], site: Site, within_s: float) -> None:
    """Takes in nothing more; lets what is under way end; cuts off what does not."""
    site.stopping.set()
    for one in server.servers:
        one.close()
    tasks = server.server_state.tasks
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
    for task in (cut := list(tasks)):
        task.cancel()
    if cut:
        await asyncio.wait(cut, timeout=CUT_S)
    server.should_exit = True
    await ticking
    server.force_exit = bool(tasks)  # what does not even end when it is cut off is left behind
    closing = asyncio.create_task(server.shutdown(sockets=[here]))
    await asyncio.wait({closing}, timeout=CUT_S)
    for connection in list(server.server_state.connections):
        connection.transport.abort()  # what its client does not read
    await closing


# ---- where


def place(http: Http) -> tuple[socket.AddressFamily, Any]:
    """The address where it is to listen. Raises `DeclarationError` where it may not."""
    try:
        family, _, _, _, address = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise DeclarationError(
            f"Http: the host {http.host!r} is not known: {error.strerror}. Give an address."
        ) from error
    if not (Keys(http).needed or is_here(str(address[0]))):
        raise DeclarationError(
            f"Http: beyond this machine, at {http.host}, a token is needed. {HOW.format(TOKEN)}, or listen at "
            f"127.0.0.1."
        )
    return family, address


def _bound(http: Http) -> socket.socket:
    """A socket at the address, which listens soon."""
    family, address = place(http)
    here = socket.socket(family, socket.SOCK_STREAM)
    try:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        here.bind(address)
        here.listen(0)  # so that a port that another one has is found now
    except OSError as error:
        here.close()
        raise _not_bound(http, error) from error
    here.setblocking(False)
    return here


def _not_bound(http: Http, error: OSError) -> ExtrovertError:
    if error.errno == errno.EADDRINUSE:
        return ExtrovertError(
            f"Port {http.port} of {http.host} is in use, perhaps by another engine. Stop that, or take another port; 0 "
            f"takes one that is free."
        )
    return ExtrovertError(
        f"It cannot listen at {http.host} port {http.port}: {error.strerror}. Give an address of this machine, and a "
        f"port from 1024 on."
    )


def _url(here: socket.socket) -> str:
    host, port = here.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
