"""Ordered: tuples in order, in blocks, so that one more or one less among very many costs little."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Any

__all__ = ["Ordered"]

BLOCK = 512
"""A block is split when it has twice as many entries."""

Entry = tuple[Any, ...]


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
        blocks = self._blocks
        at = 0 if low is None else bisect_left(self._lasts, low)
        if at == len(blocks):
            return
        start = 0 if low is None else bisect_left(blocks[at], low)
        yield from islice(blocks[at], start, None)
        for later in range(at + 1, len(blocks)):
            yield from blocks[later]
