"""What the runners share: the task that each is given, what it reports, and how results become comparable.

Imported in the peers' environments too, so it needs nothing but the standard library and msgspec.
"""

from __future__ import annotations

import gc
import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

__all__ = [
    "AT_A_TIME",
    "MINUTE_S",
    "Latencies",
    "Outcome",
    "Reading",
    "Results",
    "Short",
    "Task",
    "Timed",
    "answer",
    "decided_digests",
    "latest_digests",
    "percentiles",
    "run",
    "timed",
    "window_digests",
]

MINUTE_S = 60
AT_A_TIME = 64
"""How many decisions of W8 are under way at once."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """An event with all of its ten fields."""

    sensor_id: str
    sequence: int
    taken_at: datetime
    value: int
    site: str
    kind: str
    unit: str
    battery: float
    firmware: str
    ok: bool


class Short(msgspec.Struct, frozen=True, gc=False):
    """An event of which five fields are kept."""

    sensor_id: str
    sequence: int
    taken_at: datetime
    value: int
    site: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner has to do: `work` on the `count` lines of `file`, with `scratch` to write to.

    `rate` and `seconds` are those of W2, `fields` is how many of an event's fields the row keeps, and `variant` names
    one of several ways that a peer has.
    """

    work: str
    file: str
    count: int
    limit: int
    end_key: str
    scratch: str
    fields: int = 10
    rate: int = 0
    seconds: float = 0.0
    variant: str = ""

    @property
    def event(self) -> type[Reading] | type[Short]:
        return Reading if self.fields == 10 else Short


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """From event to trigger, in milliseconds. `behind_ms` is by how much the sender itself was late, at its p99."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    behind_ms: float


Results = dict[str, Any]


class Outcome(msgspec.Struct, kw_only=True):
    """What a runner reports. `results` is compared with those of the plain loop; the rest is what it cost."""

    seconds: float = 0.0
    processor_s: float = 0.0
    peak_mb: float = 0.0
    results: Results = {}
    latencies: Latencies | None = None
    version: str = ""
    notes: list[str] = []


class Timed(msgspec.Struct):
    """What a block took, by the wall clock and of the processor in all threads."""

    seconds: float = 0.0
    processor_s: float = 0.0


@contextmanager
def timed() -> Generator[Timed]:
    """Measures the block; what garbage there was before is not counted."""
    gc.collect()
    took = Timed()
    processor, wall = time.process_time(), time.perf_counter()
    try:
        yield took
    finally:
        took.seconds = time.perf_counter() - wall
        took.processor_s = time.process_time() - processor


# ---- results


def latest_digests(latest: Mapping[str, int], counts: Mapping[str, int], triggered: Iterable[int]) -> Results:
    """The results of W1 and W3: the sequence number of each key's latest row, events per key, events that triggered."""
    hot = sorted(triggered)
    return {
        "keys": len(latest),
        "latest": _digest(f"{key} {latest[key]}" for key in sorted(latest)),
        "events": sum(counts.values()),
        "counts": _digest(f"{key} {counts[key]}" for key in sorted(counts)),
        "triggers": len(hot),
        "triggered": _digest(map(str, hot)),
    }


def window_digests(windows: Iterable[tuple[str, int, int, int]], end_key: str) -> Results:
    """The results of W4: (key, start in epoch seconds, count, sum) of each closed window, without the end's own."""
    rows = sorted(window for window in windows if window[0] != end_key)
    return {
        "windows": len(rows),
        "events": sum(row[2] for row in rows),
        "rows": _digest(f"{key} {start} {count} {total}" for key, start, count, total in rows),
    }


def answer(step: int, number: int) -> int:
    """What is answered to each of the three asks of a decision in W8: the first is about an event's value, each other
    one about the answer before."""
    return (number * 31 + step) % 1009


def decided_digests(verdicts: Mapping[int, int], trails: Mapping[int, int], performed: Iterable[int]) -> Results:
    """The results of W8, by the events' sequence numbers: the two rows that each decision wrote, and its effects."""
    done = sorted(performed)
    return {
        "decisions": len(verdicts),
        "verdicts": _digest(f"{key} {verdicts[key]}" for key in sorted(verdicts)),
        "trails": _digest(f"{key} {trails[key]}" for key in sorted(trails)),
        "effects": len(done),
        "performed": _digest(map(str, done)),
    }


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def percentiles(taken_s: list[float], behind_s: list[float]) -> Latencies:
    """Latencies of all events but the first tenth, in which caches and code warm up."""
    warm = sorted(taken_s[len(taken_s) // 10 :])
    behind = sorted(behind_s[len(behind_s) // 10 :])
    return Latencies(
        p50_ms=_at(warm, 0.5) * 1e3, p99_ms=_at(warm, 0.99) * 1e3, worst_ms=warm[-1] * 1e3,
        behind_ms=_at(behind, 0.99) * 1e3,
    )  # fmt: skip


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


# ---- the process


def run(works: Mapping[str, Callable[[Task], Outcome]], version: str) -> None:
    """The whole of a runner: does the task named on the command line, and writes what came of it."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    report(works[task.work](task), version)


def report(outcome: Outcome, version: str) -> None:
    """Writes the outcome where the command line says."""
    outcome.version = version
    outcome.peak_mb = _peak_mb()
    path = Path(sys.argv[2])
    path.with_suffix(".part").write_bytes(msgspec.json.encode(outcome))
    os.replace(path.with_suffix(".part"), path)


def _peak_mb() -> float:
    """The most memory that was resident. `ru_maxrss` also counts who started this process, so the kernel is asked."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
