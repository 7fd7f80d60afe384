"""Corrections: which decisions are invalidated when a row of the past turns out to be another.

The reverse read index of the decisions of a horizon: from what was read of tables in time to who had read it, and as of
which event time. A row that comes late, or again for the same time, is in force from its time to that of the next one;
whoever had read it, as of a moment in between, is told, if the row is another than before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context.history import Version, answer
from extrovert.context.index import IndexState
from extrovert.context.interval import ByInterval
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable
from extrovert.core.ids import canonical
from extrovert.core.log import Decided, Invalidated, RowCorrected
from extrovert.core.record import Record
from extrovert.turns.chain import Cause, Chain
from extrovert.turns.past_reads import PastRead, from_plain, past_reads

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.table import TableState

__all__ = ["Corrections", "Watched"]

Place = tuple[str, str]
"""The kind of a read and what was read."""


class Watched(Record):
    """A decision of the horizon, and what of its reads can be corrected."""

    turn: str
    agent: str
    key: Any
    offset: int
    at_us: int
    reads: list[PastRead]


class _Reader:
    """One read of one decision."""

    __slots__ = ("decision", "place", "read", "selector")

    def __init__(self, decision: Watched, place: Place, read: PastRead, selector: Any) -> None:
        self.decision = decision
        self.place = place
        self.read = read
        self.selector = selector

    @property
    def order(self) -> tuple[Any, ...]:
        return (2, self.decision.offset)


class Corrections:
    """The decisions of the last `horizon_us` of engine time that had read tables in time, and what has been corrected.

    What is found is collected until it is taken. `chain` has the cause of what is being applied.
    """

    def __init__(self, context: LiveContext, horizon_us: int, chain: Chain) -> None:
        self.horizon_us = horizon_us
        self.context = context
        self.chain = chain
        self._watched: dict[str, Watched] = {}
        self._ends: deque[str] = deque()
        self._readers: dict[str, list[_Reader]] = {}
        self._places: dict[Place, Readable] = {}
        self._tables: dict[Place, TableState] = {}
        self._latest_us: dict[str, int] = {}
        self._found: dict[str, dict[tuple[str, Any, int], RowCorrected]] = {}
        self._cause = Cause()
        for table in context.tables.values():
            if table.history is not None:
                table.history.about_to_put = partial(self._about_to_put, table)
                self._add_places(table)

    def _add_places(self, table: TableState) -> None:
        places = {(kind, table.name): Readable(kind, table.name) for kind in ("row", "as_of", "table", "count")}
        for index in table.indexes:
            if isinstance(index, IndexState):
                places |= {(kind, index.name): Readable(kind, index.name) for kind in ("index", "count")}
            elif isinstance(index, RangeIndexState):
                places |= {(kind, index.name): ByInterval(kind, index.name) for kind in ("range", "range count")}
        self._places |= places
        self._tables |= dict.fromkeys(places, table)

    # ---- decisions

    def watch(self, decided: Decided, offset: int, at_us: int) -> None:
        """A decision is about to be applied: remembers what it had read that can be corrected."""
        reads = past_reads(self.context, decided.reads)
        if reads:
            self._remember(Watched(decided.turn, decided.agent, decided.key, offset, at_us, reads))

    def _remember(self, decision: Watched) -> None:
        self._watched[decision.turn] = decision
        self._ends.append(decision.turn)
        readers = self._readers[decision.turn] = []
        for read in decision.reads:
            place = (read.kind, read.of)
            of = self._places.get(place)
            selector = None if of is None else self._selector(place, read)
            if of is None or (selector is None and read.at is not None):
                continue
            reader = _Reader(decision, place, read, selector)
            of.watch(selector, reader)
            readers.append(reader)
            table = self._tables[place].name
            self._latest_us[table] = max(read.moment_us, self._latest_us.get(table, read.moment_us))

    def _selector(self, place: Place, read: PastRead) -> Any:
        kind, name = place
        if kind in ("range", "range count"):
            return from_plain(self.context.ranges[name], read.at)
        if kind in ("index", "count") and name in self.context.indexes:
            return from_plain(self.context.indexes[name], read.at)
        return read.at

    def knows(self, decision: str) -> bool:
        """Whether a decision of this name is watched."""
        return decision in self._watched

    def passed(self, at_us: int) -> None:
        """An entry of this time has been applied: forgets what it corrected, and the decisions before the horizon."""
        if self._found:
            self._found = {}
        while self._ends and self._watched[self._ends[0]].at_us + self.horizon_us <= at_us:
            name = self._ends.popleft()
            del self._watched[name]
            for reader in self._readers.pop(name):
                self._places[reader.place].unwatch(reader.selector, reader)

    # ---- rows

    def _about_to_put(self, table: TableState, key: Any, place: int, version: Version) -> None:
        """A version of a row is about to be taken up: finds who had read, as of a moment at which it is in force."""
        at_us, offset, _ = version
        history = table.history
        if at_us > self._latest_us.get(table.name, at_us - 1) or history is None:
            return
        versions = history.versions[key]
        stands = place < len(versions) and versions[place][0] == at_us
        before = versions[place] if stands else versions[place - 1] if place else None
        then = versions[place + stands] if place + stands < len(versions) else None
        rows = [one[2] for one in (before, version) if one is not None and one[2] is not None]
        since_us = at_us if history.since_us is None else history.since_us
        for reader in dict.fromkeys(self._around(table, key, rows)):
            moment_us = reader.read.moment_us
            if moment_us >= since_us and self._in_force(version, then, reader):
                old, new = (one and answer([one], moment_us, None, history.ttl_us)[0] for one in (before, version))
                if self._concerns(reader, old, new):
                    self._note(reader, table, key, old, new, offset)

    def _in_force(self, version: Version, then: Version | None, reader: _Reader) -> bool:
        """Whether a version is in force at the moment of a read, until the one after it; the decision's own is not."""
        decision, moment_us = reader.decision, reader.read.moment_us
        if version[1] == decision.offset or decision.at_us + self.horizon_us <= self.context.expiry.now_us:
            return False
        if not version[0] <= moment_us or (then is not None and then[0] <= moment_us):
            return False
        # What the decision had seen may be of a later time than any row: a deletion, which has the time of the engine.
        return reader.read.kind == "as_of" or then is None or then[1] >= decision.offset

    def _around(self, table: TableState, key: Any, rows: Sequence[Any]) -> Iterator[_Reader]:
        """Who has read the row at `key`, or where one of `rows` stands."""
        for kind, selector in (("row", key), ("as_of", key), ("table", None), ("count", None)):
            yield from self._at((kind, table.name), selector)
        for index in table.indexes:
            if isinstance(index, IndexState):
                for value in map(index.value_of, rows):
                    for kind in ("index", "count"):
                        yield from self._at((kind, index.name), value)
            elif isinstance(index, RangeIndexState):
                for kind in ("range", "range count"):
                    of = self._places[kind, index.name]
                    assert isinstance(of, ByInterval)
                    for interval in (interval for row in rows for interval in of.around(index.entry_of(row))):
                        yield from self._at((kind, index.name), interval)

    def _at(self, place: Place, selector: Any) -> Iterator[_Reader]:
        for reader in self._places[place].watchers.get(selector, ()):
            assert isinstance(reader, _Reader)
            yield reader

    def _concerns(self, reader: _Reader, old: Any, new: Any) -> bool:
        """Whether another answer comes of it that a row of what was read has become another."""
        was = old is not None and self._holds(reader, old)
        stays = new is not None and self._holds(reader, new)
        if "count" in reader.place[0]:
            return was != stays
        return was or stays

    def _holds(self, reader: _Reader, row: Any) -> bool:
        kind, name = reader.place
        if name in self.context.ranges and kind in ("range", "range count"):
            return reader.selector.holds(self.context.ranges[name].entry_of(row))
        if name in self.context.indexes:
            return self.context.indexes[name].value_of(row) == reader.selector
        return True

    def _note(self, reader: _Reader, table: TableState, key: Any, old: Any, new: Any, offset: int) -> None:
        was, is_now = (msgspec.Raw(canonical(row)) for row in (old, new))
        if bytes(was) == bytes(is_now):
            return
        read, rows = reader.read, self._found.setdefault(reader.decision.turn, {})
        self._cause = self.chain.now
        place = (table.name, key, read.moment_us)
        known = rows.get(place)
        if known is None:
            rows[place] = RowCorrected(table.name, key, read.moment_us, was, is_now, offset, [read.through])
        else:
            through = [*known.through, read.through] if read.through not in known.through else known.through
            rows[place] = known.but(new=is_now, version=offset, through=through)

    def take(self) -> list[Invalidated]:
        """What the entry that has just been applied has corrected, by decision, the earliest first."""
        if not self._found:
            return []
        found, self._found = self._found, {}
        taken: list[Invalidated] = []
        for decision in sorted((self._watched[name] for name in found), key=lambda one: one.offset):
            rows = [row for row in found[decision.turn].values() if bytes(row.old) != bytes(row.new)]
            if rows:
                cause = self._cause
                taken.append(
                    Invalidated(decision.turn, decision.agent, decision.key, rows, cause.hops, list(cause.via))
                )
        return taken

    # ---- snapshots

    def save(self) -> list[Watched]:
        return list(self._watched.values())

    def load(self, watched: Iterable[Watched]) -> None:
        for decision in watched:
            self._remember(decision)
