"""`extrovert run`: the engine, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.core.errors import DeclarationError
from extrovert.surfaces.options import DataOption

if TYPE_CHECKING:
    import asyncio

    from rich.console import Console

    from extrovert.engine.declared import Declared
    from extrovert.engine.loop import Engine
    from extrovert.surfaces.apps import Place
    from extrovert.surfaces.http.settings import Http

__all__ = ["run"]

LOOK_EVERY_S = 0.5


def run(
    app: Annotated[
        str | None,
        typer.Argument(metavar="FILE[:app]", help="The app: a Python file, and its name there.", show_default=False),
    ] = None,
    data: DataOption = None,
    http: Annotated[
        str | None, typer.Option("--http", metavar="[HOST:]PORT", help="Listen for HTTP there.", show_default=False)
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="VARIABLE=USER",
            help="Whose token that variable holds. May be given again.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="What EXTROVERT_MODEL says.", show_default=False)
    ] = None,
) -> None:
    """Run an app until Ctrl-C.

    The engine takes in events, keeps tables and views current, runs turns and performs effects, in real time. All of
    its state is in one directory, so it goes on where it ended, also after a crash. Ctrl-C (or SIGTERM) ends it
    cleanly: effects that have begun are awaited, and everything is made durable. The other commands reach it while it
    runs.

    With --http it listens on this machine, and beyond it where a host is given: then every request has to bring the
    token of the environment variable EXTROVERT_TOKEN, or one that --user names. Port 0 takes one that is free.

    With --model the app finds that name in the environment variable EXTROVERT_MODEL: for apps that ask whatever model
    it names.

    Examples:
      extrovert run airline.py
      extrovert run airline.py:app --data /var/lib/airline
      extrovert run airline.py --http 8000
      extrovert run airline.py --http 0.0.0.0:8000 --user ANNS_TOKEN=ann
      extrovert run examples/assistant.py --model openai:gpt-5-mini
    """
    import asyncio
    import os

    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console

    place = locate(app, data)
    host = _host(http, user or [])
    if model is not None:
        os.environ["EXTROVERT_MODEL"] = model
    declared = place.reference().load().declared()
    asyncio.run(_run(place, declared, host, console()))


def _host(http: str | None, users: list[str]) -> Http | None:
    """The HTTP host that is asked for."""
    if http is None:
        if users:
            raise DeclarationError("--user says who asks by HTTP. Say where to listen, too: --http [HOST:]PORT.")
        return None
    from extrovert.surfaces.http.settings import Http

    host, _, port = http.rpartition(":")
    if not port.isdecimal():
        raise DeclarationError(f"--http {http} names no port. Write it as 8000, 0.0.0.0:8000 or [::]:8000.")
    tokens = dict(one.split("=", 1) for one in users if "=" in one)
    if len(tokens) < len(users):
        raise DeclarationError("--user names a variable and whose token it holds, each once: --user ANNS_TOKEN=ann.")
    return Http(host=host.strip("[]") or "127.0.0.1", port=int(port), tokens=tokens)


async def _run(place: Place, declared: Declared, http: Http | None, out: Console) -> None:
    import asyncio

    from extrovert.engine.hosting import opened, own_process, running
    from extrovert.surfaces.control import controlled

    app = str(place.reference())
    with opened(declared, place.data, app=app) as engine:
        own_process()
        async with controlled(engine, place.data, app) as control:
            stopped = _stopped_by_signals(engine, out)
            try:
                async with running(engine, [] if http is None else [http]) as run:
                    out.print(f"{declared.name} runs on {place.data}. Ctrl-C stops it.", soft_wrap=True)
                    if http is not None:
                        out.print(f"It listens at {http.url}", soft_wrap=True)
                    showing = asyncio.create_task(_show(engine, out), name="status")
                    try:
                        await asyncio.wait({run, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        showing.cancel()
            except BaseException:
                control.closing = True
                await engine.close(keep_snapshot=False)
                raise
            control.closing = True
            if control.failure is not None:
                raise control.failure
            await engine.close()
        out.print(f"Stopped. The log of {place.data} ends at offset {engine.shard.fold.end - 1}.", soft_wrap=True)


def _stopped_by_signals(engine: Engine, out: Console) -> asyncio.Future[None]:
    """Done when the first signal comes, which stops the engine cleanly; the second stops the process."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        for one in signals:
            loop.remove_signal_handler(one)
        acting = len(engine.performing.acting)
        if acting:
            out.print(f"Waiting for {acting} effects that have begun. Ctrl-C again leaves them unknown.")
        stopped.set_result(None)

    for one in signals:
        loop.add_signal_handler(one, stop)
    return stopped


async def _show(engine: Engine, out: Console) -> None:
    """Shows on a terminal, in one line, what the engine is at."""
    if not out.is_terminal:
        return
    import asyncio

    from rich.live import Live
    from rich.text import Text

    def line() -> Text:
        fold = engine.shard.fold
        due = sum(len(book.due) for book in fold.books.values())
        return Text(
            f"offset {fold.end - 1:,} · {len(fold.running):,} turns, {due:,} wakes wait · "
            f"{len(fold.outbox.pending):,} effects pending",
            style="dim",
        )

    with Live(line(), console=out, auto_refresh=False, transient=True) as live:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            live.update(line(), refresh=True)
