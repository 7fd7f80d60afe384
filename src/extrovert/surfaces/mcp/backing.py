"""Where an MCP server has its answers from: the engine of its own loop, or that of a data directory."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

from extrovert.core.errors import ExtrovertError
from extrovert.engine.loop import Engine
from extrovert.surfaces.apps import Place
from extrovert.surfaces.mcp.looking_up import compared, looked_up, published
from extrovert.surfaces.mcp.wire import Compare, Compared, ListPublished, LookedUp, LookUp, Published
from extrovert.surfaces.protocol import Request
from extrovert.surfaces.reaching import if_running, one, reached

__all__ = ["AtPlace", "Backing", "InEngine"]

T = TypeVar("T")


class Backing(Protocol):
    """What is told is durable. `every_s` is how often it may be asked what is new."""

    every_s: float

    async def published(self) -> Published: ...

    async def look_up(self, asked: LookUp) -> LookedUp: ...

    async def compare(self, asked: Compare) -> Compared:
        """Where no engine runs, nothing is new."""
        ...


class InEngine:
    """The engine of this loop."""

    every_s = 0.05

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._published = published(engine)

    async def published(self) -> Published:
        return self._published

    async def look_up(self, asked: LookUp) -> LookedUp:
        found = looked_up(self.engine, asked)
        await self.engine.durable()
        return found

    async def compare(self, asked: Compare) -> Compared:
        found = compared(self.engine, asked)
        if found.prints is not None:
            await self.engine.durable()
        return found


class AtPlace:
    """The engine that runs on a data directory, through its socket; where none runs, one that is hosted for each
    answer, so that it stands in nobody's way."""

    every_s = 0.25

    def __init__(self, place: Place) -> None:
        self.place = place

    async def published(self) -> Published:
        return await asyncio.to_thread(self._ask, ListPublished(), Published)

    async def look_up(self, asked: LookUp) -> LookedUp:
        return await asyncio.to_thread(self._ask, asked, LookedUp)

    async def compare(self, asked: Compare) -> Compared:
        return await asyncio.to_thread(self._compare, asked)

    def _ask(self, asked: Request, kind: type[T]) -> T:
        with reached(self.place) as engine:
            return one(engine.ask(asked), kind)

    def _compare(self, asked: Compare) -> Compared:
        try:
            with if_running(self.place) as engine:
                return Compared(asked.since) if engine is None else one(engine.ask(asked), Compared)
        except (ExtrovertError, OSError):
            return Compared(asked.since)  # it is about to start or to stop: what is new is told then
