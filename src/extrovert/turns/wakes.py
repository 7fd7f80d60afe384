"""Wakes: which agent is due for which key, since when, and in which order.

For each agent and key it is kept what the last ended turn saw. A wake is due when the present differs from that. What
comes in while a turn runs is compared when it has ended, so nothing is lost and nothing wakes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import Wake
from extrovert.turns.declare import Agent

__all__ = ["WakeBook"]

Rank = tuple[Any, int, int, Any]


class WakeBook:
    """The wakes of one agent.

    `seen` maps a key to the digest of what its last ended turn saw ("" is nothing, and is left out), `due` to the wake
    that waits, `events` to the (offset, event) pairs that a turn on a stream has not seen yet. `running` holds the keys
    that have a turn.
    """

    def __init__(self, agent: Agent[Any]) -> None:
        self.agent = agent
        self.seen: dict[Any, str] = {}
        self.due: dict[Any, Wake] = {}
        self.events: dict[Any, list[tuple[int, Any]]] = {}
        self.running: set[Any] = set()
        self._touched: dict[Any, None] = {}
        self._queue: list[Rank] = []
        self._ranks: dict[Any, Rank] = {}

    def digest(self, value: Any, version: int) -> str:
        """What stands for a value in `seen`: a view's content, a table row's version."""
        if value is None:
            return ""
        return str(version) if self.agent.source == "table" else fingerprint(canonical(value))

    def value_is(self, key: Any, value: Any, version: int, at_us: int) -> None:
        """The view value or row at `key` is now `value` (None: gone), since `version`."""
        if key in self.running:
            return
        if value is not None and self.agent.when is not None and not self.agent.when(value):
            value = None
        digest = self.digest(value, version)
        if digest == self.seen.get(key, ""):
            self._withdraw(key)
        elif value is None and self.agent.declines_none:
            self.seen.pop(key, None)
            self._withdraw(key)
        else:
            self._add(key, value, version, at_us)

    def rows_changed(self, keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """Rows of the table that this agent wakes on changed; notes those that can matter. Called for every batch."""
        when, touched = self.agent.when, self._touched
        if when is None:
            touched.update(dict.fromkeys(keys))
            return
        for key, row in zip(keys, rows, strict=True):
            if (row is not None and when(row)) or key in self.seen or key in self.due:
                touched[key] = None

    def take_rows(self) -> Iterable[Any]:
        """The keys noted since the last call."""
        if not self._touched:
            return ()
        touched, self._touched = self._touched, {}
        return touched

    def event_came(self, key: Any, event: Any, offset: int, at_us: int) -> None:
        """An event came on the stream that this agent wakes on."""
        when = self.agent.when
        if when is not None and not when(event):
            return
        self.events.setdefault(key, []).append((offset, event))
        if key not in self.running:
            self._add(key, event, offset, at_us)

    def again(self, key: Any, value: Any, offset: int, at_us: int) -> None:
        """A person wants the failed wake of `key` to be tried once more."""
        if key not in self.running:
            self.seen.pop(key, None)
            self._add(key, value, offset, at_us)

    def next_key(self) -> Any | None:
        """The key to serve next: by the agent's order, then by age. None where nobody is due."""
        queue = self._queue
        while queue:
            rank = queue[0]
            key = rank[3]
            if self._ranks.get(key) is rank:
                return key
            heappop(queue)
        return None

    def begin(self, key: Any, recorded: Wake | None = None) -> tuple[Wake, list[tuple[int, Any]]]:
        """A turn takes the wake of `key` and the events that wait; with `recorded`, those that it took then."""
        wake = self.due[key] if recorded is None else recorded
        self._withdraw(key)
        self.running.add(key)
        if self.agent.source != "stream":
            return wake, []
        waiting = self.events.pop(key, [])
        if recorded is not None:
            left = [pair for pair in waiting if pair[0] not in recorded.events]
            if left:
                self.events[key] = left
            return wake, [pair for pair in waiting if pair[0] in recorded.events]
        return wake.but(events=[offset for offset, _ in waiting]), waiting

    def end(self, key: Any, digest: str, at_us: int) -> None:
        """The turn of `key` ended, having seen `digest`; the caller then says what the present is."""
        self.running.discard(key)
        if digest:
            self.seen[key] = digest
        else:
            self.seen.pop(key, None)
        waiting = self.events.get(key)
        if waiting:
            self._add(key, waiting[-1][1], waiting[0][0], at_us)

    def restore(self, key: Any, wake: Wake, value: Any) -> None:
        """Puts a wake back that was due when a snapshot was taken."""
        self._add(key, value, wake.offset, wake.at_us)

    def _add(self, key: Any, value: Any, offset: int, at_us: int) -> None:
        wake = self.due.get(key)
        if wake is None:
            wake = self.due[key] = Wake(self.agent.on, offset, at_us)
        order = 0 if self.agent.order is None else self.agent.order(value)
        known = self._ranks.get(key)
        if known is None or known[0] != order:
            rank = (order, wake.at_us, wake.offset, key)
            self._ranks[key] = rank
            heappush(self._queue, rank)

    def _withdraw(self, key: Any) -> None:
        self.due.pop(key, None)
        self._ranks.pop(key, None)
