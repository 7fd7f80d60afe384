"""Keeping: what a snapshot holds of live context, place by place: the rows of tables, their history, views.

Rows, values and read sets are immutable, so what has changed is gathered at once, by reference, and encoded later, in
any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context import nodes
from extrovert.context.batches import batches
from extrovert.context.selectors import Selectors
from extrovert.core.ports import SavedPlace, SavedRow

if TYPE_CHECKING:
    from extrovert.context.history import HistoryState, Version
    from extrovert.context.live import LiveContext
    from extrovert.context.table import TableState

__all__ = ["forget", "restore_table", "take"]

Rows = Callable[[str], Iterator[SavedRow]]
"""The rows of a place in a snapshot."""


def take(context: LiveContext, *, whole: bool) -> list[SavedPlace]:
    """What has changed since the last call (with `whole`: all), to be saved."""
    selectors = Selectors(context)
    places: list[SavedPlace] = []
    for table in context.tables.values():
        places.append(_take_rows(table, whole=whole))
        if table.history is not None:
            places.append(_take_history(table.history, whole=whole))
    places += [nodes.take(view, selectors, whole=whole) for view in context.views.values()]
    return places


def forget(context: LiveContext) -> None:
    """Nothing has changed: all of it is in the snapshot that was restored."""
    for table in context.tables.values():
        table.take_written()
        if table.history is not None:
            table.history.written.clear()
    for view in context.views.values():
        view.take_written()


def _take_rows(table: TableState, *, whole: bool) -> SavedPlace:
    written = table.take_written()
    whole = whole or written is None
    rows, versions, gone = table.rows, table.versions, list[Any]()
    if written is None or whole:
        rows, versions, by_turns = dict(rows), dict(versions), frozenset(table.by_turns)
    else:
        gone = [key for key in written if key not in rows]
        rows = {key: rows[key] for key in written if key in rows}
        versions = {key: versions[key] for key in rows}
        by_turns = frozenset(table.by_turns.intersection(rows))
    due_us = None
    if table.lifetime is not None:
        due_us = {key: table.lifetime.due_us[key] for key in rows}
    return SavedPlace(table.name, whole, gone, _encoded_rows(rows, versions, by_turns, due_us))


def _encoded_rows(
    rows: Mapping[Any, Any], versions: Mapping[Any, int], by_turns: frozenset[Any], due_us: Mapping[Any, int] | None
) -> Iterator[SavedRow]:
    """Each row as JSON, with when it is due to go before it where rows go by themselves."""
    encode = msgspec.json.Encoder().encode
    for key, row in rows.items():
        encoded = encode(row) if due_us is None else encode((due_us[key], row))
        yield key, versions[key], key in by_turns, encoded


def _take_history(history: HistoryState, *, whole: bool) -> SavedPlace:
    written, history.written = history.written, {}
    present = history.versions
    keys = present if whole else [key for key in written if key in present]
    versions = {key: tuple(present[key]) for key in keys}
    gone = [] if whole else [key for key in written if key not in present]
    return SavedPlace(_history_of(history.table), whole, gone, _encoded_history(versions))


def _encoded_history(versions: Mapping[Any, Sequence[Version]]) -> Iterator[SavedRow]:
    encode = msgspec.json.Encoder().encode
    for key, of_key in versions.items():
        yield key, of_key[-1][1], False, encode(of_key)


def _history_of(table: TableState) -> str:
    return f"history of {table.name}"


# ---- taking up


def restore_table(table: TableState, rows: Rows, newest_us: int | None) -> None:
    """Takes up the rows of an empty table, and its history, of which `newest_us` is the newest time."""
    record, lifetime = table.declared.record, table.lifetime
    kind: Any = record if lifetime is None else tuple[int, record]
    due_us: dict[Any, int] = {}
    for keys, versions, by_turns, cells in batches(rows(table.name), kind):
        if lifetime is not None:
            moments, cells = zip(*cells, strict=True)
            due_us.update(zip(keys, moments, strict=True))
        table.rows.update(zip(keys, cells, strict=True))
        table.versions.update(zip(keys, versions, strict=True))
        if any(by_turns):
            table.by_turns.update(key for key, by_turn in zip(keys, by_turns, strict=True) if by_turn)
    for index in table.indexes:
        index.add(list(table.rows), list(table.rows.values()))
    if lifetime is not None:
        lifetime.load(due_us)
    if table.history is not None:
        kept: dict[Any, list[Version]] = {}
        for keys, _, _, cells in batches(rows(_history_of(table)), list[tuple[int, int, record | None]]):
            kept.update(zip(keys, cells, strict=True))
        table.history.load(kept, newest_us)
