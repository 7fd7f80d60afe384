"""`extrovert run`: the engine, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.surfaces.options import DataOption

if TYPE_CHECKING:
    from rich.console import Console

    from extrovert.engine.declared import Declared
    from extrovert.engine.loop import Engine
    from extrovert.surfaces.apps import Place

__all__ = ["run"]

LOOK_EVERY_S = 0.5


def run(
    app: Annotated[
        str | None,
        typer.Argument(metavar="FILE[:app]", help="The app: a Python file, and its name there.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Run an app until Ctrl-C.

    The engine takes in events, keeps tables and views current, runs turns and performs effects, in real time. All of
    its state is in one directory, so it goes on where it ended, also after a crash. Ctrl-C (or SIGTERM) ends it
    cleanly: effects that have begun are awaited, and everything is made durable. The other commands reach it while it
    runs.

    Examples:
      extrovert run airline.py
      extrovert run airline.py:app --data /var/lib/airline
    """
    import asyncio

    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console

    place = locate(app, data)
    declared = place.reference().load().declared()
    asyncio.run(_run(place, declared, console()))


async def _run(place: Place, declared: Declared, out: Console) -> None:
    import asyncio

    from extrovert.engine.hosting import opened, own_process
    from extrovert.surfaces.control import controlled

    app = str(place.reference())
    with opened(declared, place.data, app=app) as engine:
        own_process()
        async with controlled(engine, place.data, app) as control:
            _stop_on_signals(engine, out)
            out.print(f"{declared.name} runs on {place.data}. Ctrl-C stops it.", soft_wrap=True)
            showing = asyncio.create_task(_show(engine, out), name="status")
            try:
                await engine.run()
            except BaseException:
                control.closing = True
                await engine.close(keep_snapshot=False)
                raise
            finally:
                showing.cancel()
            control.closing = True
            if control.failure is not None:
                raise control.failure
            await engine.close()
        out.print(f"Stopped. The log of {place.data} ends at offset {engine.shard.fold.end - 1}.", soft_wrap=True)


def _stop_on_signals(engine: Engine, out: Console) -> None:
    """The first signal stops the engine cleanly; the second, the process."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        for one in signals:
            loop.remove_signal_handler(one)
        acting = len(engine.performing.acting)
        if acting:
            out.print(f"Waiting for {acting} effects that have begun. Ctrl-C again leaves them unknown.")
        engine.stop()

    for one in signals:
        loop.add_signal_handler(one, stop)


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
