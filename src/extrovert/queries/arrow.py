"""Arrow: the rows of a relation as columns, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec

from extrovert.queries.columns import Column
from extrovert.queries.extra import pyarrow as pa
from extrovert.queries.relations import Part, Relation

__all__ = ["Gathered", "arrow_type"]

_WRONG = (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError)
"""What Arrow raises for a value that is not of its column's type: rows that a program made are not checked."""

_TYPES: dict[str, Any] = {
    "text": pa.string(),
    "json": pa.string(),
    "uuid": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "decimal": pa.decimal128(38, 10),
    "bytes": pa.binary(),
    "moment": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "span": pa.duration("us"),
}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Gathered:
    """The rows of a relation as an Arrow table, gathered part by part.

    A column with a value that is not of its type becomes text as a whole; `spoiled` names those.
    """

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        self.spoiled: dict[str, None] = {}
        self._chunks: list[list[Any]] = [[] for _ in relation.columns]

    def add(self, part: Part) -> None:
        """Takes rows up. `part.values` are the values themselves, or structs with a field for each column."""
        for chunks, column in zip(self._chunks, self.relation.columns, strict=True):
            found = self._values(part, column)
            if column.name in self.spoiled:
                chunks.append(pa.array(map(_text, found), pa.string()))
                continue
            try:
                chunks.append(_array(column, found))
            except _WRONG:
                self.spoiled[column.name] = None
                chunks.append(pa.array(map(_text, found), pa.string()))

    def spoil(self, names: Iterable[str]) -> None:
        """Takes these columns for text from now on."""
        self.spoiled.update(dict.fromkeys(names))
        columns = [
            Column(one.name, "json", field=one.field) if one.name in names else one for one in self.relation.columns
        ]
        self.relation = self.relation.but(columns=columns)

    @property
    def notes(self) -> list[str]:
        """What there is to know of the table."""
        of = self.relation.name
        return [f"`{of}.{name}` is text here: not all of its values are what its type says." for name in self.spoiled]

    def _values(self, part: Part, column: Column) -> Sequence[Any]:
        if part.keys is not None and column is self.relation.columns[0]:
            return part.keys
        if self.relation.whole:
            return part.values
        try:
            return list(map(attrgetter(column.name), part.values))
        except AttributeError:  # a view's value need not be what its function says that it is
            return [getattr(value, column.name, None) for value in part.values]

    def table(self) -> Any:
        """All that was gathered, as a `pyarrow.Table`."""
        columns: dict[str, Any] = {}
        for chunks, column in zip(self._chunks, self.relation.columns, strict=True):
            if column.name in self.spoiled:
                columns[column.name] = pa.chunked_array([_as_text(chunk) for chunk in chunks], pa.string())
            else:
                columns[column.name] = pa.chunked_array(chunks, arrow_type(column))
        return pa.table(columns)


def arrow_type(column: Column) -> Any:
    """The Arrow type of a column."""
    if column.kind == "struct":
        return pa.struct([pa.field(part.name, arrow_type(part)) for part in column.parts])
    if column.kind == "list":
        return pa.list_(arrow_type(column.parts[0]))
    return _TYPES[column.kind]


def _array(column: Column, values: Sequence[Any]) -> Any:
    """The values as an Arrow array: structs by their fields, lists by their items."""
    match column.kind:
        case "struct":
            nothing = pa.array([value is None for value in values], pa.bool_())
            parts = [
                _array(part, [None if value is None else getattr(value, part.name) for value in values])
                for part in column.parts
            ]
            fields = [pa.field(part.name, arrow_type(part)) for part in column.parts]
            return pa.StructArray.from_arrays(parts, fields=fields, mask=nothing)
        case "list":
            return _lists(column, values)
        case "json":
            return pa.array([_json(value) for value in values], pa.string())
        case "text" | "int":
            return pa.array(map(_plain, values) if _has_enums(values) else values, _TYPES[column.kind])
        case "uuid":
            return pa.array([None if value is None else str(value) for value in values], pa.string())
        case "moment":
            return pa.array(values if _have_zones(values) else [_in_utc(value) for value in values], _TYPES["moment"])
        case _:
            return pa.array(values, _TYPES[column.kind])


def _lists(column: Column, values: Sequence[Any]) -> Any:
    offsets: list[int | None] = []
    items: list[Any] = []
    for value in values:
        offsets.append(None if value is None else len(items))
        items.extend(value or ())
    offsets.append(len(items))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _array(column.parts[0], items))


def _has_enums(values: Iterable[Any]) -> bool:
    return not set(map(type, values)) <= {str, int, type(None)}


def _plain(value: Any) -> Any:
    """The value of an enum's member; text is text, and no number."""
    return getattr(value, "value", value)


def _have_zones(values: Iterable[Any]) -> bool:
    return all(value is None or value.tzinfo is UTC for value in values)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


def _json(value: Any) -> str | None:
    text = None if value is None else bytes(value) if isinstance(value, msgspec.Raw) else _encode(value)
    return None if text is None or text == b"null" else text.decode()


def _text(value: Any) -> str | None:
    """A value of a spoiled column: text as it is, and the rest as JSON."""
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    return value if value is None or isinstance(value, str) else _encode(value).decode()


def _as_text(chunk: Any) -> Any:
    return chunk if chunk.type == pa.string() else pa.array(map(_text, chunk.to_pylist()), pa.string())
