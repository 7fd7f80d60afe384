"""Sketches: summaries of many values in bounded memory, exact while the values are few, and mergeable."""

from __future__ import annotations

from bisect import insort
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from math import ceil, exp, log
from typing import Any, Generic, TypeVar

import msgspec

__all__ = ["Distinct", "Frequent", "Quantiles"]

V = TypeVar("V")

EXACT = 1_000
"""So many values (of different ones, for the most frequent) are kept as they are."""

HASHES = 2_048
_ALL = 1 << 64
_GAMMA = 1.01 / 0.99
_LOG_GAMMA = log(_GAMMA)


class Quantiles(msgspec.Struct):
    """The distribution of numbers: exact up to 1,000 of them, then within 1 % of the value.

    Beyond, values are counted in buckets whose bounds grow by a constant factor, for each sign: DDSketch (Masson, Rim
    and Lee, 2019). The order in which values come makes no difference.
    """

    values: list[float] = []
    count: int = 0
    buckets: dict[int, int] = {}
    minus: dict[int, int] = {}
    zeros: int = 0

    def add(self, value: float) -> None:
        self.count += 1
        if self.count <= EXACT:
            insort(self.values, float(value))
            return
        if self.values:
            self._to_buckets()
        self._bucket(value, 1)

    def merge(self, other: Quantiles) -> Quantiles:
        both = Quantiles(sorted(self.values + other.values), self.count + other.count)
        for one in (self, other):
            both.zeros += one.zeros
            for to, come in ((both.buckets, one.buckets), (both.minus, one.minus)):
                for index, count in come.items():
                    to[index] = to.get(index, 0) + count
        if both.count > EXACT:
            both._to_buckets()
        return both

    def at(self, part: float) -> float | None:
        """The smallest value that at least this part of the values do not exceed (nearest rank)."""
        if not self.count:
            return None
        rank = max(1, ceil(part * self.count))
        if self.count <= EXACT:
            return self.values[rank - 1]
        for index in sorted(self.minus, reverse=True):
            rank -= self.minus[index]
            if rank <= 0:
                return -_middle(index)
        rank -= self.zeros
        if rank <= 0:
            return 0.0
        found = 0
        for found in sorted(self.buckets):
            rank -= self.buckets[found]
            if rank <= 0:
                break
        return _middle(found)

    def _to_buckets(self) -> None:
        for value in self.values:
            self._bucket(value, 1)
        self.values = []

    def _bucket(self, value: float, count: int) -> None:
        if value == 0:
            self.zeros += count
            return
        of = self.buckets if value > 0 else self.minus
        index = ceil(log(abs(value)) / _LOG_GAMMA)
        of[index] = of.get(index, 0) + count


def _middle(index: int) -> float:
    """The value that is within 1 % of all in the bucket; the largest bucket ends where floats do."""
    return exp(min(709.0, index * _LOG_GAMMA)) * 2 / (_GAMMA + 1)


class Distinct(msgspec.Struct):
    """How many different values there are: exact up to 4,096, then with a standard error of at most 2.2 %.

    The smallest 64-bit hashes are kept, those below `bound`; there are as many more as the bound is smaller than all:
    a theta sketch (Dasgupta, Lang, Rhodes and Thaler, 2015).
    """

    hashes: set[int] = set()
    bound: int = _ALL

    def add(self, value: Any) -> None:
        hashed = _hash(value)
        if hashed < self.bound:
            self.hashes.add(hashed)
            if len(self.hashes) > 2 * HASHES:
                self._shrink()

    def merge(self, other: Distinct) -> Distinct:
        bound = min(self.bound, other.bound)
        both = Distinct({one for one in self.hashes | other.hashes if one < bound}, bound)
        if len(both.hashes) > 2 * HASHES:
            both._shrink()
        return both

    def count(self) -> int:
        return len(self.hashes) * _ALL // self.bound

    def _shrink(self) -> None:
        kept = sorted(self.hashes)
        self.bound = kept[HASHES]
        self.hashes = set(kept[:HASHES])


@lru_cache(maxsize=1 << 16, typed=True)
def _hash(value: Any) -> int:
    return int.from_bytes(blake2b(msgspec.json.encode(value), digest_size=8).digest())


class Frequent(msgspec.Struct, Generic[V]):
    """How often each value came: exact up to 2,000 different values.

    Beyond, a count may be too low by as much as a thousandth of all that came, and rare values are forgotten: Misra and
    Gries (1982), in batches, mergeable (Agarwal and others, 2012).
    """

    counts: dict[V, int] = {}

    def add(self, value: V) -> None:
        counts = self.counts
        counts[value] = counts.get(value, 0) + 1
        if len(counts) > 2 * EXACT:
            self._shrink()

    def merge(self, other: Frequent[V]) -> Frequent[V]:
        both = Frequent(dict(self.counts))
        for value, count in other.counts.items():
            both.counts[value] = both.counts.get(value, 0) + count
        if len(both.counts) > 2 * EXACT:
            both._shrink()
        return both

    def top(self, most: int) -> list[tuple[V, int]]:
        """The most frequent values with their counts; of equally frequent ones, the smallest."""
        return nsmallest(most, self.counts.items(), key=lambda item: (-item[1], item[0]))

    def _shrink(self) -> None:
        too_low = sorted(self.counts.values(), reverse=True)[EXACT]
        self.counts = {value: count - too_low for value, count in self.counts.items() if count > too_low}
