"""The site: all that is reached by HTTP, behind one guard. Each part brings its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from extrovert.core.errors import DeclarationError, InputError
from extrovert.engine.declared import Declared
from extrovert.engine.loop import Engine
from extrovert.surfaces.http.guarding import Guard, failed
from extrovert.surfaces.http.keys import Keys
from extrovert.surfaces.http.refusing import Refusal, refused
from extrovert.surfaces.http.settings import Http

__all__ = ["Part", "Site", "durably", "opened"]

ASKED_BY = (
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "mcp-protocol-version",
    "x-conversation-id",
    "mcp-session-id",
)
"""The headers that pages of other sites may send, beside those that any may; they may read the last two."""


class Site:
    """What the routes of a part answer from, for as long as the site is open.

    `stopping` is set when it is about to close: streams then say goodbye and end. What a part runs beside its routes it
    enters into `lives`.
    """

    def __init__(self, declared: Declared, engine: Engine, lives: AsyncExitStack) -> None:
        self.declared = declared
        self.engine = engine
        self.lives = lives
        self.stopping = asyncio.Event()


Part = Callable[[Site], Awaitable[Sequence[BaseRoute]]]


@asynccontextmanager
async def opened(
    http: Http, declared: Declared, engine: Engine, parts: Sequence[Part]
) -> AsyncGenerator[tuple[ASGIApp, Site]]:
    """The site, guarded as the settings say, during the block. Raises `DeclarationError` for tokens that are none."""
    keys = Keys(http)
    async with AsyncExitStack() as lives:
        site = Site(declared, engine, lives)
        routes = [route for part in parts for route in await part(site)]
        errors: dict[Any, Any] = {
            Refusal: _refused,
            HTTPException: _not_found,
            DeclarationError: _wrong,
            InputError: _wrong,
            Exception: _failed,
        }
        guard: ASGIApp = Guard(Starlette(routes=routes, exception_handlers=errors), http, keys, site.stopping)
        if http.origins:
            guard = CORSMiddleware(
                guard,
                allow_origins=http.origins,
                allow_methods=("GET", "POST", "DELETE"),
                allow_headers=ASKED_BY,
                expose_headers=(*ASKED_BY[-2:], "retry-after"),
            )
        try:
            yield guard, site
        finally:
            site.stopping.set()


async def durably(engine: Engine, value: Any, status: int = 200) -> Response:
    """The answer that tells, as JSON, what was read of the engine, once that is durable.

    It is to be called in the step that has read it: what is applied later may not be what was read.
    """
    body = msgspec.json.encode(value, enc_hook=str)
    await engine.durable()
    return Response(body, status, media_type="application/json")


# ---- what goes wrong, in one shape


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _not_found(request: Request, error: Exception) -> Response:
    """What Starlette says of itself: no such route, or not with this method."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "not_with_this_method"}.get(error.status_code, "refused")
    message = f"{request.method} {request.url.path}: {error.detail}. See docs/http.md for what there is."
    return refused(Refusal(error.status_code, code, message, error.headers))


async def _wrong(_: Request, error: Exception) -> Response:
    return refused(Refusal(400, "wrong", str(error)))


async def _failed(_: Request, error: Exception) -> Response:
    return refused(failed())
