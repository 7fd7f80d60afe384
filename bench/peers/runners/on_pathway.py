"""Pathway, one worker. It reads the JSON lines itself, streaming, and commits every 1.5 s, which is its default.

The latest row of a sensor is the one with the greatest sequence number, since Pathway keeps no order inside a commit.
What comes out is taken by `subscribe`: the latest rows with the counts, and the events above the limit. A stream of
files never ends, so the clock stops when the counts are those of all events. The variant "static" reads the file as one
batch. W3 keeps snapshots every second; the last of them is not waited for. In W4 a window comes once, when event time
is 30 s past its end. In W2 the variant is the time between commits in milliseconds; events are handed over decoded.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pathway as pw

from bench.peers.pacing import Pace
from bench.peers.work import Outcome, Results, Task, latest_digests, run, timed, window_digests

PATIENCE_S = 60.0
"""How long nothing may come before a run is taken to be over, though it lacks something."""


class Short(pw.Schema):
    """An event of which five fields are kept."""

    sensor_id: str
    sequence: int
    taken_at: str
    value: int
    site: str


class Reading(Short):
    """An event with all of its ten fields."""

    kind: str
    unit: str
    battery: float
    firmware: str
    ok: bool


class Progress:
    """How many events have been accounted for, and when that last changed."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.counted = 0
        self.changed = time.monotonic()
        self.done = threading.Event()

    def count(self, events: int) -> None:
        """So many more (or fewer) are in what has come out."""
        self.counted += events
        self.changed = time.monotonic()
        if self.counted == self.wanted:
            self.done.set()

    def wait(self) -> None:
        """Returns when all events are accounted for, or when nothing more comes."""
        while not self.done.wait(1.0):
            if time.monotonic() - self.changed > PATIENCE_S:
                return


def keep_latest(task: Task) -> Outcome:
    """W1."""
    return _keep_latest(task)


def keep_durable(task: Task) -> Outcome:
    """W3."""
    backend = pw.persistence.Backend.filesystem(Path(task.scratch) / "snapshots")
    return _keep_latest(task, persistence_config=pw.persistence.Config(backend, snapshot_interval_ms=1_000))


def _keep_latest(task: Task, **options: Any) -> Outcome:
    latest: dict[str, int] = {}
    counts: dict[str, int] = {}
    hot: list[int] = []
    progress = Progress(task.count)
    schema = Reading if task.fields == 10 else Short
    table = pw.io.jsonlines.read(task.file, schema=schema, mode=_mode(task), name="lines")
    summed = table.groupby(table.sensor_id).reduce(
        sensor=table.sensor_id, events=pw.reducers.count(), last=pw.reducers.argmax(table.sequence)
    )
    last = table.ix(summed.last)
    rows = summed.select(summed.events, **{name: last[name] for name in schema.column_names()})

    def row_changed(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            latest[row["sensor_id"]] = row["sequence"]
            counts[row["sensor_id"]] = row["events"]
        progress.count(row["events"] if is_addition else -row["events"])

    def triggered(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        hot.append(row["sequence"])

    above = table.filter(table.value > task.limit)
    pw.io.subscribe(above.select(above.sensor_id, above.sequence), on_change=triggered)
    pw.io.subscribe(rows, on_change=row_changed)
    return _run(progress, lambda: latest_digests(latest, counts, hot), options)


def close_minutes(task: Task) -> Outcome:
    """W4."""
    closed: list[tuple[str, int, int, int]] = []
    progress = Progress(task.count - 1)  # the minute of the last event, which is the end's own, is not closed
    table = pw.io.jsonlines.read(task.file, schema=Short, mode=_mode(task), name="lines")
    timed_table = table.select(table.sensor_id, table.value, at=table.taken_at.dt.strptime("%Y-%m-%dT%H:%M:%S.%fZ"))
    minutes = timed_table.windowby(
        timed_table.at,
        window=pw.temporal.tumbling(duration=timedelta(minutes=1)),
        behavior=pw.temporal.exactly_once_behavior(shift=timedelta(seconds=30)),
        instance=timed_table.sensor_id,
    ).reduce(
        sensor=pw.this._pw_instance,
        start=pw.this._pw_window_start,
        events=pw.reducers.count(),
        total=pw.reducers.sum(pw.this.value),
    )
    minutes = minutes.select(minutes.sensor, minutes.events, minutes.total, start=minutes.start.dt.timestamp(unit="s"))

    def came(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if row["sensor"] == task.end_key:
            return
        if is_addition:
            closed.append((row["sensor"], int(row["start"]), row["events"], row["total"]))
        progress.count(row["events"] if is_addition else -row["events"])

    pw.io.subscribe(minutes, on_change=came)
    return _run(progress, lambda: window_digests(closed, task.end_key), {})


def _mode(task: Task) -> str:
    return "static" if task.variant == "static" else "streaming"


def _run(progress: Progress, results: Callable[[], Results], options: dict[str, Any]) -> Outcome:
    """Runs the graph beside until all events are accounted for; the process then ends, and the graph with it."""
    with timed() as took:
        _begin(options)
        progress.wait()
    notes = [] if progress.done.is_set() else [f"{progress.counted:,} of {progress.wanted:,} events came out"]
    time.sleep(0.5)  # what belongs to the same commit may come a little later
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results(), notes=notes)


def _begin(options: dict[str, Any]) -> None:
    def graph() -> None:
        try:
            pw.run(monitoring_level=pw.MonitoringLevel.NONE, **options)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)

    threading.Thread(target=graph, daemon=True).start()


class Sending(pw.io.python.ConnectorSubject):
    """A source that hands over what the pace says, when it says so."""

    def __init__(self, pace: Pace, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.pace = pace
        self.rows = rows

    def run(self) -> None:
        self.pace.send(lambda _, number: self.next(**self.rows[number]))
        self.pace.wait()  # were the source to end, what waits for a commit would be committed at once


def trigger(task: Task) -> Outcome:
    """W2. Each event changes the latest row of its sensor, which triggers."""
    pace = Pace(task)
    rows = [msgspec.json.decode(line) for line in pace.lines]
    table = pw.io.python.read(Sending(pace, rows), schema=Reading, autocommit_duration_ms=int(task.variant))

    def triggered(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            pace.trigger(row["sequence"])

    above = table.filter(table.value > task.limit)
    pw.io.subscribe(above.select(above.sensor_id, above.sequence), on_change=triggered)
    with timed() as took:
        _begin({})
        pace.wait()
    outcome = pace.outcome()
    outcome.processor_s = took.processor_s
    return outcome


WORKS = {"W1": keep_latest, "W2": trigger, "W3": keep_durable, "W4": close_minutes}

if __name__ == "__main__":
    run(WORKS, f"Pathway {version('pathway')}")
    os._exit(0)
