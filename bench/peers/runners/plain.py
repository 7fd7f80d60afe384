"""The plain reference: a loop that decodes with msgspec into a struct and keeps a dict. Its results are what is right.

W3 also appends each line to a file, and makes it durable (fdatasync) for every thousand. W4 closes a window when event
time is 30 s past its end, which takes a look at the open minutes each time that it moves on by a second. W2 is a queue
between two threads. W8 writes what a decision writes to a SQLite file, and commits it, durably, for 64 at a time; it
remembers no answers, since it makes none that are worth it.
"""

from __future__ import annotations

import os
import platform
import queue
import sqlite3
import threading
from itertools import islice
from pathlib import Path

import msgspec

from bench.peers.pacing import Pace
from bench.peers.work import (
    AT_A_TIME,
    MINUTE_S,
    Outcome,
    Task,
    answer,
    decided_digests,
    latest_digests,
    run,
    timed,
    window_digests,
)

DURABLE_EVERY = 1_000
DISORDER_S = 30


def keep_latest(task: Task) -> Outcome:
    """W1."""
    decode = msgspec.json.Decoder(task.event).decode
    limit = task.limit
    rows: dict[str, object] = {}
    counts: dict[str, int] = {}
    hot: list[int] = []
    with timed() as took, Path(task.file).open("rb") as lines:
        for line in lines:
            row = decode(line)
            key = row.sensor_id
            rows[key] = row
            counts[key] = counts.get(key, 0) + 1
            if row.value > limit:
                hot.append(row.sequence)
    return _latest(took.seconds, took.processor_s, rows, counts, hot)


def keep_durable(task: Task) -> Outcome:
    """W3."""
    decode = msgspec.json.Decoder(task.event).decode
    limit = task.limit
    rows: dict[str, object] = {}
    counts: dict[str, int] = {}
    hot: list[int] = []
    log = Path(task.scratch) / "log.jsonl"
    with timed() as took, Path(task.file).open("rb") as lines, log.open("wb") as out:
        gathered: list[bytes] = []
        for line in lines:
            row = decode(line)
            key = row.sensor_id
            rows[key] = row
            counts[key] = counts.get(key, 0) + 1
            if row.value > limit:
                hot.append(row.sequence)
            gathered.append(line)
            if len(gathered) == DURABLE_EVERY:
                out.writelines(gathered)
                out.flush()
                os.fdatasync(out.fileno())
                gathered.clear()
        out.writelines(gathered)
        out.flush()
        os.fdatasync(out.fileno())
    assert log.stat().st_size == Path(task.file).stat().st_size
    return _latest(took.seconds, took.processor_s, rows, counts, hot)


def _latest(
    seconds: float, processor_s: float, rows: dict[str, object], counts: dict[str, int], hot: list[int]
) -> Outcome:
    latest = {key: getattr(row, "sequence") for key, row in rows.items()}  # noqa: B009
    return Outcome(seconds=seconds, processor_s=processor_s, results=latest_digests(latest, counts, hot))


def close_minutes(task: Task) -> Outcome:
    """W4."""
    decode = msgspec.json.Decoder(task.event).decode
    minutes: dict[int, dict[str, list[int]]] = {}
    closed: list[tuple[str, int, int, int]] = []
    now_s, late = 0, 0
    closed_until_s = 0

    def close(until_s: int) -> None:
        for start_s in [start_s for start_s in minutes if start_s + MINUTE_S <= until_s]:
            closed.extend((key, start_s, count, total) for key, (count, total) in minutes.pop(start_s).items())

    with timed() as took, Path(task.file).open("rb") as lines:
        for line in lines:
            event = decode(line)
            at_s = int(event.taken_at.timestamp())
            start_s = at_s - at_s % MINUTE_S
            if start_s + MINUTE_S <= closed_until_s:
                late += 1
                continue
            minute = minutes.get(start_s)
            if minute is None:
                minute = minutes[start_s] = {}
            window = minute.get(event.sensor_id)
            if window is None:
                minute[event.sensor_id] = [1, event.value]
            else:
                window[0] += 1
                window[1] += event.value
            if at_s > now_s:
                now_s = at_s
                closed_until_s = now_s - DISORDER_S
                close(closed_until_s)
        close(now_s + MINUTE_S)
    results = window_digests(closed, task.end_key)
    assert not late, f"{late} events were late"
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


def hop(task: Task) -> Outcome:
    """W2."""
    decode = msgspec.json.Decoder(task.event).decode
    pace = Pace(task)
    hops: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive() -> None:
        for _ in range(pace.count):
            event = decode(hops.get())
            if event.value > task.limit:
                pace.trigger(event.sequence)

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    with timed() as took:
        pace.start(lambda event, _: hops.put(event))
        pace.wait()
    outcome = pace.outcome()
    outcome.processor_s = took.processor_s
    return outcome


def decide(task: Task) -> Outcome:
    """W8."""
    decode = msgspec.json.Decoder(task.event).decode
    performed: list[int] = []
    store = sqlite3.connect(Path(task.scratch) / "decisions.sqlite", isolation_level=None)
    store.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE verdicts (key INTEGER PRIMARY KEY, value INTEGER);"
        "CREATE TABLE trails (key INTEGER PRIMARY KEY, value INTEGER)"
    )
    with timed() as took, Path(task.file).open("rb") as lines:
        while group := list(islice(lines, AT_A_TIME)):
            store.execute("BEGIN")
            for row in map(decode, group):
                one = answer(1, row.value)
                two = answer(2, one)
                store.execute("INSERT INTO verdicts VALUES (?, ?)", (row.sequence, answer(3, two)))
                store.execute("INSERT INTO trails VALUES (?, ?)", (row.sequence, one + two))
                performed.append(row.sequence)
            store.execute("COMMIT")
    verdicts, trails = (dict(store.execute(f"SELECT * FROM {name}")) for name in ("verdicts", "trails"))
    store.close()
    results = decided_digests(verdicts, trails, performed)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


WORKS = {"W1": keep_latest, "W2": hop, "W3": keep_durable, "W4": close_minutes, "W8": decide}

if __name__ == "__main__":
    run(WORKS, f"Python {platform.python_version()}, msgspec {msgspec.__version__}")
