"""A file that feeds an app is read once, whatever happens: it grows, the engine is killed, a line is no good."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Csv, Lines, Record
from extrovert.connectors.files import Files
from extrovert.core.log import Events
from extrovert.testing.world import World
from tests.hosts import Host, serving, until

DAY = datetime(2025, 6, 1, tzinfo=UTC)


class Reading(Record):
    reading_id: int
    sensor: str = "A"
    taken_at: datetime | None = None


class Count(Record):
    sensor: str
    readings: int


def plant(source: Callable[[Any], Files]) -> App:
    """Counts the readings of each sensor; nothing but the position keeps a line from counting twice."""
    app = App("plant")
    readings = app.stream("readings", Reading, key=Reading.sensor)
    app.table("counts", Count, key=Count.sensor, source=readings, fold=counted)
    app.source(source(readings))
    return app


def counted(count: Count | None, reading: Reading) -> Count:
    return Count(reading.sensor, (count.readings if count else 0) + 1)


def lines(*numbers: int, **fields: str) -> bytes:
    return b"".join(json.dumps({"reading_id": number, **fields}).encode() + b"\n" for number in numbers)


def numbers(host: Host) -> list[int]:
    """The readings in order of the log."""
    return [json.loads(bytes(raw))["reading_id"] for body in host.bodies(Events) for raw in body.data]


# ---- in virtual time


async def test_a_file_is_taken_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(lines(*range(1_000)))
    host = Host(plant(lambda stream: Lines(tmp_path / "in.jsonl", stream)), tmp_path / "log")
    await host.settle()
    assert numbers(host) == [*range(1_000)]


@settings(max_examples=25, deadline=None)
@given(
    lives=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 20), st.sampled_from(["crash", "flush", "stop", ""])), max_size=6
    )
)
def test_a_file_that_grows_is_read_once_through_crashes(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int, str]]
) -> None:
    asyncio.run(through(tmp_path_factory, lives))


async def through(tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int, str]]) -> None:
    home = tmp_path_factory.mktemp("grows")
    path = home / "in.jsonl"
    path.touch()
    host = Host(plant(lambda stream: Lines(path, stream, follow=True)), home / "log")
    written = b""
    for more, partial, end in lives:
        start = written.count(b"\n")
        whole = lines(*range(start, start + more + 1))
        written = written[: written.rfind(b"\n") + 1] + whole[: len(whole) - partial]
        path.write_bytes(written)
        await host.advance(1)
        if end in ("flush", "stop"):
            host.flush()
        if end == "stop":
            await host.stop()
            host.begin()
        elif end:
            host.crash()
    await host.advance(1)
    assert numbers(host) == [*range(written.count(b"\n"))]


async def test_bad_lines_are_dead_letters_with_their_line_and_cause(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("reading_id,sensor,taken_at\n1,A,\nx,A,\n3,A,2025-06-01T00:00:00\n4,,\n")
    host = Host(plant(lambda stream: Csv(tmp_path / "in", stream)), tmp_path / "log")
    await host.settle()
    host.crash()
    await host.settle()
    assert numbers(host) == [1]
    assert [(one.source, one.line, one.cause) for one in host.dead_letters()] == [
        ("readings/a.csv", 3, "Expected `int`, got `str` - at `$.reading_id`"),
        ("readings/a.csv", 4, "`taken_at` is 2025-06-01T00:00:00, without a time zone; add Z or an offset"),
        ("readings/a.csv", 5, "the key `sensor` must be a whole number or 1 to 512 characters of text"),
    ]


async def test_what_cannot_be_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    with World(plant(lambda stream: Lines(tmp_path / "nowhere.jsonl", stream))) as world:
        await world.advance(timedelta(seconds=1))
        assert [letter.cause for letter in world.dead_letters()] == [
            f"source `readings` cannot be read: FileNotFoundError: there is nothing at {tmp_path / 'nowhere.jsonl'}"
        ]


# ---- at a speed


def recorded(tmp_path: Path) -> Path:
    """Twenty readings a minute apart, one of them no good, two out of order."""
    path = tmp_path / "in.jsonl"
    at = [(DAY + timedelta(minutes=minute)).isoformat() for minute in range(20)]
    at[7], at[8] = at[8], at[7]
    rows = [lines(number, taken_at=moment) for number, moment in enumerate(at)]
    rows[4] = b"no\n"
    path.write_bytes(b"".join(rows))
    return path


def arrived(host: Host) -> list[tuple[float, int]]:
    """(seconds since the first, reading) in order of the log."""
    found: list[tuple[float, int]] = []
    entries = [entry for entry in host.entries() if entry.kind == "events"]
    for entry in entries:
        for one in json.loads(entry.body)["data"]:
            found.append(((entry.at_us - entries[0].at_us) / 1e6, one["reading_id"]))
    return found


PACED = [(float(max(n, 8) if n == 8 else 8 if n == 7 else n), n) for n in range(20) if n != 4]


def at_sixty(path: Path) -> App:
    return plant(lambda stream: Lines(path, stream, at=Reading.taken_at, speed=60))


async def test_records_come_at_their_times_at_the_speed(tmp_path: Path) -> None:
    host = Host(at_sixty(recorded(tmp_path)), tmp_path / "log")
    await host.settle()
    assert arrived(host) == PACED
    assert [(letter.line, letter.raw) for letter in host.dead_letters()] == [(5, "no")]


@pytest.mark.parametrize("after", [0.0, 3.5, 4.0, 7.5, 12.0])
async def test_a_crash_changes_neither_what_comes_nor_when(tmp_path: Path, after: float) -> None:
    host = Host(at_sixty(recorded(tmp_path)), tmp_path / "log")
    await host.advance(after)
    host.flush()
    host.crash()
    await host.settle()
    assert arrived(host) == PACED


# ---- in real time


async def test_a_file_that_is_followed_is_taken_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    app = plant(lambda stream: Lines(path, stream, follow=True, every=timedelta(milliseconds=1)))
    for life in range(3):
        async with serving(app, tmp_path / "data") as engine:
            rows = engine.shard.fold.context.tables["counts"].rows
            for step in range(3):
                wanted = (life * 3 + step + 1) * 100
                with path.open("ab") as file:
                    file.write(lines(*range(100)))
                await until(lambda wanted=wanted, rows=rows: rows.get("A") == Count("A", wanted))


async def test_a_file_that_is_read_once_comes_to_its_end(tmp_path: Path) -> None:
    from extrovert.engine.hosting import opened

    (tmp_path / "in.jsonl").write_bytes(lines(*range(50_000)))
    app = plant(lambda stream: Lines(tmp_path / "in.jsonl", stream))
    for _ in range(2):
        with opened(app.declared(), tmp_path / "data") as engine:
            async with asyncio.timeout(20):
                await engine.run(until="idle")
            assert engine.shard.fold.context.tables["counts"].rows["A"] == Count("A", 50_000)
            await engine.close()


FOLLOWING = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from extrovert import Lines
from tests.spec.test_files_are_read_once import plant

async def main(path, data):
    app = plant(lambda stream: Lines(path, stream, follow=True, every=timedelta(milliseconds=1)))
    async with app.serving(data) as engine:
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_process_that_is_killed_while_it_follows_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path, data, number = tmp_path / "in.jsonl", tmp_path / "data", 0
    for _ in range(4):
        command = [sys.executable, "-c", FOLLOWING, str(path), str(data)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as following:
            assert following.stdout is not None
            following.stdout.readline()
            for _ in range(200):
                with path.open("ab") as file:
                    file.write(lines(*range(number, number + 50)))
                number += 50
            following.send_signal(signal.SIGKILL)
    host = Host(plant(lambda stream: Lines(path, stream, follow=True)), data / "log.sqlite")
    asyncio.run(host.advance(1))
    assert numbers(host) == [*range(number)]


# ---- what a program sends


async def test_what_is_sent_is_durable_when_it_returns(tmp_path: Path) -> None:
    app = App("plant")
    readings = app.stream("readings", Reading, key=Reading.sensor)
    async with serving(app, tmp_path / "data") as engine:
        report = await engine.send(readings, (Reading(number) for number in range(5_000)))
        assert report.accepted == 5_000
        assert engine.writing.durable >= 5_000
        bad = await engine.send(readings, [Reading(1), Reading("x"), Reading(3)])  # pyright: ignore[reportArgumentType]
        assert (bad.accepted, [number for number, _ in bad.rejected]) == (2, [2])

        async def coming() -> AsyncIterator[Reading]:
            for number in range(3):
                yield Reading(number)

        assert (await engine.send(readings, coming(), source="belt")).accepted == 3


async def test_who_sends_faster_than_is_written_waits(tmp_path: Path) -> None:
    app = App("plant")
    readings = app.stream("readings", Reading, key=Reading.sensor)
    behind: list[int] = []
    async with serving(app, tmp_path / "data") as engine:

        def many() -> Iterator[Reading]:
            for number in range(100_000):
                behind.append(engine.shard.fold.end - 1 - engine.writing.durable)
                yield Reading(number)

        await engine.send(readings, many())
    assert max(behind) <= 21_000
