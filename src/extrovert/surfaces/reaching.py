"""Reaching an engine: the one that runs on a data directory, or, where none runs, one that the command hosts itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from extrovert.core.errors import AlreadyRunning, DeclarationError, ExtrovertError
from extrovert.engine.hosting import opened
from extrovert.engine.loop import Engine, Settings
from extrovert.surfaces.answering import answer
from extrovert.surfaces.apps import Place
from extrovert.surfaces.control import SOCKET, short_name
from extrovert.surfaces.overhearing import Listening, Overheard
from extrovert.surfaces.protocol import VERSION, Hello, Page, Refused, Reply, Request, Rows, Welcome, reply_of

__all__ = ["EngineGone", "Hosted", "Reach", "Running", "connected", "if_running", "one", "reached"]

PATIENCE_S = 5.0
PAUSE_S = 0.05
SNAPSHOT_AFTER = 200_000

T = TypeVar("T")


class EngineGone(ExtrovertError):
    """The running engine went away before it answered: what was asked may have been done, or not."""


class _Stopping(EngineGone):
    """The running engine takes nothing more, and did nothing."""


class Reach(Protocol):
    """A way to an engine."""

    def ask(self, request: Request) -> Iterator[Reply]:
        """The replies, when they are durable. Raises what the engine refuses with, or `EngineGone`."""
        ...


def one(replies: Iterable[Reply], kind: type[T]) -> T:
    """The only reply, which is of this kind."""
    (reply,) = replies
    assert isinstance(reply, kind)
    return reply


class Running:
    """An engine that runs in another process. `welcome` is what it said of itself."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        try:
            with short_name(path) as name:
                self._socket.connect(name)
            self._replies = self._socket.makefile("rb")
            self.welcome = one(self.ask(Hello()), Welcome)
        except TimeoutError as error:
            self.close()
            raise ExtrovertError(
                f"An engine runs on {path.parent}, but does not answer within {PATIENCE_S:.0f} s. It may be busy or "
                f"suspended: try again, or look at its process."
            ) from error
        except BaseException:
            self.close()
            raise
        self._socket.settimeout(None)

    def ask(self, request: Request) -> Iterator[Reply]:
        try:
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
            while True:
                line = self._replies.readline()
                if not line.endswith(b"\n"):
                    raise EngineGone("The engine stopped before it answered.")
                reply = reply_of.decode(line)
                if isinstance(reply, Refused):
                    raise _refusal(reply)
                yield reply
                if not isinstance(reply, Rows | Page | Listening | Overheard):
                    return
        except ConnectionError as error:
            raise EngineGone("The engine stopped before it answered.") from error

    def close(self) -> None:
        self._socket.close()


def _refusal(reply: Refused) -> ExtrovertError:
    kinds = {"developer": DeclarationError, "wait": _Stopping}
    return kinds.get(reply.whose, ExtrovertError)(reply.message)


class Hosted:
    """An engine hosted here, which takes in and applies, but starts no turn and no effect."""

    def __init__(self, engine: Engine, data: Path) -> None:
        self.engine = engine
        self.data = data

    def ask(self, request: Request) -> Iterator[Reply]:
        replies = answer(self.engine, self.data, request)
        self.engine.writing.flush()
        yield from replies


@contextmanager
def reached(place: Place) -> Generator[Reach]:
    """A way to the engine of `place`. Raises `ExtrovertError` where another process has the directory, but no ear."""
    with ExitStack() as held:
        yield _reach(place, held)


@contextmanager
def connected(place: Place) -> Generator[Running]:
    """The engine that runs on `place`. Raises `ExtrovertError` where none does."""
    running = _running(place.data)
    if running is None:
        raise ExtrovertError(f"Nothing runs on {place.data}. Start the app first: extrovert run")
    with closing(running):
        _check(place, running.welcome)
        yield running


@contextmanager
def if_running(place: Place) -> Generator[Reach | None]:
    """A way to the engine that runs on `place`; None where none does."""
    found = _running(place.data)
    if found is None:
        yield None
        return
    with closing(found):
        _check(place, found.welcome)
        yield found


def _reach(place: Place, held: ExitStack) -> Reach:
    """Tries for a while: an engine may be about to start or to stop, and other commands host one for a moment."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            running = _running(place.data)
            if running is None:
                return held.enter_context(_hosted(place))
            held.callback(running.close)
            _check(place, running.welcome)
            return running
        except AlreadyRunning as error:
            if time.monotonic() > until:
                raise AlreadyRunning(
                    f"{error} It takes no commands: it may still be starting, or be part of another program."
                ) from error
        except _Stopping:
            if time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def _running(data: Path) -> Running | None:
    """The engine that listens in `data`; a socket without an engine counts for nothing."""
    try:
        return Running(data / SOCKET)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except EngineGone as error:
        raise _Stopping(f"The engine on {data} is stopping. Try again.") from error


@contextmanager
def _hosted(place: Place) -> Generator[Hosted]:
    app = place.reference()
    settings = Settings(acting=False)
    with opened(app.load().declared(), place.data, settings=settings, app=str(app)) as engine:
        began = engine.shard.fold.end
        yield Hosted(engine, place.data)
        if engine.shard.fold.end - began > SNAPSHOT_AFTER:
            engine.keep_snapshot()


def _check(place: Place, welcome: Welcome) -> None:
    if welcome.version != VERSION:
        raise ExtrovertError(
            f"The engine on {place.data} (process {welcome.pid}) speaks version {welcome.version} of the control "
            f"protocol, this command {VERSION}. Use the `extrovert` that the engine was started with."
        )
    if place.app is not None and str(place.app) != welcome.app:
        name = place.app.load().name
        if name != welcome.name:
            raise DeclarationError(
                f"On {place.data} runs app `{welcome.name}` ({welcome.app}), not `{name}`. Name another directory with "
                f"--data DIR."
            )
