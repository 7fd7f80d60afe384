"""Relations: what a query can name, and a copy of it as it is at one moment."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from extrovert.context.live import LiveContext
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record
from extrovert.queries.columns import Column, column, columns_of

__all__ = ["Held", "Part", "Relation", "held", "relations"]


class Relation(Record, omit_defaults=True):
    """A table or a view of the app, or a table of the ledger, as a query sees it: its name and columns.

    A view has the key of its rows in front: `key`, or `_key` where its records have a field of that name.
    Where values are no records they are all in the last column, `value`; `whole` is then set.
    """

    name: str
    columns: list[Column]
    of: str = "table"
    whole: bool = False


class Part(Record):
    """Some rows of a relation: the rows' values and, of a view, their keys."""

    of: str
    values: Sequence[Any]
    keys: Sequence[Any] | None = None


def relations(context: LiveContext) -> list[Relation]:
    """What can be named. A view that makes rows is the table that it makes."""
    found = {name: _view(state) for name, state in context.views.items() if state.made is None}
    found |= {name: _table(state) for name, state in context.tables.items()}
    return [found[name] for name in sorted(found)]


def held(context: LiveContext, names: Iterable[str]) -> Mapping[str, Held]:
    """What these relations hold now: references to the rows, which do not change, so that it costs little.

    Raises `DeclarationError` for an unknown name.
    """
    found: dict[str, Held] = {}
    for name in names:
        table, view = context.tables.get(name), context.views.get(name)
        if table is not None:
            found[name] = Held(name, None, list(table.rows.values()))
        elif view is not None:
            found[name] = Held(name, list(view.values), list(view.values.values()))
        else:
            raise DeclarationError(f"There is no table or view `{name}`.")
    return found


class Held:
    """The keys (of a view) and values of a relation at one moment, to be given out once."""

    def __init__(self, of: str, keys: list[Any] | None, values: list[Any]) -> None:
        self.of = of
        self._keys = keys
        self._values = values
        for held in (keys, values):
            if held is not None:
                held.reverse()

    def parts(self, size: int) -> Iterator[Part]:
        """The rows, at most so many at a time. They are let go of as they are given out: to do so with a million at
        once would hold up the loop as long as to copy them did."""
        while self._values:
            keys = None if self._keys is None else _cut(self._keys, size)
            yield Part(self.of, _cut(self._values, size), keys)


def _cut(held: list[Any], size: int) -> list[Any]:
    """Takes the last entries off a list, and returns them in reverse."""
    taken = held[: -size - 1 : -1]
    del held[-size:]
    return taken


def _table(state: TableState) -> Relation:
    columns = list(columns_of(state.declared.record))
    return Relation(state.name, columns, whole=bool(state.declared.record.__struct_config__.array_like))


def _view(state: ViewState) -> Relation:
    over = state.table.declared
    record = _record_of(state.declared.function)
    columns = [column("value", _returned(state.declared.function))] if record is None else list(columns_of(record))
    name = "_key" if any(one.name == "key" for one in columns) else "key"
    key = column(name, over.key_type)
    whole = record is None or bool(record.__struct_config__.array_like)
    return Relation(state.name, [key, *columns], "view", whole)


def _returned(function: Any) -> Any:
    """The type of a view's values, without None; Any where it says nothing that can be read."""
    try:
        hint = typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError):
        return Any
    return hint


def _record_of(function: Any) -> type[Record] | None:
    """The record that a view's values are, if they are of one."""
    hint = _returned(function)
    either = typing.get_origin(hint) in (typing.Union, types.UnionType)
    options = [one for one in (typing.get_args(hint) if either else (hint,)) if one is not type(None)]
    only = options[0] if len(options) == 1 else None
    return only if isinstance(only, type) and issubclass(only, Record) else None
