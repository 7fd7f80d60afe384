"""Panes: the windows of one span of event time, by key, and when each span is closed, forgotten and dropped."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from typing import Any

from extrovert.core.time import from_us

__all__ = ["CLOSED", "DROPPED", "FIRST_US", "FORGOTTEN", "OPEN", "Deadlines", "Held", "Pane", "instant", "row_key"]

OPEN, CLOSED, FORGOTTEN, DROPPED = range(4)

FIRST_US = -62_135_596_800_000_000
"""The year 1: windows that begin before have no name."""


class Held:
    """A window whose state is held: its key, the key of its row, a state per aggregate in its cell.

    It is `filled` when an event is counted in it: what a user's aggregate refuses is not.
    """

    __slots__ = ("cell", "filled", "key", "name", "pane")

    def __init__(self, key: Any, name: str, pane: Pane, cell: list[Any], *, filled: bool) -> None:
        self.key = key
        self.name = name
        self.pane = pane
        self.cell = cell
        self.filled = filled


class Pane(dict[Any, Held]):
    """The windows of one span, by key. A session has a pane of its own, whose span may grow.

    When it is forgotten only the `names` of its rows are left. `due_us` is its place in the deadlines.
    """

    __slots__ = ("_at", "_bounds", "due_us", "end_us", "names", "stage", "start_us")

    def __init__(self, start_us: int, end_us: int, stage: int = OPEN) -> None:
        super().__init__()
        self.start_us = start_us
        self.end_us = end_us
        self.stage = stage
        self.due_us = end_us
        self.names: list[str] = []
        self._bounds: tuple[datetime, datetime] | None = None
        self._at = ""

    def name_of(self, key: Any) -> str:
        """The key of the row of this key's window: what `row_key` gives, with the moment told once for all keys."""
        if not self._at:
            self._at = row_key("", self.start_us)
        return f"{key}{self._at}"

    def bounds(self) -> tuple[datetime, datetime]:
        """Its start and its end."""
        if self._bounds is None:
            self._bounds = from_us(self.start_us), from_us(self.end_us)
        return self._bounds

    def grow(self, start_us: int, end_us: int) -> None:
        """A session is longer than was known."""
        self.start_us, self.end_us, self._bounds, self._at = start_us, end_us, None, ""

    def forget(self) -> None:
        """Lets go of the states; late events are no longer taken."""
        self.names = [held.name for held in self.values()]
        self.clear()
        self.stage = FORGOTTEN


class Deadlines:
    """Panes by the event time when each has its turn: so long after its end as is said of its stage.

    A session that grows is due later. That is looked up when its old time comes, so that growing costs nothing.
    """

    def __init__(self, after_us: dict[int, int]) -> None:
        self._after_us = after_us
        self._heap: list[tuple[int, int, Pane]] = []
        self._count = 0

    def put(self, pane: Pane) -> int:
        """The pane is of a stage that is waited for; gives when it is due."""
        due_us = pane.due_us = pane.end_us + self._after_us[pane.stage]
        self._count += 1
        heappush(self._heap, (due_us, self._count, pane))
        return due_us

    def next(self) -> tuple[int, Pane] | None:
        """The pane that is due first, and when."""
        heap = self._heap
        while heap:
            due_us, _, pane = heap[0]
            after_us = self._after_us.get(pane.stage)
            if after_us is None or pane.due_us != due_us:
                heappop(heap)
            elif pane.end_us + after_us > due_us:
                heappop(heap)
                self.put(pane)
            else:
                return due_us, pane
        return None

    def waiting(self) -> list[Pane]:
        """All panes, by their ends, starts and first rows: the order hangs on nothing but what they are."""
        mine = (one for due_us, _, one in self._heap if due_us == one.due_us and one.stage in self._after_us)
        return sorted(mine, key=lambda pane: (pane.stage, pane.end_us, pane.start_us, *_first_name(pane)))

    def pop(self) -> None:
        """Takes away what `next` gave."""
        heappop(self._heap)


def _first_name(pane: Pane) -> list[str]:
    return [held.name for held in pane.values()][:1]


def instant(at_us: int) -> str:
    """A moment as it stands in a row's key: `2026-01-01T00:05:00Z`, with microseconds where it has any."""
    return from_us(at_us).isoformat().replace("+00:00", "Z")


def row_key(key: Any, start_us: int) -> str:
    """The key of a window's row: `sensor-1@2026-01-01T00:05:00Z`."""
    return f"{key}@{instant(start_us)}"
