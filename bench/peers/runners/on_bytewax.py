"""Bytewax, one worker. Lines come from its file source, and are decoded with msgspec a batch at a time.

W1 and W3 keep state in `stateful_batch`. The variant "keyed" has a state for each sensor, as one would write it; the
variant "batched" has 64 states with a dict each, which is quicker and makes snapshots larger. Results are read from
the states themselves, at no cost. W3 has a recovery store with an epoch of 1 s. In W4 the clock of the windows stands
still but for the events: with Bytewax's default it would go on with the wall clock, and events would be late in a slow
replay. W2 has a source that is asked for what a queue holds.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import queue
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zlib import crc32

import bytewax.operators as op
import bytewax.operators.windowing as win
import msgspec
from bytewax._bytewax import cli_main
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir

from bench.peers.pacing import Pace
from bench.peers.work import Outcome, Task, latest_digests, run, timed, window_digests

BATCH = 10_000
BUCKETS = 64
EPOCH = timedelta(seconds=1)
ALIGNED = datetime(2026, 1, 1, tzinfo=UTC)
STILL = datetime(2026, 1, 1, tzinfo=UTC)


class _Partition(StatelessSinkPartition):
    def __init__(self, take: Any) -> None:
        self.take = take

    def write_batch(self, items: list[Any]) -> None:
        self.take(items)


class Calling(DynamicSink):
    """A sink that calls a function with each batch of items."""

    def __init__(self, take: Any) -> None:
        self.take = take

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Partition:
        return _Partition(self.take)


class OneSensor(op.StatefulBatchLogic):
    """The latest row and the count of one sensor."""

    def __init__(self, state: tuple[Any, int] | None, limit: int) -> None:
        self.row, self.count = state or (None, 0)
        self.limit = limit

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        self.row = values[-1]
        self.count += len(values)
        limit = self.limit
        return [value for value in values if value.value > limit], False

    def snapshot(self) -> tuple[Any, int]:
        return self.row, self.count


class ManySensors(op.StatefulBatchLogic):
    """The latest rows and the counts of the sensors of one bucket."""

    def __init__(self, state: tuple[dict[str, Any], dict[str, int]] | None, limit: int) -> None:
        self.rows, self.counts = state or ({}, {})
        self.limit = limit

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        rows, counts, limit = self.rows, self.counts, self.limit
        hot = []
        for value in values:
            key = value.sensor_id
            rows[key] = value
            counts[key] = counts.get(key, 0) + 1
            if value.value > limit:
                hot.append(value)
        return hot, False

    def snapshot(self) -> tuple[dict[str, Any], dict[str, int]]:
        return dict(self.rows), dict(self.counts)


def keep_latest(task: Task) -> Outcome:
    """W1."""
    return _keep_latest(task, {"epoch_interval": timedelta(seconds=10)})


def keep_durable(task: Task) -> Outcome:
    """W3."""
    store = Path(task.scratch) / "recovery"
    store.mkdir()
    init_db_dir(store, 1)
    return _keep_latest(task, {"epoch_interval": EPOCH, "recovery_config": RecoveryConfig(store)})


def _keep_latest(task: Task, options: dict[str, Any]) -> Outcome:
    decode = msgspec.json.Decoder(task.event).decode
    states: list[Any] = []
    hot: list[int] = []
    keyed = task.variant == "keyed"
    logic = OneSensor if keyed else ManySensors

    def keys_and_events(lines: list[str]) -> list[tuple[str, Any]]:
        events = list(map(decode, lines))
        if keyed:
            return [(event.sensor_id, event) for event in events]
        return [(str(crc32(event.sensor_id.encode()) % BUCKETS), event) for event in events]

    def build(state: Any) -> Any:
        made = logic(state, task.limit)
        states.append(made)
        return made

    flow = Dataflow("latest")
    lines = op.input("lines", flow, FileSource(task.file, batch_size=BATCH))
    events = op.flat_map_batch("decode", lines, keys_and_events)
    triggered = op.stateful_batch("latest", events, build)
    op.output("trigger", triggered, Calling(lambda items: hot.extend(event.sequence for _, event in items)))
    with timed() as took:
        cli_main(flow, **options)
    if keyed:
        latest = {state.row.sensor_id: state.row.sequence for state in states}
        counts = {state.row.sensor_id: state.count for state in states}
    else:
        latest = {key: row.sequence for state in states for key, row in state.rows.items()}
        counts = {key: count for state in states for key, count in state.counts.items()}
    results = latest_digests(latest, counts, hot)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


def close_minutes(task: Task) -> Outcome:
    """W4."""
    decode = msgspec.json.Decoder(task.event).decode
    closed: list[tuple[str, int, int, int]] = []
    late: list[Any] = []
    origin_s = int(ALIGNED.timestamp())

    def keys_and_events(lines: list[str]) -> list[tuple[str, Any]]:
        return [(event.sensor_id, event) for event in map(decode, lines)]

    def fold(window: tuple[int, int], event: Any) -> tuple[int, int]:
        return window[0] + 1, window[1] + event.value

    def take(items: list[Any]) -> None:
        closed.extend((key, origin_s + number * 60, count, total) for key, (number, (count, total)) in items)

    flow = Dataflow("minutes")
    lines = op.input("lines", flow, FileSource(task.file, batch_size=BATCH))
    events = op.flat_map_batch("decode", lines, keys_and_events)
    clock = win.EventClock(
        lambda event: event.taken_at,
        timedelta(seconds=30),
        now_getter=lambda: STILL,
        to_system_utc=lambda _: None,  # else, as all ends are long past, each sensor is looked at again and again
    )
    windower = win.TumblingWindower(length=timedelta(minutes=1), align_to=ALIGNED)
    minutes = win.fold_window(
        "minutes", events, clock, windower, lambda: (0, 0), fold, lambda one, two: (one[0] + two[0], one[1] + two[1]),
        ordered=False,
    )  # fmt: skip
    op.output("closed", minutes.down, Calling(take))
    op.output("late", minutes.late, Calling(late.extend))
    with timed() as took:
        cli_main(flow, epoch_interval=timedelta(seconds=10))
    notes = [f"{len(late):,} events were late"] if late else []
    results = window_digests(closed, task.end_key)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results, notes=notes)


class _QueuePartition(StatelessSourcePartition):
    def __init__(self, waiting: queue.SimpleQueue[bytes | None]) -> None:
        self.waiting = waiting

    def next_batch(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                event = self.waiting.get_nowait()
            except queue.Empty:
                return found
            if event is None:
                raise StopIteration
            found.append(event)

    def next_awake(self) -> datetime | None:
        """At once: the default is to wait for a millisecond after an empty batch. It costs a core."""
        return datetime.now(UTC)


class Queued(DynamicSource):
    """A source of what a thread puts into a queue; None ends it."""

    def __init__(self, waiting: queue.SimpleQueue[bytes | None]) -> None:
        self.waiting = waiting

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _QueuePartition:
        return _QueuePartition(self.waiting)


def trigger(task: Task) -> Outcome:
    """W2. Each event goes through the state of its sensor, and triggers."""
    decode = msgspec.json.Decoder(task.event).decode
    pace = Pace(task)
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def key_and_event(line: bytes) -> tuple[str, Any]:
        event = decode(line)
        return event.sensor_id, event

    def take(items: list[Any]) -> None:
        for _, event in items:
            pace.trigger(event.sequence)

    flow = Dataflow("trigger")
    events = op.map("decode", op.input("queue", flow, Queued(waiting)), key_and_event)
    triggered = op.stateful_batch("latest", events, lambda state: OneSensor(state, task.limit))
    op.output("trigger", triggered, Calling(take))

    def all_sent_then_end() -> None:
        sender.join()
        pace.wait()
        waiting.put(None)

    with timed() as took:
        sender = pace.start(lambda event, _: waiting.put(event))
        pace.beside(all_sent_then_end)
        cli_main(flow, epoch_interval=timedelta(seconds=10))
    outcome = pace.outcome()
    outcome.processor_s = took.processor_s
    return outcome


WORKS = {"W1": keep_latest, "W2": trigger, "W3": keep_durable, "W4": close_minutes}

if __name__ == "__main__":
    run(WORKS, f"Bytewax {version('bytewax')}")
