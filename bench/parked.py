"""Parked turns: what one takes while it waits, what waking it costs, and what it costs at a restart.

10,000 turns of an agent each wait for an event under a key of their own, or all for one moment. Each run is a process
of its own, with the log in a file; what counts is by how much the resident memory grew. All are then woken at once. The
same with a tenth as many is beside it: where a turn costs as much among many as among few, the ratio is 1.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, expect, resident
from extrovert import App, Record, Turn
from extrovert.engine.clock import RealClock
from extrovert.engine.hosting import hosted
from extrovert.engine.loop import Engine

__all__ = ["measure"]

TURNS = 10_000
CHUNK = 250
AHEAD = 100_000
DAY_US = 86_400_000_000
WAITS = {"event": "for an event", "moment": "for a moment"}


class Claim(Record):
    claim_id: str
    euros: int
    until: datetime


class Reply(Record):
    claim_id: str
    granted: bool


class Paid(Record):
    claim_id: str
    euros: int


class Took(msgspec.Struct):
    """What one run took: bytes while all were parked; seconds of the processor and by the clock until all had been
    woken and their decisions were durable; seconds of the processor to start the engine with all of them parked."""

    parked_bytes: int
    waking_s: float
    waking_wall_s: float
    starting_s: float


def measure(scale: Scale) -> list[Figure]:
    """Bytes and microseconds for each turn."""
    many, few = scale.of(TURNS), max(1, scale.of(TURNS) // 10)
    figures: list[Figure] = []
    for kind, what in WAITS.items():
        runs = [(_run(kind, many), _run(kind, few)) for _ in range(min(scale.runs, 3))]

        def figure(unit: str, said: str, of: str, by: float) -> Figure:
            return Figure(
                bench="parked",
                what=f"{many:,} turns that wait {what}: {said}",  # noqa: B023
                unit=unit,
                runs=[getattr(one, of) * by / many for one, _ in runs],  # noqa: B023
                beside=f"{few:,} turns",
                references=[getattr(other, of) * by / few for _, other in runs],  # noqa: B023
            )

        figures += [
            figure("bytes/turn", "memory", "parked_bytes", 1),
            figure("µs/turn", "waking, processor", "waking_s", 1e6),
            figure("µs/turn", "waking, by the clock", "waking_wall_s", 1e6),
            figure("µs/turn", "restart, processor", "starting_s", 1e6),
        ]
    return figures


def _run(kind: str, turns: int) -> Took:
    command = [sys.executable, "-m", "bench.parked", kind, str(turns)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} failed: {done.stderr.decode(errors='replace')[-2_000:]}")
    return msgspec.json.decode(done.stdout, type=Took)


# ---- in the process


def parking_app(kind: str) -> App:
    """The app: an agent that waits before it decides."""
    app = App("parking")
    claims = app.stream("claims", Claim, key=Claim.claim_id)
    replies = app.stream("replies", Reply, key=Reply.claim_id)
    paid = app.table("paid", Paid, key=Paid.claim_id)

    @app.agent(wakes_on=claims)
    async def pay(turn: Turn, claim: Claim) -> None:  # pyright: ignore[reportUnusedFunction]
        if kind == "event":
            reply = await turn.next(replies, key=claim.claim_id)
            if not reply.granted:
                return
        else:
            await turn.sleep_until(claim.until)
        turn.put(paid, Paid(claim.claim_id, claim.euros))

    return app


class _Clock(RealClock):
    """The time of day, or later."""

    ahead_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us


async def _measured(kind: str, turns: int, data: Path) -> Took:
    encode: Any = msgspec.json.Encoder().encode_lines
    until = datetime.now().astimezone() + timedelta(days=1)
    async with hosted(parking_app(kind).declared(), data) as engine:
        await _sent(engine, "claims", [Claim(f"warm-{number}", 0, until) for number in range(CHUNK)])
        before = resident()
        chunks = [
            encode([Claim(f"C{number}", number, until) for number in range(start, min(start + CHUNK, turns))])
            for start in range(0, turns, CHUNK)
        ]
        await feed(engine, "claims", chunks, ahead=AHEAD)
        chunks.clear()
        parked_bytes = resident() - before
        expect("parked turns", len(engine.shard.fold.parked), turns + CHUNK)
    clock, spent = _Clock(), time.process_time()
    async with hosted(parking_app(kind).declared(), data, clock=clock) as engine:
        starting_s = time.process_time() - spent
        expect("parked turns after a restart", len(engine.shard.fold.parked), turns + CHUNK)
        wanted = {f"C{number}": number for number in range(turns)}
        spent, began = time.process_time(), time.perf_counter()
        if kind == "event":
            await feed(engine, "replies", [encode([Reply(key, True) for key in wanted])], ahead=AHEAD)
        else:
            wanted |= {f"warm-{number}": 0 for number in range(CHUNK)}
            clock.ahead_us = 2 * DAY_US
            engine.nudge()
            while len(engine.shard.fold.context.tables["paid"].rows) < len(wanted):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await engine.durable()
        waking_s, wall_s = time.process_time() - spent, time.perf_counter() - began
        rows = engine.shard.fold.context.tables["paid"].rows
        expect("rows", {key: row.euros for key, row in rows.items()} == wanted, True)
    return Took(parked_bytes, waking_s, wall_s, starting_s)


async def _sent(engine: Engine, stream: str, records: list[Any]) -> None:
    encode: Any = msgspec.json.Encoder().encode_lines
    await feed(engine, stream, [encode(records)], ahead=AHEAD)


def main() -> None:
    """`python -m bench.parked KIND TURNS`: prints what it took, as JSON."""
    kind, turns = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as directory:
        print(msgspec.json.encode(asyncio.run(_measured(kind, turns, Path(directory)))).decode())


if __name__ == "__main__":
    main()
