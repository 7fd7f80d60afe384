"""Ordered: tuples in order, in blocks, so that one more or one less among very many costs little."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

__all__ = ["Ordered", "Place"]

BLOCK = 512
"""A block is split when it has twice as many entries."""

Entry = tuple[Any, ...]
Place = tuple[int, int]
"""A block and a place in it."""


class Ordered:
    """Distinct tuples of values that can be compared, in order."""

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[Entry]] = []
        self._lasts: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return self.since(None)

    def add(self, entry: Entry) -> None:
        """Puts `entry`, which is not there yet, in its place."""
        blocks, lasts = self._blocks, self._lasts
        if not blocks:
            blocks.append([entry])
            lasts.append(entry)
            return
        at = min(bisect_left(lasts, entry), len(blocks) - 1)
        block = blocks[at]
        insort(block, entry)
        if len(block) >= 2 * BLOCK:
            blocks.insert(at + 1, block[BLOCK:])
            lasts.insert(at + 1, block[-1])
            del block[BLOCK:]
        lasts[at] = block[-1]

    def add_many(self, entries: Iterable[Entry]) -> None:
        """Puts `entries`, none of which is there yet, in their places; for as many as there are, or more."""
        ordered = sorted([*self, *entries])
        self._blocks = [ordered[at : at + BLOCK] for at in range(0, len(ordered), BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]

    def remove(self, entry: Entry) -> None:
        """Takes `entry`, which is there, away."""
        at = bisect_left(self._lasts, entry)
        block = self._blocks[at]
        del block[bisect_left(block, entry)]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at], self._lasts[at]

    def since(self, low: Entry | None) -> Iterator[Entry]:
        """The entries from `low` on (None: all). They must not change meanwhile."""
        return self.between(self.place(low), self.end)

    @property
    def end(self) -> Place:
        """The place behind all entries."""
        return len(self._blocks), 0

    def place(self, bound: Entry | None, *, behind: bool = False) -> Place:
        """Where the entries that begin with `bound` start or, with `behind`, where they end. None: the start of all."""
        if bound is None:
            return 0, 0
        if behind:
            at = bisect_right(self._lasts, bound, key=lambda entry: entry[: len(bound)])
            if at == len(self._blocks):
                return self.end
            return at, bisect_right(self._blocks[at], bound, key=lambda entry: entry[: len(bound)])
        at = bisect_left(self._lasts, bound)
        return self.end if at == len(self._blocks) else (at, bisect_left(self._blocks[at], bound))

    def between(self, start: Place, end: Place) -> Iterator[Entry]:
        """The entries from one place up to another, in order."""
        if start >= end:
            return
        for at in range(start[0], min(end[0] + 1, len(self._blocks))):
            yield from islice(self._blocks[at], start[1] if at == start[0] else 0, end[1] if at == end[0] else None)

    def back(self, start: Place, end: Place) -> Iterator[Entry]:
        """The same from the end on."""
        for at in range(min(end[0], len(self._blocks) - 1), start[0] - 1, -1):
            low = start[1] if at == start[0] else 0
            high = end[1] if at == end[0] else len(self._blocks[at])
            block = self._blocks[at]
            for place in range(high - 1, low - 1, -1):
                yield block[place]

    def rank(self, place: Place) -> int:
        """How many entries lie before a place."""
        return sum(map(len, islice(self._blocks, place[0]))) + place[1]
