"""Selectors as JSON: what a view has read, so that a snapshot can keep it and its watchers can be made from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from extrovert.context.history import HistoryState
from extrovert.context.index import CountState, IndexState
from extrovert.context.interval import Interval
from extrovert.context.query import Query
from extrovert.context.range_index import RangeCountState, RangeIndexState
from extrovert.context.reads import Readable, ReadSet
from extrovert.context.search_state import SearchState

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.table import TableState

__all__ = ["SavedRead", "Selectors", "back_of", "readables"]

SavedRead = tuple[str, Any, Any]
"""What was read, the selector and the token."""

_PLAIN = frozenset({str, int, bool, type(None)})


class Selectors:
    """Turns the read sets of one live context into JSON and back."""

    def __init__(self, context: LiveContext) -> None:
        self._readables = readables(context)
        self._names = {of: name for name, of in self._readables.items()}
        self._back = {of: back_of(of) for of in self._names}

    def saved(self, reads: ReadSet) -> list[SavedRead] | None:
        """A read set for a snapshot; None where JSON would not give back the same one."""
        found: list[SavedRead] = []
        for (of, selector), token in reads.items():
            back = self._back[of]
            if type(selector) not in _PLAIN if back is None else not _comes_back(back, selector):
                return None
            found.append((self._names[of], selector, token))
        return found

    def restored(self, saved: Sequence[SavedRead]) -> ReadSet | None:
        """The read set that was saved; None where something in it is not there any more."""
        reads: ReadSet = {}
        for name, selector, token in saved:
            of = self._readables.get(name)
            if of is None:
                return None
            back = self._back[of]
            at = selector if back is None else back(selector)
            reads[of, at] = _tuples(cast(list[Any], token)) if type(token) is list else token
        return reads


def readables(context: LiveContext) -> dict[str, Readable]:
    """Everything that a view may read, by a name that nothing else has."""
    found: dict[str, Readable] = {"before": context.expiry}
    found |= {f"fresh {name}": state for name, state in context.freshness.states().items()}
    found |= {f"view {name}": view for name, view in context.views.items()}
    for name, table in context.tables.items():
        found |= {f"row {name}": table, f"all {name}": table.whole, f"size {name}": table.sizes}
        if table.history is not None:
            found[f"as_of {name}"] = table.history
        for index in table.indexes:
            if isinstance(index, IndexState | RangeIndexState):
                found |= {f"{index.kind} {index.name}": index, f"{index.kind} count {index.name}": index.counts}
            elif isinstance(index, SearchState):
                found[f"search {index.name}"] = index
    return found


def _comes_back(back: Callable[[Any], Any], selector: Any) -> bool:
    try:
        plain = msgspec.json.decode(msgspec.json.encode(selector))
        return back(plain) == selector
    except Exception:  # a type that JSON does not know, a condition (a function), a field compared with another type
        return False


def back_of(of: Readable) -> Callable[[Any], Any] | None:
    """What makes a selector of its JSON; None where that is the selector itself."""
    match of:
        case IndexState() | CountState():
            index = of if isinstance(of, IndexState) else of.index
            kinds = _kinds(index.table, index.declared.fields)
            kind: Any = kinds[0] if len(kinds) == 1 else tuple[kinds]
            return lambda plain: msgspec.convert(plain, kind)
        case RangeIndexState() | RangeCountState():
            ranged = of if isinstance(of, RangeIndexState) else of.index
            entry = _kinds(ranged.table, (*ranged.declared.fields, ranged.table.declared.key))
            return lambda plain: _interval(plain, entry)
        case SearchState():
            return lambda plain: _query(plain, of.table)
        case HistoryState():
            return tuple
        case _:
            return None


def _kinds(table: TableState, fields: Sequence[str]) -> tuple[Any, ...]:
    kinds = _types(table.declared.record)
    return tuple(kinds[name] for name in fields)


@lru_cache(maxsize=1024)
def _types(record: type[msgspec.Struct]) -> dict[str, Any]:
    """The types of a record's fields. To find them takes long, and each snapshot wants to know."""
    return {field.name: field.type for field in msgspec.structs.fields(record)}


def _interval(plain: Sequence[Any], entry: tuple[Any, ...]) -> Interval:
    low, high, limit, *rest = plain
    bounds, descending = rest or ("[]", False)
    ends = [None if end is None else msgspec.convert(end, tuple[entry[: len(end)]]) for end in (low, high)]
    return Interval((*ends, limit), bounds, descending=descending)


def _query(plain: Sequence[Any], table: TableState) -> Query:
    text, limit, where, condition = plain
    if condition is not None:
        raise TypeError("a condition is a function")
    names = [name for name, _ in where]
    kinds = _kinds(table, names)
    values = [msgspec.convert(value, kind) for (_, value), kind in zip(where, kinds, strict=True)]
    return Query(text, limit, tuple(zip(names, values, strict=True)))


def _tuples(token: list[Any]) -> tuple[Any, ...]:
    return tuple([_tuples(cast(list[Any], part)) if type(part) is list else part for part in token])
