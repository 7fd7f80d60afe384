"""Lifetime: when rows of a table are due to go."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any

__all__ = ["Lifetime"]


class Lifetime:
    """When each row of a table is due to go: `ttl_us` after its last write in engine time, or after its event time.

    `due_us` has that by key. The queue holds one entry per row, which is looked up again when its time comes: a row
    that is written often costs no more than one that is not.
    """

    __slots__ = ("_queue", "_queued", "due_us", "ttl_us")

    def __init__(self, ttl_us: int) -> None:
        self.ttl_us = ttl_us
        self.due_us: dict[Any, int] = {}
        self._queue: list[tuple[int, Any]] = []
        self._queued: dict[Any, int] = {}

    def is_due(self, key: Any, due_us: int) -> None:
        """The row at `key` goes at `due_us`."""
        self.due_us[key] = due_us
        queued = self._queued.get(key)
        if queued is None or due_us < queued:
            self._queued[key] = due_us
            heappush(self._queue, (due_us, key))

    def gone(self, key: Any) -> None:
        """There is no row at `key` any more."""
        self.due_us.pop(key, None)

    def load(self, due_us: dict[Any, int]) -> None:
        """Takes up saved due times in place of all that is here."""
        self.due_us, self._queued = due_us, dict(due_us)
        self._queue = [(at_us, key) for key, at_us in due_us.items()]
        heapify(self._queue)

    def next_us(self) -> int | None:
        """When the next row is due."""
        queue = self._queue
        while queue:
            at_us, key = queue[0]
            due_us = self.due_us.get(key)
            if due_us == at_us and self._queued[key] == at_us:
                return at_us
            heappop(queue)
            if self._queued.get(key) == at_us:
                del self._queued[key]
                if due_us is not None:
                    self.is_due(key, due_us)
        return None

    def due(self, now_us: int) -> Iterator[Any]:
        """The keys of the rows that are due, earliest first. Each is to be deleted before the next is asked for."""
        while (at_us := self.next_us()) is not None and at_us <= now_us:
            yield self._queue[0][1]
