"""Provenance: where the values come from that a turn has in hand, by what it has read.

A value is known again by its type and content, not as an object, so that it is found alike before and after a restart.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple, cast

import msgspec

from extrovert.context.history import HistoryState
from extrovert.context.index import IndexState
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable
from extrovert.context.search_state import SearchState
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.context.whole import WholeTable
from extrovert.core.ids import canonical
from extrovert.core.time import from_us
from extrovert.turns.scope import TurnScope

__all__ = ["OWN", "Origin", "Origins"]

OWN = "its own write"
RANKS = {kind: rank for rank, kind in enumerate(("row", "as_of", "index", "range", "table", "search", "view"))}
"""Of what is found in several ways the first of these is told."""

LEAST_TEXT = 16
"""A shorter text may well be the same by chance."""

_ATOMS = frozenset({int, float, bool, type(None), bytes})


class Origin(NamedTuple):
    """The row, event or value at the key `at` of `of`, its version, and the moment of that as text ("": not known).

    It was found `through` an index, a search or a field of a view's value, or is the turn's own write.
    """

    of: str
    at: Any
    version: int = 0
    through: str = ""
    as_of: str = ""


class Origins:
    """The origins of values of these `kinds`, as far as the turn of `scope` has looked at them."""

    def __init__(self, scope: TurnScope, kinds: Container[type]) -> None:
        self._scope = scope
        self._kinds = kinds
        self._found: dict[tuple[type, bytes], Origin] = {}
        self._gather()

    def of(self, value: Any) -> Origin | None:
        """Where a value comes from; None where nothing that was read has it: it was computed."""
        place = _place(value)
        return None if place is None else self._found.get(place)

    def _gather(self) -> None:
        scope = self._scope
        for table, rows in scope.writes.items():
            for key, row in rows.items():
                self._note_all(row, Origin(table, key, 0, OWN))
        for of, selector in sorted(scope.taken, key=lambda read: RANKS.get(read[0].kind, len(RANKS))):
            for value, origin in self._read(of, selector):
                self._note_all(value, origin)
        stream, key, events = scope.woken
        for offset, event in events:
            self._note_all(event, Origin(stream, key, offset, "", self._moment(offset)))

    def _read(self, of: Readable, selector: Any) -> Iterator[tuple[Any, Origin]]:
        match of:
            case TableState():
                yield from self._rows(of, [selector], "")
            case HistoryState():
                row, token = self._look(of, selector)
                if isinstance(row, msgspec.Struct) and type(token) is int:
                    yield row, self._row(of.table, selector[0], row, token, "as_of")
            case IndexState() | RangeIndexState() | WholeTable():
                rows = cast(Iterable[Any], self._look(of, selector)[0])
                through = "" if isinstance(of, WholeTable) else of.name
                yield from self._rows(of.table, map(of.table.key_of, rows), through)
            case SearchState():
                hits: Any = self._scope.taken[of, selector]
                keys = [key for key, _ in cast(Iterable[Any], hits)] if isinstance(hits, tuple) else []
                yield from self._rows(of.table, keys, of.name)
            case ViewState():
                value, version = self._look(of, selector)
                yield value, Origin(of.name, selector, version, "", self._moment(version))
            case _:
                pass

    def _rows(self, table: TableState, keys: Iterable[Any], through: str) -> Iterator[tuple[Any, Origin]]:
        for key in keys:
            row, version = self._look(table, key)
            if row is not None:
                yield row, self._row(table, key, row, version, through)

    def _row(self, table: TableState, key: Any, row: Any, version: int, through: str) -> Origin:
        timeline = table.timeline
        as_of = self._moment(version) if timeline is None else _text(timeline.time_of(row))
        return Origin(table.name, key, version, through, as_of)

    def _look(self, of: Readable, selector: Any) -> tuple[Any, Any]:
        copy = self._scope.copy
        return of.look(selector) if copy is None else copy.look(of, selector)

    def _moment(self, offset: int) -> str:
        """The minute of an offset; "" where that is not known any more."""
        at_us = self._scope.context.moments.at_us(offset) if offset else None
        return "" if at_us is None else f"{from_us(at_us):%Y-%m-%dT%H:%MZ}"

    def _note_all(self, value: Any, origin: Origin) -> None:
        """Notes a value, and the records in it."""
        if type(value) in _ATOMS:
            return
        if type(value) in self._kinds and (place := _place(value)) is not None:
            self._found.setdefault(place, origin)
        if isinstance(value, msgspec.Struct):
            for name in value.__struct_fields__:
                self._note_all(getattr(value, name), origin._replace(through=f"{origin.through}.{name}"))
        elif isinstance(value, list | tuple):
            for one in cast(Iterable[Any], value):
                self._note_all(one, origin)


def _place(value: Any) -> tuple[type, bytes] | None:
    """What a value is known by; None for one that JSON cannot hold, and a text too short to tell."""
    if isinstance(value, str) and len(value) < LEAST_TEXT:
        return None
    try:
        return cast(type[Any], type(value)), canonical(value)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        return None


def _text(at_us: int) -> str:
    return canonical(from_us(at_us)).decode().strip('"')
