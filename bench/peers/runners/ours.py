"""Extrovert. W1 on a store in memory, W3 as in `extrovert run`: a file, fsync, group commit, snapshots beside.

Events come in as chunks of JSON lines, as `extrovert send` makes them. The latest row and the count are a table with a
fold, the trigger is an agent on it: its decision goes through the log as any other. The clock is stopped when the last
event is applied and the last decision made; in W3, when both are durable.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.deciding import decide
from bench.feeding import feed
from bench.peers.pacing import Pace
from bench.peers.work import Outcome, Task, latest_digests, run, timed, window_digests
from bench.readings import Reading, Short
from extrovert import App, Record, Tumbling, Turn
from extrovert import aggregates as agg
from extrovert.engine.clock import RealClock
from extrovert.engine.hosting import hosted, own_process
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore

CHUNK = 1 << 19
AHEAD = 100_000
NEVER = 1 << 62


class Latest(Record):
    """What is known of a sensor: its latest reading, and how many it has sent."""

    sensor_id: str
    reading: Reading
    events: int


class ShortLatest(Record):
    """The same of readings of which five fields are kept."""

    sensor_id: str
    reading: Short
    events: int


class Minute(Record):
    """What a sensor sent in a minute."""

    sensor_id: str
    starts_at: datetime
    ends_at: datetime
    events: int
    total: int


def latest_app(fields: int, limit: int, hot: list[int]) -> App:
    """W1 and W3: the latest row and the count of each sensor, and an agent that is called when one is too hot."""
    event, record = (Reading, Latest) if fields == 10 else (Short, ShortLatest)
    app = App("latest")
    readings = app.stream("readings", event, key="sensor_id")

    def count(row: Any, reading: Any) -> Any:
        return record(reading.sensor_id, reading, 1 if row is None else row.events + 1)

    latest = app.table("latest", record, key="sensor_id", source=readings, fold=count)

    @app.agent(wakes_on=latest, when=lambda row: row.reading.value > limit)
    async def alarm(turn: Turn, row: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        hot.append(row.reading.sequence)

    return app


def minutes_app(event: type[Any]) -> App:
    """W4: one row for each sensor and minute, when it is complete."""
    app = App("minutes")
    readings = app.stream("readings", event, key="sensor_id")
    app.window(
        readings,
        Minute,
        at="taken_at",
        spans=Tumbling(timedelta(minutes=1)),
        disorder=timedelta(seconds=30),
        emit="close",
        ahead=None,
        keep=timedelta(days=36_500),  # by the clock of the engine, and the events are old
        events=agg.count(),
        total=agg.sum(event.value),
    )
    return app


@asynccontextmanager
async def in_memory(app: App) -> AsyncGenerator[Engine]:
    """An engine whose log is in memory, and which makes no snapshots: nothing is durable."""
    store = SqliteStore(None)
    engine = Engine(app.declared(), store, RealClock(), Settings(snapshot_every=NEVER))
    engine.start()
    running = asyncio.create_task(engine.run(), name="extrovert")
    try:
        yield engine
    finally:
        engine.stop()
        await running
        await engine.close(keep_snapshot=False)
        store.close()


def keep_latest(task: Task) -> Outcome:
    """W1."""
    return asyncio.run(_keep_latest(task, durable=False))


def keep_durable(task: Task) -> Outcome:
    """W3."""
    return asyncio.run(_keep_latest(task, durable=True))


async def _keep_latest(task: Task, *, durable: bool) -> Outcome:
    hot: list[int] = []
    app = latest_app(task.fields, task.limit, hot)
    place = hosted(app.declared(), Path(task.scratch) / "data") if durable else in_memory(app)
    async with place as engine:
        own_process()
        with timed() as took:
            await feed(engine, "readings", chunks(Path(task.file)), ahead=AHEAD)
        rows = engine.shard.fold.context.tables["latest"].rows
        latest = {key: row.reading.sequence for key, row in rows.items()}
        counts = {key: row.events for key, row in rows.items()}
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=latest_digests(latest, counts, set(hot)))


def chunks(file: Path) -> Iterator[bytes]:
    """A file in chunks of whole lines."""
    with file.open("rb") as lines:
        while chunk := lines.read(CHUNK):
            yield chunk + lines.readline()


def close_minutes(task: Task) -> Outcome:
    """W4."""
    return asyncio.run(_close_minutes(task))


async def _close_minutes(task: Task) -> Outcome:
    async with in_memory(minutes_app(Reading if task.fields == 10 else Short)) as engine:
        own_process()
        with timed() as took:
            await feed(engine, "readings", chunks(Path(task.file)), ahead=AHEAD)
        rows = engine.shard.fold.context.tables["minute"].rows.values()
        windows = [(row.sensor_id, int(row.starts_at.timestamp()), row.events, row.total) for row in rows]
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=window_digests(windows, task.end_key))


def wake(task: Task) -> Outcome:
    """W2: from where a thread hands a line to the loop, to the first statement of the agent's turn on it.

    The engine is durable as in W3: the wake does not wait for the disk, but shares the machine with it.
    """
    return asyncio.run(_wake(task))


async def _wake(task: Task) -> Outcome:
    pace = Pace(task)
    app = App("wakes")
    readings = app.stream("readings", Reading, key="sensor_id")
    app.table("latest", Reading, key="sensor_id", source=readings)

    @app.agent(wakes_on=readings, when=lambda reading: reading.value > task.limit)
    async def alarm(turn: Turn, reading: Reading) -> None:  # pyright: ignore[reportUnusedFunction]
        for event in turn.events:
            pace.trigger(event.sequence)

    async with hosted(app.declared(), Path(task.scratch) / "data") as engine:
        own_process()
        loop = asyncio.get_running_loop()

        waiting: deque[bytes] = deque()

        def take() -> None:
            lines: list[bytes] = []
            while waiting:  # what comes meanwhile too: who put it there saw that the loop had been told
                lines.append(waiting.popleft())
            if lines:
                engine.shard.advance(engine.clock.now_us())
                engine.intake.lines("readings", b"".join(lines))
                engine.look()

        def hand_over(line: bytes, number: int) -> None:
            waiting.append(line)
            if len(waiting) == 1:  # else the loop has been told, and has not come yet
                loop.call_soon_threadsafe(take)

        with timed() as took:
            sender: threading.Thread = pace.start(hand_over)
            await asyncio.to_thread(pace.wait)
        sender.join()
    outcome = pace.outcome()
    outcome.processor_s = took.processor_s
    return outcome


WORKS = {"W1": keep_latest, "W2": wake, "W3": keep_durable, "W4": close_minutes, "W8": decide}

if __name__ == "__main__":
    run(WORKS, f"Extrovert {version('extrovert')}")
