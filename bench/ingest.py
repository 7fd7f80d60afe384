"""Ingest: JSON lines into a table with an index and a threshold trigger, durable, beside a plain loop over them.

The engine runs as it would in `extrovert run`: a real clock, a file, fsync, group commit in the background, the agent's
turns in between. It is fed through `engine.intake.lines` with chunks of `CHUNK` bytes, as `extrovert send` makes them,
and at most `AHEAD` events are not yet durable; the time is taken when the last event and the last decision are. The
plain loop reads the same file line by line, decodes into the same struct, keeps the latest row per key in a dict and
checks the threshold. It has no index, no log, no version per row.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import BinaryIO

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, Spent, alternate, expect, spent
from extrovert import App, Record, Turn
from extrovert.engine.hosting import LOG, hosted
from extrovert.stores.sqlite import SqliteStore

__all__ = ["measure"]

EVENTS = 1_000_000
KEYS_PER_EVENT = 0.1
SITES = 2_000
MOVES = 0.01
HOT = 0.001
LIMIT = 100.0
CHUNK = 1 << 19
AHEAD = 100_000


class Reading(Record):
    """One sensor's latest reading."""

    sensor_id: str
    site: str
    kind: str
    sequence: int
    taken_at: datetime
    celsius: float
    unit: str
    battery: float
    firmware: str
    ok: bool


class Alarm(Record):
    """A sensor that was too hot."""

    sensor_id: str
    celsius: float


app = App("ingest")
readings = app.table("readings", Reading, key=Reading.sensor_id)
by_site = readings.index(Reading.site)
alarms = app.table("alarms", Alarm, key=Alarm.sensor_id)


@app.agent(wakes_on=readings, when=lambda reading: reading.celsius > LIMIT)
async def alarm(turn: Turn, reading: Reading) -> None:
    """Keeps that the sensor was too hot."""
    turn.put(alarms, Alarm(reading.sensor_id, reading.celsius))


def measure(scale: Scale) -> list[Figure]:
    """Events a second, by the wall clock and, since others may need the machine too, by processor time."""
    count = scale.of(EVENTS)
    with _made(count) as file:
        pairs = alternate(scale.runs, lambda: _ours(file, count), lambda: _plain(file))

    def figure(what: str, seconds: str, aim: str) -> Figure:
        return Figure(
            bench="ingest",
            what=what,
            unit="events/s",
            runs=[count / getattr(ours, seconds) for ours, _ in pairs],
            beside="plain loop",
            references=[count / getattr(plain, seconds) for _, plain in pairs],
            aim=aim,
        )

    return [
        figure("1 index, 1 trigger, durable", "wall_s", "ratio 0.5"),
        figure("its processor time, engine's thread", "thread_s", ""),
        figure("its processor time, all threads", "process_s", ""),
    ]


@contextmanager
def _made(count: int) -> Generator[Path]:
    """A file of `count` readings, about 200 bytes each."""
    chance = Random(2013)
    sensors = max(1, round(count * KEYS_PER_EVENT))
    sites = [chance.randrange(SITES) for _ in range(sensors)]
    start = datetime(2013, 2, 8, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "readings.jsonl"
        with path.open("w") as file:
            for number in range(count):
                sensor = chance.randrange(sensors)
                if chance.random() < MOVES:
                    sites[sensor] = chance.randrange(SITES)
                celsius = LIMIT + 1 if chance.random() < HOT else round(chance.random() * LIMIT, 3)
                taken_at = (start + timedelta(milliseconds=number)).isoformat()
                file.write(
                    f'{{"sensor_id":"sensor-{sensor:06}","site":"site-{sites[sensor]:05}","kind":"temperature",'
                    f'"sequence":{number},"taken_at":"{taken_at}","celsius":{celsius},"unit":"degrees",'
                    f'"battery":{chance.random():.2f},"firmware":"4.11.{number % 9}","ok":true}}\n'
                )
        yield path


def _plain(file: Path) -> Spent:
    rows, _, took = _recomputed(file)
    assert rows
    return took


def _recomputed(file: Path) -> tuple[dict[str, Reading], set[str], Spent]:
    decode = msgspec.json.Decoder(Reading).decode
    rows: dict[str, Reading] = {}
    hot: set[str] = set()
    with spent() as took, file.open("rb") as lines:
        for line in lines:
            row = decode(line)
            rows[row.sensor_id] = row
            if row.celsius > LIMIT:
                hot.add(row.sensor_id)
    return rows, hot, took


def _ours(file: Path, count: int) -> Spent:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_fed(file, Path(directory), count))


async def _fed(file: Path, data: Path, count: int) -> Spent:
    async with hosted(app.declared(), data) as engine:
        with spent() as took, file.open("rb") as lines:
            await feed(engine, "readings", _chunks(lines), ahead=AHEAD)
        context = engine.shard.fold.context
        found = dict(context.tables["readings"].rows)
        sites = {site: len(bucket.keys) for site, bucket in context.indexes["readings.site"].buckets.items()}
        alarmed = set(context.tables["alarms"].rows)
    _check(file, data, count, found, sites, alarmed)
    return took


def _chunks(lines: BinaryIO) -> Iterator[bytes]:
    while chunk := lines.read(CHUNK):
        yield chunk + lines.readline()


def _check(
    file: Path, data: Path, count: int, found: dict[str, Reading], sites: dict[str, int], alarmed: set[str]
) -> None:
    rows, hot, _ = _recomputed(file)
    expect("rows", found == rows, True)
    expect("rows at each site", sites, dict(Counter(row.site for row in rows.values())))
    expect("alarms only of what was hot", alarmed <= hot, True)
    expect("alarms of all that are hot", {key for key in hot if rows[key].celsius > LIMIT} <= alarmed, True)
    store = SqliteStore(data / LOG, read_only=True)
    kept = sum(entry.count for entry in store.entries() if entry.kind == "events")
    store.close()
    expect("events in the log", kept, count)
