"""The settings of the HTTP host, as a user writes them. Nothing heavy is imported until it listens."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from extrovert.core.errors import DeclarationError, MissingExtra

if TYPE_CHECKING:
    from extrovert.engine.declared import Declared
    from extrovert.engine.loop import Engine

__all__ = ["Http", "Who", "needed"]

Who = Callable[[Mapping[str, str]], "str | Awaitable[str | None] | None"]
"""Given the headers of a request, says which user sends it; None lets nobody in."""

ORIGIN = re.compile(r"https?://[^/\s*]+")


class Http(msgspec.Struct, kw_only=True):
    """An HTTP host beside an engine: `app.serving(data, beside=[Http(port=8000)])`. `url` is where it listens then.

    Port 0 takes one that is free. Without a token it listens on this machine alone. The token is in the environment
    variable `token_env`, and every request brings it, as `Authorization: Bearer …`. `tokens` names further variables,
    each with the user whose token it holds; `who` is the program's own check, asked where no token fits.

    `origins` are other sites ("https://desk.example") whose pages may ask. A client may send `per_minute` requests, at
    once or evenly. A body has at most `max_body` bytes and comes within `body_within`, the head of a request within
    `head_within`, and a client that does not read for `reads_within` is left. There are at most `connections` at a
    time. When it stops, requests and streams have `stop_within` to come to their end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_env: str | None = None
    tokens: Mapping[str, str] = {}
    who: Who | None = None
    origins: Sequence[str] = ()
    per_minute: int = 600
    max_body: int = 1 << 20
    body_within: timedelta = timedelta(seconds=30)
    head_within: timedelta = timedelta(seconds=10)
    reads_within: timedelta = timedelta(seconds=30)
    connections: int = 500
    stop_within: timedelta = timedelta(seconds=5)
    url: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise DeclarationError(f"Http: port= must be from 0 (any that is free) to 65535, not {self.port}.")
        for name in ("per_minute", "max_body", "connections"):
            if getattr(self, name) < 1:
                raise DeclarationError(f"Http: {name}= must be 1 or more, not {getattr(self, name)}.")
        for name in ("body_within", "head_within", "reads_within", "stop_within"):
            if getattr(self, name) <= timedelta(0):
                raise DeclarationError(f"Http: {name}= must be longer than nothing, not {getattr(self, name)}.")
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                raise DeclarationError(
                    f'Http: origins= has {origin!r}, which names no site. Write each as "https://desk.example".'
                )

    def __call__(self, declared: Declared, engine: Engine) -> AbstractAsyncContextManager[None]:
        """Listens, and answers from this engine, during the block. Raises `DeclarationError` where it may not."""
        needed()
        from extrovert.surfaces.http.host import listening, place

        place(self)
        return listening(self, declared, engine)


def needed() -> None:
    """Raises `MissingExtra` where the packages of the extra `http` are not installed."""
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise MissingExtra(f"The package `{package}`, for HTTP,", "http")
