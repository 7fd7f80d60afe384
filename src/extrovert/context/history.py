"""History: what the rows of a table were, as of an event time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from extrovert.context.lifetime import Lifetime
from extrovert.context.reads import Readable, Watcher

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

FEW = 64

__all__ = ["BEYOND", "Beyond", "HistoryState", "Version", "answer"]

Version = tuple[int, int, Any]
"""(event time, offset, row); the row is None where it was deleted."""

BEYOND = -1
"""The token of a moment before what is kept."""


class Beyond:
    """The value at a moment that is not kept any more."""


_BEYOND = Beyond()


class HistoryState(Readable):
    """The versions of a table's rows in event time, back to `span_us` before the newest event time of the table.

    A selector is (key, moment). Its token is the offset that wrote the version in force then; 0 where there was no row.
    Of a key's versions before the horizon only the last is kept, since it was still in force there. Of two versions of
    one event time the one with the later offset counts. With `ttl_us` a version is in force for so long at most.
    `about_to_put` is told of each version before it is taken up, and of its place among those of its key.
    """

    __slots__ = (
        "_going",
        "_moments",
        "_number",
        "_queued",
        "_times",
        "about_to_put",
        "newest_us",
        "span_us",
        "table",
        "ttl_us",
        "versions",
        "written",
    )

    def __init__(self, table: TableState, span_us: int, ttl_us: int | None) -> None:
        super().__init__("as_of", table.name)
        self.table = table
        self.span_us = span_us
        self.ttl_us = ttl_us
        self.versions: dict[Any, list[Version]] = {}
        self.newest_us: int | None = None
        self._going = Lifetime(span_us)  # when the first version of each key can go
        self._moments: list[tuple[int, int, Any]] = []  # (watched moment, number, key)
        self._times: dict[Any, list[int]] = {}  # the moments that are watched, by key
        self._queued: set[tuple[Any, int]] = set()
        self._number = 0
        self.about_to_put: Callable[[Any, int, Version], None] | None = None
        self.written: dict[Any, None] = {}  # the keys whose versions changed since they were last saved

    @property
    def since_us(self) -> int | None:
        """The horizon: the earliest moment that can be read; None while no row has come."""
        return None if self.newest_us is None else self.newest_us - self.span_us

    def look(self, selector: Any) -> tuple[Any, int]:
        key, at_us = selector
        return answer(self.versions.get(key, ()), at_us, self.since_us, self.ttl_us)

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        found = None if isinstance(value, Beyond) else value
        border.reads(self.table.declared, f"row `{selector[0]}` of table `{self.name}` as of a time", (found,))

    def watch(self, selector: Any, watcher: Watcher) -> None:
        if selector not in self.watchers and self.look(selector)[1] != BEYOND:
            key, at_us = selector
            insort(self._times.setdefault(key, []), at_us)
            if selector not in self._queued:
                self._queue(selector)
        super().watch(selector, watcher)

    def _queue(self, selector: tuple[Any, int]) -> None:
        """Notes that a moment will lie before the horizon; those that nobody watches any more are sorted out."""
        key, at_us = selector
        if len(self._moments) > 2 * len(self.watchers) + FEW:
            self._moments = [one for one in self._moments if (one[2], one[0]) in self.watchers]
            self._queued = {(one[2], one[0]) for one in self._moments}
            heapify(self._moments)
        self._number += 1
        self._queued.add(selector)
        heappush(self._moments, (at_us, self._number, key))

    def unwatch(self, selector: Any, watcher: Watcher) -> None:
        super().unwatch(selector, watcher)
        key, at_us = selector
        times = self._times.get(key)
        if times is not None and selector not in self.watchers:
            place = bisect_left(times, at_us)
            if times[place : place + 1] == [at_us]:
                del times[place]
            if not times:
                del self._times[key]

    # ---- writing

    def put(self, key: Any, version: Version) -> bool:
        """Takes up a version of the row at `key` (None: deleted). Returns whether it is the latest one."""
        self._keep(key)
        versions = self.versions.setdefault(key, [])
        at_us = version[0]
        place = len(versions) if not versions or versions[-1][0] < at_us else bisect_left(versions, (at_us,))
        if self.about_to_put is not None:
            self.about_to_put(key, place, version)
        if key not in self._times:
            versions[place : place + (place < len(versions) and versions[place][0] == at_us)] = [version]
        else:
            self._replace(key, versions, place, version)
        if place < 2:
            self._will_go(key, versions)
        return place + 1 == len(versions)

    def _replace(self, key: Any, versions: list[Version], place: int, version: Version) -> None:
        """Puts a version in its place, and touches those for whom the answer is another now."""
        at_us = version[0]
        stands = versions[place][0] == at_us if place < len(versions) else False
        until_us = versions[place + stands][0] if place + stands < len(versions) else None
        times = self._times[key]
        watched = times[bisect_left(times, at_us) : _end(times, until_us)]
        before = [self.token((key, moment)) for moment in watched]
        versions[place : place + stands] = [version]
        for moment, token in zip(watched, before, strict=True):
            if self.token((key, moment)) != token:
                self.table.context.touch(self.watchers[key, moment])

    def passes(self, at_us: int) -> None:
        """An event of this time has come: the horizon moves. What lies before it is still to be dropped."""
        if self.newest_us is not None and at_us <= self.newest_us:
            return
        if (copies := self.table.context.copies) is not None:
            copies.keep_horizon(self)
        self.newest_us = at_us
        since_us = at_us - self.span_us
        while self._moments and self._moments[0][0] < since_us:
            moment, _, key = heappop(self._moments)
            self._queued.discard((key, moment))
            if (key, moment) in self.watchers:
                self.table.context.touch(self.watchers[key, moment])

    def drop_due(self) -> None:
        """Drops the versions that no moment from the horizon on can see."""
        if self.newest_us is not None:
            for key in self._going.due(self.newest_us):
                self._drop(key, self.newest_us - self.span_us)

    def _drop(self, key: Any, since_us: int) -> None:
        versions = self.versions[key]
        gone = bisect_left(versions, (since_us + 1,)) - 1
        if gone >= 0 and (versions[gone][2] is None or self._expired(versions[gone], since_us)):
            gone += 1
        self._keep(key)
        del versions[:gone]
        if versions:
            self._will_go(key, versions)
        else:
            del self.versions[key]
            self._going.gone(key)

    def _expired(self, version: Version, at_us: int) -> bool:
        return self.ttl_us is not None and version[0] + self.ttl_us <= at_us

    def _will_go(self, key: Any, versions: Sequence[Version]) -> None:
        """Notes when the first version of `key` can go: when it is not in force any more from the horizon on."""
        at_us, _, row = versions[0]
        if row is not None:
            ends = [versions[1][0]] if len(versions) > 1 else []
            ends += [] if self.ttl_us is None else [at_us + self.ttl_us]
            if not ends:
                self._going.gone(key)
                return
            at_us = min(ends)
        self._going.is_due(key, at_us + self.span_us)

    def _keep(self, key: Any) -> None:
        """The versions of `key` are about to change."""
        self.written[key] = None
        if (copies := self.table.context.copies) is not None:
            copies.keep_history(self, key)

    # ---- what a snapshot holds

    def load(self, versions: dict[Any, list[Version]], newest_us: int | None) -> None:
        """Takes up saved versions in place of all that is here."""
        self.versions = versions
        self.newest_us = newest_us
        self._going = Lifetime(self.span_us)
        for key, of_key in versions.items():
            self._will_go(key, of_key)

    def as_if_written(self, versions: Sequence[Version], at_us: int, row: Any, written_us: int) -> Any:
        """What the row would be as of `at_us`, had `row` been written beside `versions` as of `written_us`."""
        version = version_at(versions, at_us)
        if written_us <= at_us and (version is None or version[0] <= written_us):
            version = (written_us, 0, row)
        return None if version is None else answer([version], at_us, None, self.ttl_us)[0]


def version_at(versions: Sequence[Version], at_us: int) -> Version | None:
    """The version in force at a moment."""
    place = bisect_left(versions, (at_us + 1,))
    return versions[place - 1] if place else None


def answer(versions: Sequence[Version], at_us: int, since_us: int | None, ttl_us: int | None) -> tuple[Any, int]:
    """The row as of a moment and its token, from a key's versions and the horizon."""
    if since_us is not None and at_us < since_us:
        return _BEYOND, BEYOND
    version = version_at(versions, at_us)
    if version is None or version[2] is None or (ttl_us is not None and version[0] + ttl_us <= at_us):
        return None, 0
    return version[2], version[1]


def _end(times: list[int], until_us: int | None) -> int:
    return len(times) if until_us is None else bisect_left(times, until_us)
