"""Windows: a tumbling minute per key, some events out of order, beside a plain loop that computes the same windows.

The engine runs as it would in `extrovert run`, durable, fed with JSON lines as `extrovert send` feeds it. Ten minutes
of event time; a tenth of the events come up to 30 seconds late, and none too late. With `emit="close"` a row is written
when its minute is over, with `emit="changes"` after each batch that changes it as well. The plain loop reads the same
file line by line, decodes into the same struct, keeps a list of count, sum and maximum per key in a dict per minute,
and makes the same rows of a minute when it is over. It has no log, no index by key, and forgets nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import BinaryIO, Literal

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, Spent, alternate, expect, spent
from extrovert import App, Record, Tumbling
from extrovert import aggregates as agg
from extrovert.engine.hosting import hosted

__all__ = ["measure"]

EVENTS = 1_000_000
KEYS_PER_EVENT = 0.1
MINUTES = 10
LATE = 0.1
DISORDER_S = 30
CHUNK = 1 << 19
AHEAD = 100_000
START = datetime(2013, 2, 8, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE_US = timedelta(microseconds=1)
MINUTE_US = 60_000_000
EMITS: tuple[Literal["close", "changes"], ...] = ("close", "changes")


class Reading(Record):
    sensor_id: str
    taken_at: datetime
    value: int


class PerMinute(Record):
    sensor_id: str
    starts_at: datetime
    ends_at: datetime
    readings: int
    total: int
    most: int


def app_of(emit: Literal["close", "changes"]) -> App:
    """The app, whose windows close by what comes alone, so that the result hangs on nothing else."""
    app = App("windows")
    readings = app.stream("readings", Reading, key=Reading.sensor_id)
    app.window(
        readings,
        PerMinute,
        at=Reading.taken_at,
        spans=Tumbling(MINUTE),
        emit=emit,
        disorder=timedelta(seconds=DISORDER_S),
        idle_after=None,
        keep=timedelta(hours=1),
        readings=agg.count(),
        total=agg.sum(Reading.value),
        most=agg.max(Reading.value),
    )
    return app


def measure(scale: Scale) -> list[Figure]:
    """Events a second, for rows once on close and for rows as they change."""
    count = scale.of(EVENTS)
    figures: list[Figure] = []
    with _made(count) as file:
        wanted, _ = _recomputed(file)
        for emit in EMITS:
            pairs = alternate(scale.runs, partial(_ours, file, emit, wanted), lambda: _recomputed(file)[1])
            for what, seconds in ("durable", "wall_s"), ("its processor time, engine's thread", "thread_s"):
                figures.append(
                    Figure(
                        bench="windows",
                        what=f'a minute per key, emit="{emit}", {what}',
                        unit="events/s",
                        runs=[count / getattr(ours, seconds) for ours, _ in pairs],
                        beside="plain loop",
                        references=[count / getattr(plain, seconds) for _, plain in pairs],
                        aim="ratio 0.4" if seconds == "wall_s" else "",
                    )
                )
    return figures


@contextmanager
def _made(count: int) -> Generator[Path]:
    """A file of `count` readings; the last one ends all minutes before it."""
    chance = Random(2013)
    sensors = max(1, round(count * KEYS_PER_EVENT))
    step_us = MINUTES * MINUTE_US // count
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "readings.jsonl"
        with path.open("w") as file:
            for number in range(count):
                late_us = int(chance.random() * DISORDER_S * 1e6) if chance.random() < LATE else 0
                at = START + timedelta(minutes=1, microseconds=number * step_us - late_us)
                if number == count - 1:
                    at = START + timedelta(hours=1)
                file.write(
                    f'{{"sensor_id":"sensor-{chance.randrange(sensors):06}","taken_at":"{at.isoformat()}",'
                    f'"value":{chance.randrange(1000)}}}\n'
                )
        yield path


def _recomputed(file: Path) -> tuple[dict[str, PerMinute], Spent]:
    """The rows of all minutes that are over, by the key of the row."""
    decode = msgspec.json.Decoder(Reading).decode
    panes: dict[int, dict[str, list[int]]] = {}
    done: dict[tuple[str, int], PerMinute] = {}
    due_us = latest_us = 0
    with spent() as took, file.open("rb") as lines:
        for line in lines:
            reading = decode(line)
            at_us = (reading.taken_at - EPOCH) // ONE_US
            start_us = at_us - at_us % MINUTE_US
            if at_us > latest_us:
                latest_us = at_us
                if latest_us - DISORDER_S * 1_000_000 >= due_us:
                    for old in [old for old in panes if old + MINUTE_US + DISORDER_S * 1_000_000 <= latest_us]:
                        _end(old, panes.pop(old), done)
                    due_us = min(panes, default=start_us) + MINUTE_US
            pane = panes.get(start_us)
            if pane is None:
                pane = panes[start_us] = {}
                due_us = min(due_us, start_us + MINUTE_US)
            cell = pane.get(reading.sensor_id)
            if cell is None:
                pane[reading.sensor_id] = [1, reading.value, reading.value]
            else:
                cell[0] += 1
                cell[1] += reading.value
                if reading.value > cell[2]:
                    cell[2] = reading.value
    return {f"{key}@{_name(start_us)}": row for (key, start_us), row in done.items()}, took


def _end(start_us: int, pane: dict[str, list[int]], done: dict[tuple[str, int], PerMinute]) -> None:
    start = EPOCH + timedelta(microseconds=start_us)
    for key, (readings, total, most) in pane.items():
        done[key, start_us] = PerMinute(key, start, start + MINUTE, readings, total, most)


def _name(start_us: int) -> str:
    return (EPOCH + timedelta(microseconds=start_us)).isoformat().replace("+00:00", "Z")


def _ours(file: Path, emit: Literal["close", "changes"], wanted: dict[str, PerMinute]) -> Spent:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_fed(file, Path(directory), emit, wanted))


async def _fed(file: Path, data: Path, emit: Literal["close", "changes"], wanted: dict[str, PerMinute]) -> Spent:
    async with hosted(app_of(emit).declared(), data) as engine:
        with spent() as took, file.open("rb") as lines:
            await feed(engine, "readings", _chunks(lines), ahead=AHEAD)
        rows = engine.shard.fold.context.tables["per_minute"].rows
        over = {key: row for key, row in rows.items() if row.starts_at < START + timedelta(hours=1)}
        expect("rows of the minutes that are over", over == wanted, True)
        expect("events that came too late", getattr(engine.shard.fold.context.operators["per_minute"], "late", None), 0)
    return took


def _chunks(lines: BinaryIO) -> Iterator[bytes]:
    while chunk := lines.read(CHUNK):
        yield chunk + lines.readline()
