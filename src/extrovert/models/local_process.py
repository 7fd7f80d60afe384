"""The process in which a model of this machine runs: begun when it is wanted, and gone with its engine."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from subprocess import DEVNULL

import msgspec

from extrovert.core.errors import PermanentError, TransientError
from extrovert.models.local_server import Listening, Wanted

__all__ = ["AT_ONCE", "CONTEXT_TOKENS", "Life", "LocalProcess"]

AT_ONCE = 2
"""How many requests are answered at a time; they share the threads."""
CONTEXT_TOKENS = 4_096
"""The most that a prompt and its answer have together, where the model itself takes as much."""
START_S = 60.0
"""How long a model may take to be loaded."""
SERVER = "extrovert.models.local_server"


class Life(msgspec.Struct, eq=False):
    """A process that listens at `url` to those who have the `key`."""

    process: Process
    url: str
    key: str

    @property
    def ended(self) -> bool:
        """Whether it is dead. Its end of the pipe tells that sooner than its exit code."""
        out = self.process.stdout
        return self.process.returncode is not None or out is None or out.at_eof()


class LocalProcess:
    """Serves the model in `file`, by one process at a time. There is `room` for so many requests at once.

    The process lives as long as a task of the loop: with the loop it ends, even where nobody closes this.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.room = asyncio.Semaphore(AT_ONCE)
        self._living: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Life] | None = None

    async def life(self) -> Life:
        """The process that answers now, begun if need be. It is begun also where who waits for it goes away.

        Raises `PermanentError` where the model cannot be loaded, `TransientError` where it was not in time.
        """
        if self._ready is None or _over(self._ready):
            self._ready = asyncio.get_running_loop().create_future()
            self._ready.add_done_callback(_seen)
            living = self._live(self._ready, self._living)
            self._living = asyncio.create_task(living, name=f"local model {self.file.name}")
        return await asyncio.shield(self._ready)

    async def close(self) -> None:
        """Ends the process, also one that is only being begun."""
        living, self._living, self._ready = self._living, None, None
        if living is not None:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    async def _live(self, ready: asyncio.Future[Life], before: asyncio.Task[None] | None) -> None:
        """The life of one process, from its start until it is gone; `ready` is told how it began."""
        if before is not None:
            await asyncio.wait([before])
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", SERVER), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
            try:
                ready.set_result(await self._begun(process))
                await process.wait()
            finally:
                await _end(process)
        except Exception as error:
            if not ready.done():
                ready.set_exception(error)
        finally:
            ready.cancel()

    async def _begun(self, process: Process) -> Life:
        wanted = Wanted(str(self.file), token_urlsafe(32), _threads(), CONTEXT_TOKENS, AT_ONCE)
        try:
            async with asyncio.timeout(START_S):
                said = await _told(process, wanted)
        except TimeoutError:
            raise TransientError(f"Model {self.file.name} was not loaded in {START_S:g} s", free=True) from None
        if said is None:
            raise TransientError(f"The process of model {self.file.name} died while it was loaded", free=True)
        if not said.url:
            raise PermanentError(
                f"Model {self.file.name} cannot be loaded: {said.error} It takes a GGUF file that this version of "
                f"llama.cpp knows, and memory for it.",
                free=True,
            )
        return Life(process, said.url, wanted.key)


async def _told(process: Process, wanted: Wanted) -> Listening | None:
    """What came of what is wanted; None where the process ends before it says so."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):
        process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        await process.stdin.drain()
    line = await process.stdout.readline()
    return msgspec.json.decode(line, type=Listening) if line else None


async def _end(process: Process) -> None:
    """Ends a process that has nothing to lose, and waits until it is gone."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def _over(ready: asyncio.Future[Life]) -> bool:
    """Whether this life has ended, or has never come to be."""
    return ready.done() and (ready.cancelled() or ready.exception() is not None or ready.result().ended)


def _seen(ready: asyncio.Future[Life]) -> None:
    """Takes the error of a start that nobody waits for any more."""
    if not ready.cancelled():
        ready.exception()


def _threads() -> int:
    """All cores but one, which is left to the engine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)
