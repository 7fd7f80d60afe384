"""Past reads: what of a decision's reads a correction can change, and as of which event time.

A read of a table in time (one that keeps history) can. Its moment is the newest event time that the table had seen when
the decision was made: what the decision saw is what was known to be in force then. `as_of` has a moment of its own. A
view is followed down to the rows that it had read, and a row that a view makes to its makers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import msgspec

from extrovert.context.interval import Interval
from extrovert.context.live import LiveContext
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable
from extrovert.context.selectors import back_of
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.core.ids import canonical
from extrovert.core.log import ReadNote
from extrovert.core.record import Record
from extrovert.turns.ledger import notes

__all__ = ["PastRead", "from_plain", "leading", "past_reads"]


class PastRead(Record):
    """One read as of `moment_us`: `kind` is row, as_of, table, index, range, count or `range count`.

    `of` and `at` are as in the ledger, but for an interval with a limit: it ends where its last row was. `through` is
    the read of the decision that led to it, by name.
    """

    kind: str
    of: str
    at: Any
    moment_us: int
    through: str


def leading(context: LiveContext) -> frozenset[str]:
    """The names of all whose reads can lead to a row of a table in time: those tables, their indexes, and all views."""
    tables = [table for table in context.tables.values() if table.history is not None]
    indexes = (index.name for table in tables for index in table.indexes)
    return frozenset(context.views).union((table.name for table in tables), indexes)


def past_reads(context: LiveContext, read: Iterable[ReadNote], leads: Container[str]) -> list[PastRead]:
    """What of these reads can be corrected; to be asked while context is as it was read. `leads` is of `leading`.

    What an app does not declare any more is passed over.
    """
    finder = _Finder(context, leads)
    for note in read:
        if note.of in leads:
            finder.follow(note, note.of if note.at is None else f"{note.of}/{_shown(note.at)}")
    return list(finder.found.values())


class _Finder:
    """Follows reads down to the rows of tables in time."""

    def __init__(self, context: LiveContext, leads: Container[str]) -> None:
        self.context = context
        self.leads = leads
        self.found: dict[tuple[Any, ...], PastRead] = {}
        self._followed: set[tuple[str, Any]] = set()
        self._in_time: dict[ViewState, bool] = {}

    def follow(self, note: ReadNote, through: str) -> None:
        context, of, at = self.context, note.of, note.at
        match note.kind:
            case "view":
                self._follow_view(of, at, through)
            case "row" if (view := context.views.get(of)) is not None and view.made is not None:
                for maker in view.made.makers.get(at, ()):
                    self._follow_view(of, maker, through)
            case "row" | "table":
                self._add(context.tables.get(of), note.kind, of, at, through)
            case "as_of":
                key, moment_us = at
                self._add(context.tables.get(of), "as_of", of, key, through, moment_us)
            case "index" if (index := context.indexes.get(of)) is not None:
                self._add(index.table, "index", of, at, through)
            case "range" if (ranged := context.ranges.get(of)) is not None:
                self._add(ranged.table, "range", of, at, through)
            case "count" if (ranged := context.ranges.get(of)) is not None and isinstance(at, list | tuple):
                self._add(ranged.table, "range count", of, at, through)
            case "count":
                index = context.indexes.get(of)
                self._add(context.tables.get(of) if index is None else index.table, "count", of, at, through)
            case _:
                pass  # a search, of which nothing is known as of a time; a moment, which nobody corrects

    def _follow_view(self, name: str, key: Any, through: str) -> None:
        view = self.context.views.get(name)
        node = None if view is None else view.nodes.get(key)
        if view is None or node is None or (name, key) in self._followed or not self._hangs(view):
            return
        self._followed.add((name, key))
        self._add(view.table, "row", view.table.name, key, through)
        if view.declared.over_view:
            self._follow_view(view.declared.over, key, through)
        reads = {place: token for place, token in node.reads.items() if place[0].name in self.leads}
        for note in notes(reads):
            self.follow(note, through)

    def _hangs(self, view: ViewState) -> bool:
        """Whether any of the view's values hangs on a table in time."""
        found = self._in_time.get(view)
        if found is None:
            found = self._in_time[view] = any(
                one.table.history is not None
                or any(of.name in self.leads for of in one.follows if not isinstance(of, ViewState))
                for one in self._views_behind(view)
            )
        return found

    def _views_behind(self, view: ViewState) -> Iterable[ViewState]:
        """A view, those that it is over, and those that any of their values hangs on."""
        found, more = {view: None}, [view]
        while more:
            one = more.pop()
            over = [self.context.views[one.declared.over]] if one.declared.over_view else []
            for of in (*over, *one.follows):
                if isinstance(of, ViewState) and of not in found:
                    found[of] = None
                    more.append(of)
        return found

    def _add(
        self, table: TableState | None, kind: str, of: str, at: Any, through: str, moment_us: int | None = None
    ) -> None:
        history = None if table is None else table.history
        if history is None:
            return
        moment_us = history.newest_us if moment_us is None else moment_us
        if moment_us is None:
            return  # the table has not seen any event time yet
        if kind == "range":
            at = _narrowed(self.context.ranges[of], at)
        raw = canonical(at)
        plain = msgspec.json.decode(raw)  # the same when it was decided, in replay and in a snapshot
        read = PastRead(kind, of, plain, moment_us, through)
        self.found[kind, of, raw, read.moment_us, through] = read


def _narrowed(ranged: RangeIndexState, at: Sequence[Any]) -> list[Any]:
    """An interval with a limit, without one: it ends with the last row that was found, where that many were."""
    interval = from_plain(ranged, msgspec.json.decode(canonical(at)))
    if not isinstance(interval, Interval) or interval.limit is None:
        return list(at)
    found = ranged.look(interval)[0]
    low, high, (left, right) = interval.low, interval.high, interval.bounds
    if len(found) >= interval.limit and found:
        last = ranged.entry_of(found[-1])
        low, left, high, right = (last, "[", high, right) if interval.descending else (low, left, last, "]")
    return list(Interval((low, high, None), f"{left}{right}"))  # pyright: ignore[reportArgumentType]


def from_plain(of: Readable, at: Any) -> Any:
    """A selector as it is looked up by; None where JSON's form of it fits nothing that could be there."""
    back = back_of(of)
    try:
        return at if back is None else back(at)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def _shown(at: Any) -> str:
    return at if isinstance(at, str) else canonical(at).decode()
