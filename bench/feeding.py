"""Feeding: events handed to a running engine as a fast sender would, until all that comes of them is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bench.measuring import expect
from extrovert.engine.loop import Engine

__all__ = ["feed"]


async def feed(engine: Engine, stream: str, chunks: Iterable[bytes], *, ahead: int) -> None:
    """Hands over chunks of JSON lines, with at most `ahead` offsets not yet durable; returns when the events and the
    decisions on them are."""
    quiet = asyncio.Event()

    def look() -> None:
        if engine.quiet:
            quiet.set()

    for chunk in chunks:
        engine.shard.advance(engine.clock.now_us())  # as the engine does before it takes anything in
        report = engine.intake.lines(stream, chunk)
        expect("rejected lines", report.rejected, [])
        engine.nudge()
        await engine.writing.wait_for(engine.shard.fold.end - 1 - ahead)
        await asyncio.sleep(0)
    engine.at_instant = look
    engine.nudge()
    await quiet.wait()
    await engine.durable()
