"""Models that run on this machine: a file of weights, served in a process of its own and asked like any other model."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from importlib.util import find_spec
from pathlib import Path

from extrovert.core.errors import MissingExtra
from extrovert.models.local_process import Life, LocalProcess
from extrovert.models.remote import RemoteModel
from extrovert.models.weights import file_of
from extrovert.turns.declare import Model
from extrovert.turns.request import Reply, Request

__all__ = ["LocalModel"]


class LocalModel:
    """Answers requests by a model in a process beside the engine, which begins with the first of them.

    `processes` are those of the engine: models that name the same file share one. A request that finds the process
    dead begins another; one during which it dies raises `TransientError`, as do all that a `RemoteModel` may try again.
    """

    def __init__(self, declared: Model, processes: dict[Path, LocalProcess]) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingExtra("The package `xllamacpp`, for models that run on this machine,", "local")
        self.declared = declared
        file = file_of(declared)
        self.process = processes.setdefault(file, LocalProcess(file))
        self._reached: tuple[Life, RemoteModel] | None = None

    async def __call__(self, request: Request) -> Reply:
        async with self.process.room:  # so that the time-out is for the answer, and not for waiting
            model = await self._model()
            return await model(request)

    async def streamed(self, request: Request, heard: Callable[[str], None]) -> Reply:
        """The answer, where `heard` is told its text piece by piece."""
        async with self.process.room:
            model = await self._model()
            return await model.streamed(request, heard)

    async def close(self) -> None:
        """Ends the process, and what is asked of it."""
        reached, self._reached = self._reached, None
        if reached is not None:
            await reached[1].close()
        await self.process.close()

    async def _model(self) -> RemoteModel:
        """The model where it answers now."""
        life = await self.process.life()
        before = self._reached
        if before is not None and before[0] is life:
            return before[1]
        there = copy(self.declared)
        there.base_url = life.url
        model = RemoteModel(there, key=life.key)
        self._reached = (life, model)
        if before is not None:
            await before[1].close()
        return model
