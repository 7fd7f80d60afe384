"""From event to decision: how long until a decision is durable, at 200 events a second, each of which is decided about.

The app is that of `bench.deciding`: three asks that a policy answers at once, two rows, one effect. The clock of an
event starts where it is handed in, and stops when the write that has its decision, with fsync, has returned. Beside it
is what the disk takes alone: a thread that appends as many bytes at the same rate, and makes them durable.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.deciding import Performed, deciding_app
from bench.measuring import Figure, Scale, expect
from bench.peers import events
from extrovert.core.log import Entry
from extrovert.engine.clock import RealClock
from extrovert.engine.hosting import LOG, own_process
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore

__all__ = ["measure"]

RATE = 200
SECONDS = 10
WARM = 0.1
AIMS = {"p50": "2,000", "p99": "10,000"}
DISK_BYTES = 4_096


class _Store(SqliteStore):
    """Notes when each decision became durable, by the key of its event, and how many writes there were."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.durable: dict[str, float] = {}
        self.writes = 0

    def append(self, entries: Sequence[Entry]) -> None:
        super().append(entries)
        now = time.perf_counter()
        self.writes += 1
        for entry in entries:
            if entry.kind == "decided" and entry.about is not None:
                self.durable[entry.about[2]] = now


def measure(scale: Scale) -> list[Figure]:
    """Microseconds from event to durable decision, and of the processor for each."""
    count = max(RATE, round(RATE * SECONDS * scale.share))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "readings.jsonl"
        events.write(file, count, count)
        lines = file.read_bytes().splitlines()
        found: list[tuple[list[float], float]] = []
        disk: list[list[float]] = []
        for run in range(scale.runs):
            disk.append(_disk(Path(directory) / f"disk-{run}", count))
            found.append(asyncio.run(_paced(lines, Path(directory) / f"run-{run}")))
    figures = [
        Figure(
            bench="latency",
            what=f"event to durable decision, {RATE} a second, {part}",
            unit="µs",
            runs=[_at(taken, part) for taken, _ in found],
            beside="one write and fdatasync",
            references=[_at(taken, part) for taken in disk],
            aim=AIMS[part],
        )
        for part in AIMS
    ]
    processor = [spent / count * 1e6 for _, spent in found]
    return [*figures, Figure(bench="latency", what="processor time a decision", unit="µs", runs=processor)]


def _at(ordered: list[float], part: str) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * int(part[1:]) / 100))] * 1e6


async def _paced(lines: list[bytes], data: Path) -> tuple[list[float], float]:
    """Latencies in seconds, in order, without the first tenth; and seconds of the processor."""
    data.mkdir()  # noqa: ASYNC240
    store = _Store(data / LOG)
    performed = Performed()
    engine = Engine(deciding_app(performed).declared(), store, RealClock())
    engine.start()
    running = asyncio.create_task(engine.run())
    own_process()
    handed_in: list[float] = []
    spent = time.process_time()
    began = time.perf_counter()
    for number, line in enumerate(lines):
        wait = began + number / RATE - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        engine.shard.advance(engine.clock.now_us())
        handed_in.append(time.perf_counter())
        engine.intake.lines("readings", line)
        engine.nudge()
    await engine.durable()  # it has seen the last one
    while not engine.quiet:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await engine.durable()
    spent = time.process_time() - spent
    engine.stop()
    await running
    await engine.close(keep_snapshot=False)
    store.close()
    expect("effects", sorted(performed.sequences), list(range(len(lines))))
    keys = [str(msgspec.json.decode(line)["sequence"]) for line in lines]
    taken = [store.durable[key] - at for key, at in zip(keys, handed_in, strict=True)]
    return sorted(taken[round(len(taken) * WARM) :]), spent


def _disk(path: Path, count: int) -> list[float]:
    """What appending a page and making it durable takes at the same rate, in seconds, in order."""
    block = b"x" * DISK_BYTES
    taken: list[float] = []
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            started = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return sorted(taken[round(count * WARM) :])
