"""Hosting: an engine on a data directory, which it owns while it is open."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from extrovert.core.errors import AlreadyRunning, DeclarationError
from extrovert.engine.clock import Clock, RealClock
from extrovert.engine.declared import Declared
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import Durability, SqliteStore

__all__ = ["LOG", "Beside", "hosted", "locked", "opened", "own_process", "running"]

LOG = "log.sqlite"
COLLECT_AT = (100_000, 20, 50)
"""How many objects more make Python look for cycles among them: rows come in thousands, live long and hold none."""
SWITCH_S = 0.0005
"""How long a thread beside the loop may keep it waiting, in seconds; Python's own value is ten times that."""


class Beside(Protocol):
    """What runs beside an engine, such as a server: it is entered when the engine runs, and left before that stops."""

    def __call__(self, declared: Declared, engine: Engine, /) -> AbstractAsyncContextManager[object]: ...


def own_process() -> None:
    """Tells Python that this process is an engine's and its state is loaded: cycles are then looked for less often, and
    the loop waits less for the threads beside it.

    To be called by a program that does nothing else; inside another program this is that program's to decide.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)
    sys.setswitchinterval(SWITCH_S)


@contextmanager
def locked(data: Path) -> Generator[None]:
    """Owns the data directory (made if need be) for the block. Raises `AlreadyRunning` where another process does."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = (data / "lock").read_text().strip() or "unknown"
            raise AlreadyRunning(
                f"Another engine (process {owner}) has {data}. Stop it, or name another directory with --data."
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def opened(
    declared: Declared,
    data: Path,
    *,
    clock: Clock | None = None,
    settings: Settings | None = None,
    durability: Durability = "fsync",
    app: str | None = None,
) -> Generator[Engine]:
    """An engine on `data`, recovered and started, but not running yet.

    The directory then belongs to the app of this name; `app` is where that is declared, as `FILE:app`, and is noted
    for who comes later. Raises `DeclarationError` where the directory belongs to another one.
    """
    with locked(data):
        store = SqliteStore(data / LOG, durability=durability)
        try:
            _claim(store, data, declared.name, app)
            engine = Engine(declared, store, clock or RealClock(), settings)
            engine.start()
            yield engine
        finally:
            store.close()


def _claim(store: SqliteStore, data: Path, name: str, app: str | None) -> None:
    owner = store.meta("app_name")
    if owner is not None and owner != name:
        raise DeclarationError(
            f"{data} holds the state of app `{owner}` ({store.meta('app') or 'its file is not known'}), not of "
            f"`{name}`. Name another directory with --data DIR."
        )
    for what, value in (("app_name", name), ("app", app)):
        if value is not None and store.meta(what) != value:
            store.set_meta(what, value)


@asynccontextmanager
async def running(engine: Engine, beside: Sequence[Beside] = ()) -> AsyncGenerator[asyncio.Task[None]]:
    """The engine runs during the block, as the task that is given, and with it what is `beside`.

    At its end all that is left, and then the engine is stopped. Raises what made it fail meanwhile.
    """
    entered = [one(engine.declared, engine) for one in beside]
    task = asyncio.create_task(engine.run(), name="extrovert")
    task.add_done_callback(partial(_ended, engine))
    try:
        async with AsyncExitStack() as stack:
            for one in entered:
                await stack.enter_async_context(one)
            yield task
    finally:
        engine.stop()
        await task


def _ended(engine: Engine, run: asyncio.Task[None]) -> None:
    """What is beside the engine can see that it has failed; `running` raises it when all that is left."""
    if not run.cancelled() and (failure := run.exception()) is not None:
        engine.fail(failure)


@asynccontextmanager
async def hosted(
    declared: Declared,
    data: Path,
    *,
    beside: Sequence[Beside] = (),
    clock: Clock | None = None,
    settings: Settings | None = None,
    durability: Durability = "fsync",
) -> AsyncGenerator[Engine]:
    """An engine that runs beside the block, and is stopped cleanly at its end. Raises what made it fail meanwhile."""
    with opened(declared, data, clock=clock, settings=settings, durability=durability) as engine:
        try:
            async with running(engine, beside):
                yield engine
        finally:
            await engine.close()
