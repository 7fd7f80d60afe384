"""Intervals: which entries of a range index are read, and who watches the one an entry lies in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from extrovert.context.reads import Readable, Watcher

__all__ = ["Bounds", "ByInterval", "Interval"]

Bounds = Literal["[]", "[)", "(]", "()"]
"""Which ends belong to an interval: a square bracket includes its end."""


class Interval(tuple[Any, ...]):
    """A selector of a range index: entries between `low` and `high`, at most `limit` of them, from one end on.

    `low` and `high` are tuples of leading field values, and stand for everything that begins with them. None is open.
    As a tuple it is (low, high, limit), and (bounds, descending) after it where these are not "[]" and False.
    """

    __slots__ = ()

    def __new__(cls, parts: Iterable[Any], bounds: Bounds = "[]", *, descending: bool = False) -> Interval:
        plain = bounds == "[]" and not descending
        return super().__new__(cls, parts if plain else (*parts, bounds, descending))

    @property
    def low(self) -> tuple[Any, ...] | None:
        return self[0]

    @property
    def high(self) -> tuple[Any, ...] | None:
        return self[1]

    @property
    def limit(self) -> int | None:
        return self[2]

    @property
    def bounds(self) -> Bounds:
        return self[3] if len(self) > 3 else "[]"

    @property
    def descending(self) -> bool:
        return len(self) > 3 and self[4]

    def widened(self, more: int) -> Interval:
        """The same with room for `more` entries."""
        limit = None if self.limit is None else self.limit + more
        return Interval((self[0], self[1], limit), self.bounds, descending=self.descending)

    def holds(self, entry: tuple[Any, ...]) -> bool:
        """Whether an entry (field values, then key) lies between low and high."""
        low, high = self[0], self[1]
        if len(self) == 3:
            return (low is None or entry >= low) and (high is None or entry[: len(high)] <= high)
        left, right = self[3]
        if low is not None and not (entry >= low if left == "[" else entry[: len(low)] > low):
            return False
        if high is None:
            return True
        start = entry[: len(high)]
        return start <= high if right == "]" else start < high


class ByInterval(Readable):
    """What is read by interval. Those who watch are found by an entry, quickly where intervals fix the first field."""

    __slots__ = ("_heads",)

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        self._heads: dict[Any, dict[Interval, None]] = {}

    def watch(self, selector: Any, watcher: Watcher) -> None:
        super().watch(selector, watcher)
        self._heads.setdefault(_head(selector), {})[selector] = None

    def unwatch(self, selector: Any, watcher: Watcher) -> None:
        super().unwatch(selector, watcher)
        if selector not in self.watchers:
            head = self._heads.get(_head(selector), {})
            head.pop(selector, None)
            if not head:
                self._heads.pop(_head(selector), None)

    def around(self, entry: tuple[Any, ...]) -> Iterator[Interval]:
        """The intervals that somebody watches and that hold `entry`."""
        for head in (entry[0], _ANY):
            for interval in self._heads.get(head, ()):
                if interval.holds(entry):
                    yield interval


class _Any:
    """Stands for intervals that do not fix the first field."""


_ANY = _Any()


def _head(interval: Interval) -> Any:
    low, high = interval.low, interval.high
    return low[0] if low and high and low[0] == high[0] else _ANY
