"""Look-ups: tools that read live context, made of what is declared. In a turn their reads are tracked like any other.

A look-up gives JSON values: `{"row": …}` or `{"rows": […]}` in a fixed order, at most `MOST` of them, with a `note`
where there is none, or where more were left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from inspect import cleandoc
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from extrovert.context.index import Index
from extrovert.context.nodes import value_type
from extrovert.context.range_index import RangeIndex
from extrovert.context.search import Search
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.context.window import Window
from extrovert.core.ids import fingerprint
from extrovert.turns.tools import Tool

__all__ = ["LOOKED", "MOST", "Looked", "Lookup", "lookup_of"]

MOST = 100
"""At most so many rows are given at a time."""
USUAL = 20
LONGEST_NAME = 64

Looked = Table[Any, Any] | Index[Any, Any] | RangeIndex[Any, Any] | View[Any, Any] | Search[Any, Any]
"""What look-ups are made of; a window is a table."""
LOOKED = (Table, Index, RangeIndex, View, Search)

_Values = tuple[Any, ...]
_Limit = Annotated[int, Meta(ge=1, le=MOST, description=f"At most so many, up to {MOST}.")]
_SCALARS: tuple[Any, ...] = (str, int, bool, float, datetime)


class Lookup(Tool):
    """A tool that reads `of` and changes nothing."""

    def __init__(
        self, of: Looked, name: str, description: str, fields: Sequence[Any], look: Callable[[_Values], Any]
    ) -> None:
        name = _short(name)
        arguments = msgspec.defstruct(f"{name}_arguments", fields, frozen=True, forbid_unknown_fields=True)
        super().__init__(name, description, arguments, lambda _turn, values: look(values))
        self.of = of
        self.look = look


@lru_cache(10_000)
def lookup_of(of: Looked) -> Lookup:
    """The tool that looks something up in `of`. It reads through the scope in force."""
    match of:
        case Window():
            return _window(of)
        case Table():
            return _table(of)
        case View():
            return _view(of)
        case RangeIndex():
            return _range(of)
        case Index():
            return _index(of)
        case Search():
            return _search(of)


# ---- each kind


def _table(of: Table[Any, Any]) -> Lookup:
    told = f"The row of `{of.name}` at its key `{of.key}`. {_told(of.record)}"
    return Lookup(
        of, f"look_up_{of.name}", told, [(of.key, of.key_type)], lambda values: _one(of.get(values[0]), of.name, values)
    )


def _view(of: View[Any, Any]) -> Lookup:
    value = value_type(of)
    kinds = [one for one in get_args(value) or (value,) if one not in (None, type(None))]
    kind = _told(kinds[0]) if len(kinds) == 1 else _named(value)
    told = f"What the view `{of.name}` says of a key of `{of.over}`. {cleandoc(of.function.__doc__ or '')} {kind}"
    fields = [("key", of.key_type)]
    return Lookup(of, f"look_up_{of.name}", told, fields, lambda values: _one(of.get(values[0]), of.name, values))


def _window(of: Window[Any]) -> Lookup:
    kinds = _kinds(of.record)
    told = f"The windows of `{of.name}` of one `{of.key}`, the latest first. {_told(of.record)}"
    moment = Annotated[datetime | None, Meta(description="Only the window that holds this moment.")]

    def look(values: _Values) -> Any:
        key, at, limit = values
        if at is not None:
            return _one(of.at(key, at), of.name, (key, at.isoformat()))
        return _several(reversed(of.of(key)), limit, len(of.of(key)), f"`{of.name}` has no window of `{key}`.")

    fields = [(of.key, kinds[of.key]), (_free("at", [of.key]), moment, None), (_free("limit", [of.key]), _Limit, USUAL)]
    return Lookup(of, f"look_up_{of.name}", told, fields, look)


def _index(of: Index[Any, Any]) -> Lookup:
    kinds, by = _kinds(of.record), " and ".join(f"`{field}`" for field in of.fields)
    told = f"The rows of `{of.table}` of this {by}, in order of their keys. {_told(of.record)}"

    def look(values: _Values) -> Any:
        *fields, limit = values
        rows = of[tuple(fields) if len(fields) > 1 else fields[0]]
        return _several(rows, limit, len(rows), f"`{of.table}` has no row of {_said(of.fields, fields)}.")

    fields = [*((field, kinds[field]) for field in of.fields), (_free("limit", of.fields), _Limit, USUAL)]
    return Lookup(of, f"find_{of.table}_by_{'_'.join(of.fields)}", told, fields, look)


def _range(of: RangeIndex[Any, Any]) -> Lookup:
    """The leading fields are given, and the last one lies between two values."""
    kinds, (*leading, last) = _kinds(of.record), of.fields
    by = f" of this {' and '.join(f'`{field}`' for field in leading)}" if leading else ""
    told = f"The rows of `{of.table}`{by} in order of `{last}`, from one value to another. {_told(of.record)}"
    ends = Annotated[kinds[last] | None, Meta(description="This value belongs to it; null: there is no such end.")]
    behind = Annotated[bool, Meta(description="From the last one on, backwards.")]

    def look(values: _Values) -> Any:
        *given, low, high, limit, descending = values
        prefix = tuple(given)
        start, end = (prefix if one is None else (*prefix, one) for one in (low, high))
        rows = of.between(start or None, end or None, limit=limit + 1, descending=descending)
        none = f"`{of.table}` has no row there{' of ' + _said(leading, given) if given else ''}."
        return _several(rows, limit, None, none)

    fields = [
        *((field, kinds[field]) for field in leading),
        (_free(f"{last}_from", leading), ends, None),
        (_free(f"{last}_to", leading), ends, None),
        (_free("limit", leading), _Limit, USUAL),
        (_free("descending", leading), behind, False),
    ]
    name = f"find_{of.table}_{'by_' + '_'.join(leading) + '_' if leading else ''}between_{last}"
    return Lookup(of, name, told, fields, look)


def _search(of: Search[Any, Any]) -> Lookup:
    record, over = of.over.record, of.over.name
    plain = {field: kind for field, kind in _kinds(record).items() if field not in of.text and _plain(kind)}
    told = f"The rows of `{over}` whose {' and '.join(f'`{f}`' for f in of.text)} fit a text best, best first. "
    where = msgspec.defstruct(
        f"{of.name}_where",
        [(field, kind | None, None) for field, kind in plain.items()],
        frozen=True,
        forbid_unknown_fields=True,
    )
    filters = Annotated[where | None, Meta(description="Only rows with these values.")]

    def look(values: _Values) -> Any:
        text, limit, *wanted = values
        given = msgspec.structs.asdict(wanted[0]) if wanted and wanted[0] is not None else {}
        given = {field: value for field, value in given.items() if value is not None}
        hits = of.search(text, limit=limit, where=given or None)
        return _several([hit.row for hit in hits], limit, len(hits), f"`{over}` has no row that fits.")

    fields: list[Any] = [("text", Annotated[str, Meta(min_length=1)]), ("limit", _Limit, 10)]
    fields += [("where", filters, None)] if plain else []
    return Lookup(of, f"search_{of.name}", told + _told(record), fields, look)


# ---- what is given


def _one(row: Any, name: str, values: Sequence[Any]) -> dict[str, Any]:
    if row is None:
        return {"row": None, "note": f"`{name}` has nothing at {' and '.join(f'`{one}`' for one in values)}."}
    return {"row": _value(row)}


def _several(rows: Iterable[Any], limit: int, size: int | None, none: str) -> dict[str, Any]:
    """At most `limit` rows. `size` is how many there are; None where that is only known to be more, or not."""
    found = list(islice(rows, limit + 1))
    given: dict[str, Any] = {"rows": [_value(row) for row in found[:limit]]}
    if not found:
        given["note"] = none
    elif len(found) > limit:
        more = "More rows" if size is None else f"{size - limit} more rows"
        given["note"] = f"{more} were left out, since limit is {limit}."
    return given


def _value(row: Any) -> Any:
    return msgspec.to_builtins(row, str_keys=True, enc_hook=str)


# ---- what is told


def _told(kind: Any) -> str:
    """What a record is, and its fields with their types."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "" if kind is None else f"It is: {_named(kind)}."
    fields = ", ".join(f"{field}: {_named(of)}" for field, of in _kinds(kind).items())
    said = cleandoc(kind.__doc__ or "")
    return f"{said + ' ' if said else ''}Its fields: {fields}."


def _named(kind: Any) -> str:
    """A type as Python writes it, without modules and notes."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(kind))


def _said(fields: Sequence[str], values: Sequence[Any]) -> str:
    return " and ".join(f"{field} `{value}`" for field, value in zip(fields, values, strict=True))


def _kinds(record: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(record)}


def _plain(kind: Any) -> bool:
    """Whether a field can be compared with a value that a model gives: text, numbers, moments, choices."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return True
    options = get_args(kind)
    if options and get_origin(kind) in (Union, UnionType):
        return all(one is type(None) or _plain(one) for one in options)
    return kind in _SCALARS


def _free(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)


def _short(name: str) -> str:
    """A name that every model's provider accepts."""
    good = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    if good == name and len(name) <= LONGEST_NAME:
        return name
    return f"{good[: LONGEST_NAME - 9]}_{fingerprint(name)[:8]}"
