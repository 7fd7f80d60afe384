"""Measuring: figures from several runs, alternated with those of a reference, since machines are noisy."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec

__all__ = ["Figure", "Scale", "Spent", "WrongResult", "alternate", "expect", "resident", "spent"]


A = TypeVar("A")
B = TypeVar("B")


class Scale(msgspec.Struct, frozen=True):
    """How much to do: `runs` of each bench, with `share` of the full number of events."""

    runs: int
    share: float

    def of(self, full: int) -> int:
        """`full`, scaled down."""
        return max(1, round(full * self.share))


class WrongResult(Exception):
    """A bench came to another result than a plain recomputation: its figures mean nothing."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing measured: a value for each run and, where there is a reference, the reference's value beside each."""

    bench: str
    what: str
    unit: str
    runs: list[float]
    beside: str = ""
    references: list[float] = []
    aim: str = ""

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def ratios(self) -> list[float]:
        """Each run's value as a multiple of the reference's in the same pair."""
        return [value / reference for value, reference in zip(self.runs, self.references, strict=False)]


class Spent(msgspec.Struct):
    """Seconds that a block took: by the wall clock, and of the processor in this thread and in all threads."""

    wall_s: float = 0.0
    thread_s: float = 0.0
    process_s: float = 0.0


@contextmanager
def spent() -> Generator[Spent]:
    """Measures the block; what garbage there was before is not counted."""
    gc.collect()
    took = Spent()
    process, thread, wall = time.process_time(), time.thread_time(), time.perf_counter()
    try:
        yield took
    finally:
        took.wall_s = time.perf_counter() - wall
        took.thread_s = time.thread_time() - thread
        took.process_s = time.process_time() - process


def alternate(runs: int, ours: Callable[[], A], reference: Callable[[], B]) -> list[tuple[A, B]]:
    """`runs` pairs of one of ours and one of the reference, each time in the other order."""
    pairs: list[tuple[A, B]] = []
    for turn in range(runs):
        if turn % 2:
            first = ours()
            pairs.append((first, reference()))
        else:
            second = reference()
            pairs.append((ours(), second))
    return pairs


def expect(what: str, found: object, wanted: object) -> None:
    """Raises `WrongResult` where a result is not what a plain recomputation gives."""
    if found != wanted:
        raise WrongResult(f"{what}: {_short(found)}, but a plain recomputation gives {_short(wanted)}")


def resident() -> int:
    """Bytes of this process that are in memory now, garbage left out."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("the kernel does not tell how much is resident")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"
