"""Control: the Unix socket in the data directory through which commands reach the engine that runs there."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from extrovert.core.errors import DeclarationError, ExtrovertError
from extrovert.engine.loop import Engine
from extrovert.surfaces.answering import answer
from extrovert.surfaces.overhearing import Listen, Say, overheard
from extrovert.surfaces.protocol import (
    VERSION,
    Decide,
    Hello,
    Refused,
    Reply,
    Request,
    Retry,
    Settle,
    Take,
    Welcome,
    request_of,
)

__all__ = ["SOCKET", "Control", "controlled", "short_name"]

SOCKET = "control.sock"
MAX_REQUEST = 64 << 20
MAX_NAME = 100
FAREWELL_S = 2.0
SHORT = "/tmp"  # noqa: S108 (only for a private directory, in case that of TMPDIR has a long name too)


class Control:
    """The engine's side of the socket. What it tells is durable.

    Once `closing` is set, nothing more is taken in; what has been is still answered. `failure` is what a change that
    was asked for broke: the engine is then stopped, since its state is in doubt.
    """

    def __init__(self, engine: Engine, data: Path, app: str) -> None:
        self.engine = engine
        self.data = data
        self.closing = False
        self.failure: Exception | None = None
        self._welcome = Welcome(VERSION, app, engine.declared.name, os.getpid())
        self._talks: dict[asyncio.Task[None], bool] = {}
        self._encode = msgspec.json.Encoder().encode

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one command until it hangs up."""
        task = asyncio.current_task()
        assert task is not None
        self._talks[task] = False
        try:
            while line := await reader.readline():
                self._talks[task] = True
                replies = await self._replies(line)
                if isinstance(replies, Listen):
                    self._talks[task] = False  # nobody waits for the end of it
                    await self._tell(replies, reader, writer)
                    return
                for reply in replies:
                    writer.write(self._encode(reply) + b"\n")
                    await writer.drain()
                    await asyncio.sleep(0)  # the engine has a turn between two pages of rows
                self._talks[task] = False
                if self.closing:
                    return  # it is being waited for, and may have more to ask
        except (ConnectionError, ValueError):
            pass  # the command is gone, or sent a line that is longer than any request
        except asyncio.CancelledError:
            pass  # farewell: a stream's task that ends as cancelled is logged as an error by Python 3.11
        finally:
            del self._talks[task]
            writer.close()

    async def _tell(self, request: Listen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tells what is heard, as it comes, until the command hangs up."""
        hangs_up = asyncio.ensure_future(reader.read(1))
        try:
            async with aclosing(overheard(self.engine, request, hangs_up)) as replies:
                async for reply in replies:
                    writer.write(self._encode(reply) + b"\n")
                    await writer.drain()
        except ExtrovertError as error:
            writer.write(self._encode(_refusal(error)) + b"\n")
            await writer.drain()
        finally:
            hangs_up.cancel()

    async def _replies(self, line: bytes) -> Iterable[Reply] | Listen:
        try:
            request = request_of.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            return [Refused("anyone", f"The engine does not understand this request: {error}.")]
        if self.closing:
            return [Refused("wait", "The engine is stopping.")]
        if isinstance(request, Hello):
            return [self._welcome]
        if isinstance(request, Listen):
            return request
        try:
            replies = answer(self.engine, self.data, request)
            await self.engine.durable()
        except ExtrovertError as error:
            return [_refusal(error)]
        except Exception as error:
            self._broken(request, error)
            return [Refused("anyone", f"The engine failed: {type(error).__name__}: {error}")]
        return replies

    def _broken(self, request: Request, error: Exception) -> None:
        if isinstance(request, Take | Retry | Decide | Settle | Say):
            self.failure, self.closing = error, True
            self.engine.stop()

    async def farewell(self) -> None:
        """Lets those who wait for an answer have it, and hangs up."""
        busy = [task for task, answering in self._talks.items() if answering]
        if busy:
            await asyncio.wait(busy, timeout=FAREWELL_S)
        talks = list(self._talks)
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def _refusal(error: ExtrovertError) -> Refused:
    return Refused("developer" if isinstance(error, DeclarationError) else "anyone", str(error))


@asynccontextmanager
async def controlled(engine: Engine, data: Path, app: str) -> AsyncGenerator[Control]:
    """The engine can be reached through the socket in `data` during the block. It must own the directory."""
    path = data / SOCKET
    control = Control(engine, data, app)
    server = await asyncio.start_unix_server(control.talk, sock=_listening(path), limit=MAX_REQUEST)
    try:
        yield control
    finally:
        control.closing = True
        server.close()
        path.unlink(missing_ok=True)
        await control.farewell()


def _listening(path: Path) -> socket.socket:
    """A socket at `path` that only its owner can use. One that a killed engine left behind is replaced."""
    path.unlink(missing_ok=True)
    here = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with short_name(path) as name:
            here.bind(name)
    except BaseException:
        here.close()
        raise
    finally:
        os.umask(mask)
    return here


@contextmanager
def short_name(path: Path) -> Generator[str]:
    """A name of `path` that fits into a socket's address, about 100 bytes; it holds during the block."""
    name = os.path.abspath(path)
    if len(os.fsencode(name)) <= MAX_NAME:
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="extrovert-", dir=min(tempfile.gettempdir(), SHORT, key=len)) as home:
        link = Path(home) / "data"
        link.symlink_to(Path(name).parent)
        yield str(link / path.name)
