"""Mounting: what is reached by HTTP, inside another program that listens itself."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from extrovert.surfaces.http.settings import Http, needed

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from extrovert.engine.loop import Engine

__all__ = ["asgi"]


def asgi(engine: Engine, http: Http | None = None) -> AbstractAsyncContextManager[ASGIApp]:
    """An ASGI app that answers from this engine during the block, to be mounted in a Starlette or FastAPI program.

    Of `http` it takes who may come in and how much; where to listen is that program's to say.
    """
    needed()
    from extrovert.surfaces.http.host import mounted

    return mounted(engine, http)
