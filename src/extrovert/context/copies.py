"""A copy of the live context as it was at some moment, kept by remembering the rows and values that changed since.

A copy costs nothing when it is made, and afterwards one entry per row that changes. This is how agents can be given a
world that is refreshed now and then, to compare with the live one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from extrovert.context.freshness import FreshState
from extrovert.context.history import HistoryState, Version, answer
from extrovert.context.index import CountState, IndexState
from extrovert.context.interval import Interval
from extrovert.context.query import Query
from extrovert.context.range_index import RangeCountState, RangeIndexState, keys_in
from extrovert.context.reads import Readable
from extrovert.context.search_state import SearchState
from extrovert.context.sizes import SizeState
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.context.whole import WholeTable

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Copies", "Copy"]

Seen = tuple[Any, Any]


class Copy:
    """The context as it was at `at_us`: what has changed since as it was before, and the rest as it is.

    `rows` has the rows (None: there was none) and versions of what has changed, by table and key; `left` the keys of
    these by the index value that they had; `values` the same for views. `wholes` has the tables' versions. `histories`
    has the versions of rows whose past has changed, `horizons` where the history of their tables began.
    """

    __slots__ = ("at_us", "context", "histories", "horizons", "left", "rows", "values", "wholes")

    def __init__(self, context: LiveContext, at_us: int) -> None:
        self.context = context
        self.at_us = at_us
        self.rows: dict[TableState, dict[Any, Seen]] = {}
        self.left: dict[tuple[IndexState, Any], dict[Any, None]] = {}
        self.values: dict[tuple[ViewState, Any], Seen] = {}
        self.wholes: dict[TableState, int] = {}
        self.histories: dict[tuple[HistoryState, Any], list[Version]] = {}
        self.horizons: dict[HistoryState, int | None] = {}

    def look(self, of: Readable, selector: Any) -> Seen:  # noqa: C901 -- one case for each kind
        """The value and token that `of` had at `selector`."""
        match of:
            case TableState():
                return self._row(of, selector)
            case ViewState():
                return self.values.get((of, selector)) or of.look(selector)
            case IndexState():
                return self._bucket(of, selector)
            case CountState():
                size = len(self._keys(of.index, selector))
                return size, size
            case RangeIndexState():
                return self._interval(of, selector)
            case RangeCountState():
                size = len(self._interval(of.index, selector)[0])
                return size, size
            case SizeState():
                size = self._size(of.table)
                return size, size
            case HistoryState():
                key, at_us = selector
                return answer(self.versions(of, key), at_us, self._since_us(of), of.ttl_us)
            case SearchState():
                return self._found(of, selector)
            case WholeTable():
                return self._whole(of.table)
            case FreshState():
                return of.look(selector)
            case _:
                ahead = self.at_us < selector
                return ahead, ahead

    def _row(self, table: TableState, key: Any) -> Seen:
        kept = self.rows.get(table)
        return (kept.get(key) if kept else None) or table.look(key)

    def _keys(self, index: IndexState, value: Any) -> list[Any]:
        bucket = index.buckets.get(value)
        present = () if bucket is None else bucket.keys
        kept = self.rows.get(index.table)
        if not kept:
            return list(present)
        return [key for key in present if key not in kept] + list(self.left.get((index, value), ()))

    def _bucket(self, index: IndexState, value: Any) -> Seen:
        if index.table not in self.rows:
            return index.look(value)
        seen = [self._row(index.table, key) for key in sorted(self._keys(index, value))]
        return tuple([row for row, _ in seen]), tuple([version for _, version in seen]) or 0

    def _interval(self, index: RangeIndexState, interval: Interval) -> Seen:
        kept = self.rows.get(index.table)
        if not kept:
            return index.look(interval)
        entry_of = index.entry_of
        entries = [entry for row, _ in kept.values() if row is not None and interval.holds(entry := entry_of(row))]
        room = interval.widened(len(kept))
        entries += [entry_of(index.table.rows[key]) for key in keys_in(index.entries, room) if key not in kept]
        keys = [entry[-1] for entry in sorted(entries, reverse=interval.descending)[: interval.limit]]
        seen = [self._row(index.table, key) for key in keys]
        return tuple([row for row, _ in seen]), tuple(
            [(key, version) for key, (_, version) in zip(keys, seen, strict=True)]
        )

    def versions(self, history: HistoryState, key: Any) -> Sequence[Version]:
        """The versions that a row had."""
        kept = self.histories.get((history, key))
        return history.versions.get(key, ()) if kept is None else kept

    def _since_us(self, history: HistoryState) -> int | None:
        return self.horizons.get(history, history.since_us)

    def _size(self, table: TableState) -> int:
        kept = self.rows.get(table, {})
        came = sum(key in table.rows for key in kept)
        return len(table.rows) - came + sum(row is not None for row, _ in kept.values())

    def _found(self, search: SearchState, query: Query) -> Seen:
        kept = self.rows.get(search.table)
        if not kept:
            return search.look(query)
        hits = search.find(query, {key: row for key, (row, _) in kept.items()})
        return hits, tuple([(hit.key, self._row(search.table, hit.key)[1]) for hit in hits])

    def _whole(self, table: TableState) -> Seen:
        kept = self.rows.get(table)
        if not kept:
            return table.whole.look(None)
        rows = {key: row for key, row in table.rows.items() if key not in kept}
        rows.update((key, row) for key, (row, _) in kept.items() if row is not None)
        return tuple(rows[key] for key in sorted(rows)), self.wholes[table]


class Copies:
    """The one copy in use, refreshed every `refresh_us` of engine time."""

    def __init__(self, context: LiveContext, refresh_us: int) -> None:
        self.context = context
        self.refresh_us = refresh_us
        self.latest = Copy(context, context.expiry.now_us)

    def at(self, now_us: int) -> Copy:
        """The copy to read at `now_us`: made at the latest multiple of the refresh interval.

        To be called as time goes by, before what happens at `now_us`, so that a copy holds what was true when due.
        """
        due = now_us - now_us % self.refresh_us
        if due > self.latest.at_us:
            self.latest = Copy(self.context, due)
        return self.latest

    def keep_row(self, table: TableState, key: Any) -> None:
        """The row at `key` is about to change: remembers how it is."""
        copy = self.latest
        kept = copy.rows.get(table)
        if kept is None:
            kept = copy.rows[table] = {}
            copy.wholes[table] = table.whole.version
        if key in kept:
            return
        row, _ = kept[key] = table.look(key)
        if row is not None:
            for index in table.indexes:
                if isinstance(index, IndexState):
                    copy.left.setdefault((index, index.value_of(row)), {})[key] = None

    def keep_horizon(self, history: HistoryState) -> None:
        """The history is about to begin later: remembers where it begins."""
        self.latest.horizons.setdefault(history, history.since_us)

    def keep_history(self, history: HistoryState, key: Any) -> None:
        """The past of the row at `key` is about to change: remembers how it is."""
        kept = self.latest.histories
        if (history, key) not in kept:
            kept[history, key] = list(history.versions.get(key, ()))

    def keep_value(self, view: ViewState, key: Any) -> None:
        """The value at `key` is about to change: remembers how it is."""
        kept = self.latest.values
        if (view, key) not in kept:
            kept[view, key] = view.look(key)
