"""Wakes: which agent is due for which key, since when, and in which order.

For each agent and key it is kept what the last ended turn saw. A wake is due when the present differs from that. What
comes in while a turn runs is compared when it has ended, so nothing is lost and nothing wakes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from heapq import heapify, heappop, heappush
from itertools import compress
from typing import Any

import msgspec

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import Wake, is_null
from extrovert.turns.chain import Cause, Chain, merged
from extrovert.turns.declare import Agent

__all__ = ["WakeBook"]

Rank = tuple[Any, int, int, Any]
FEW = 64
MAX_RESTING = 10_000
"""With more keys than this at rest, those that have rested enough are forgotten."""


class WakeBook:
    """The wakes of one agent.

    `seen` maps a key to the digest of what its last ended turn saw ("" is nothing, and is left out), `olds` to that
    itself as JSON, where the agent is told it, `due` to the wake that waits, `events` to the (offset, event) pairs that
    a turn on a stream has not seen yet. `running` holds the keys that have a turn, `parked` those
    of them whose turn waits for nothing but the clock, events and persons, `resting` those whose last turn ended so
    lately that they are left alone, and until when, and `settling` those whose wake waits for the changes to calm down,
    and until when. `chain` has the cause of what is being applied, `meanwhile` the causes of what came while a turn of
    a key ran.
    """

    def __init__(self, agent: Agent[Any], chain: Chain | None = None) -> None:
        self.agent = agent
        self.chain = chain or Chain()
        self.meanwhile: dict[Any, Cause | Wake] = {}
        self.seen: dict[Any, str] = {}
        self.olds: dict[Any, bytes] = {}
        self.due: dict[Any, Wake] = {}
        self.events: dict[Any, list[tuple[int, Any]]] = {}
        self.running: set[Any] = set()
        self.parked: set[Any] = set()
        self.resting: dict[Any, int] = {}
        self.settling: dict[Any, int] = {}
        self._held: list[tuple[int, Any]] = []
        self._until: dict[Any, int] = {}
        self._touched: dict[Any, None] = {}
        self._queue: list[Rank] = []
        self._ranks: dict[Any, Rank] = {}

    @property
    def room(self) -> int:
        """How many more turns may begin now. Those that are parked do not count: they may wait for days."""
        return self.agent.concurrency - (len(self.running) - len(self.parked))

    def digest(self, value: Any, version: int) -> str:
        """What stands for a value in `seen`: a view's content, a table row's version (and that of what JSON lacks)."""
        if value is None:
            return ""
        if self.agent.source == "table":
            return str(version)
        try:
            return fingerprint(canonical(value))
        except Exception:
            return str(version)

    def saw(self, value: Any) -> msgspec.Raw | None:
        """What is kept of a value for the next turn of its key; None where the agent is not told, or JSON lacks it."""
        if self.agent.old is None or value is None:
            return None
        try:
            raw = canonical(value)
            self.agent.old.decode(raw)
        except Exception:
            return None
        return msgspec.Raw(raw)

    def old(self, key: Any) -> Any:
        """What the last ended turn of `key` saw; None where there was none, or it saw nothing."""
        return self.agent.old_value(self.olds.get(key))

    def wants(self, value: Any) -> bool:
        """Whether the agent's condition holds. Where it raises, it does: the turn runs, and fails visibly."""
        when = self.agent.when
        try:
            return when is None or bool(when(value))
        except Exception:
            return True

    def value_is(self, key: Any, value: Any, version: int, at_us: int) -> None:
        """The view value or row at `key` is now `value` (None: gone), since `version`."""
        if key in self.running:
            self._note_cause(key)
            return
        cause = self.meanwhile.pop(key, None)
        if value is not None and not self.wants(value):
            value = None
        digest = self.digest(value, version)
        if digest == self.seen.get(key, ""):
            self._withdraw(key)
        elif value is None and self.agent.declines_none:
            self.seen.pop(key, None)
            self._withdraw(key)
        else:
            self._add(key, value, version, at_us, cause=cause)

    def rows_changed(self, keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """Rows of the table that this agent wakes on changed; notes those that can matter. Called for every batch."""
        when, touched = self.agent.when, self._touched
        if when is None:
            touched.update(dict.fromkeys(keys))
            return
        try:
            matters = [row is not None and when(row) for row in rows]
        except Exception:
            matters = [row is not None and self.wants(row) for row in rows]
        touched.update(dict.fromkeys(compress(keys, matters)))
        for known in (self.seen, self.due):
            if known:
                touched.update(dict.fromkeys(filter(known.__contains__, keys)))

    def take_rows(self) -> Iterable[Any]:
        """The keys noted since the last call."""
        if not self._touched:
            return ()
        touched, self._touched = self._touched, {}
        return touched

    def event_came(self, key: Any, event: Any, offset: int, at_us: int) -> None:
        """An event came on the stream that this agent wakes on."""
        if not self.wants(event):
            return
        self.events.setdefault(key, []).append((offset, event))
        if key not in self.running:
            self._add(key, event, offset, at_us)
        else:
            self._note_cause(key)

    def again(self, key: Any, value: Any, offset: int, at_us: int, events: Sequence[tuple[int, Any]] = ()) -> None:
        """A person wants the failed wake of `key` to be tried once more, with the `events` that it had."""
        if events:
            waiting = self.events[key] = [*events, *self.events.get(key, ())]
            value = waiting[-1][1]
        if key not in self.running:
            self.seen.pop(key, None)
            if value is not None or not self.agent.declines_none:
                self._add(key, value, offset, at_us)

    @property
    def empty(self) -> bool:
        """Whether nobody is due, or left alone."""
        return not (self.due or self._held)

    def release(self, now_us: int) -> None:
        """Those that have been left alone long enough by now may be served."""
        while self._held and self._held[0][0] <= now_us:
            was_us, key = heappop(self._held)
            if self._until.get(key) != was_us:
                continue  # it has been put back to another moment
            del self._until[key]
            if key in self._ranks:
                until_us = self._alone_until(key)
                if until_us <= now_us:
                    self._line_up(self._ranks[key])
                else:
                    self._hold(key, until_us)

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

    def next_us(self) -> int | None:
        """When the next key that is due may have been left alone long enough; None where none is."""
        return self._held[0][0] if self._held else None

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

    def end(self, key: Any, wake: Wake, at_us: int) -> None:
        """The turn of `key` ended, having seen what `wake` tells; the caller then says what the present is."""
        self.running.discard(key)
        self.parked.discard(key)
        if self.agent.rest_us:
            if len(self.resting) > MAX_RESTING:
                self.resting = {other: until for other, until in self.resting.items() if until > at_us}
            self.resting[key] = at_us + self.agent.rest_us
        if wake.digest:
            self.seen[key] = wake.digest
        else:
            self.seen.pop(key, None)
        if self.agent.old is not None:
            self.olds.pop(key, None)
            if not is_null(wake.saw):
                self.olds[key] = bytes(wake.saw)
        if self.agent.source == "stream":
            cause, waiting = self.meanwhile.pop(key, None), self.events.get(key)
            if waiting:
                self._add(key, waiting[-1][1], waiting[0][0], at_us, cause=cause)

    def restore(self, key: Any, wake: Wake, value: Any, now_us: int) -> None:
        """Puts a wake back that was due when a snapshot was taken."""
        self._add(key, value, wake.offset, wake.at_us, now_us, wake)

    def _note_cause(self, key: Any) -> None:
        known = self.meanwhile.get(key)
        self.meanwhile[key] = self.chain.now if known is None else merged(known, self.chain.now)

    def _add(
        self,
        key: Any,
        value: Any,
        offset: int,
        at_us: int,
        now_us: int | None = None,
        cause: Cause | Wake | None = None,
    ) -> None:
        wake = self.due.get(key)
        cause = cause or self.chain.now
        if wake is None:
            wake = self.due[key] = Wake(self.agent.on, offset, at_us, hops=cause.hops, via=list(cause.via))
        elif wake.hops and (both := merged(wake, cause)) is not wake:
            wake = self.due[key] = wake.but(hops=both.hops, via=list(both.via))
        if self.agent.quiet_us:
            self._settles(key, wake, at_us)
        order = self._order(value)
        known = self._ranks.get(key)
        if known is None or known[0] != order:
            rank = (order, wake.at_us, wake.offset, key)
            self._ranks[key] = rank
            until_us = self._alone_until(key)
            if until_us > (at_us if now_us is None else now_us):
                self._hold(key, until_us)
            else:
                self._line_up(rank)

    def _line_up(self, rank: Rank) -> None:
        """Its key may be served from now on. What has been withdrawn or put elsewhere is sorted out when it is most."""
        if len(self._queue) > 2 * len(self._ranks) + FEW:
            self._queue = list({key: one for one in self._queue if self._ranks.get(key := one[3]) is one}.values())
            heapify(self._queue)
        heappush(self._queue, rank)

    def _settles(self, key: Any, wake: Wake, at_us: int) -> None:
        """A change has come: its wake waits until none has come for a while, but not for ever."""
        until_us = at_us + self.agent.quiet_us
        if self.agent.max_wait_us is not None:
            until_us = min(until_us, wake.at_us + self.agent.max_wait_us)
        self.settling[key] = max(until_us, self.settling.get(key, 0))

    def _hold(self, key: Any, until_us: int) -> None:
        """Leaves the key alone until then; where it is held already, until the earlier moment, to look again."""
        known_us = self._until.get(key)
        if known_us is None or until_us < known_us:
            self._until[key] = until_us
            heappush(self._held, (until_us, key))

    def _alone_until(self, key: Any) -> int:
        return max(self.resting.get(key, 0), self.settling.get(key, 0))

    def _order(self, value: Any) -> Any:
        """Where a value stands by the agent's order. What has no place there comes last."""
        if self.agent.order is None:
            return ()
        try:
            place = self.agent.order(value)
            return (1,) if place is None else (0, _comparable(place))
        except Exception:
            return (1,)

    def _withdraw(self, key: Any) -> None:
        self.due.pop(key, None)
        self._ranks.pop(key, None)
        self.settling.pop(key, None)


def _comparable(place: Any) -> Any:
    """A place that can be compared with every other one: first by type, and all numbers are of one. Raises what
    comparing it with itself raises."""
    if isinstance(place, tuple | list):
        return "tuple", tuple(map(_comparable, place))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(place, int | float):
        if place != place:
            raise ValueError("nan has no place in an order")
        return "", place
    assert not place < place
    zone = isinstance(place, datetime | time) and place.tzinfo is not None
    return f"{type(place).__name__}{' with a zone' if zone else ''}", place
