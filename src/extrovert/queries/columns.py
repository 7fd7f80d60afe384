"""Columns: how a record's fields look to a query, found in the record's types."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect

from extrovert.core.record import Record

__all__ = ["Column", "column", "columns_of", "python_type", "struct_type"]

_KINDS: dict[type[inspect.Type], str] = {
    inspect.StrType: "text",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.DecimalType: "decimal",
    inspect.BytesType: "bytes",
    inspect.DateTimeType: "moment",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.TimeDeltaType: "span",
    inspect.UUIDType: "uuid",
}
_PYTHON: dict[str, Any] = {
    "text": str,
    "bool": bool,
    "int": int,
    "float": float,
    "decimal": Decimal,
    "bytes": bytes,
    "moment": datetime,
    "date": date,
    "time": time,
    "span": timedelta,
    "uuid": UUID,
}


class Column(Record, omit_defaults=True):
    """A column: its name, and the kind of its values, each of which may be null.

    Kinds are text, bool, int, float, decimal, bytes, moment (in UTC), date, time, span and uuid; `struct`, whose
    `parts` are its fields; `list`, whose one part is its items; and `json`, JSON text, for what has no type of its own.
    `field` is the name in JSON, where that is another one.
    """

    name: str
    kind: str
    parts: list[Column] = []
    field: str = ""


@lru_cache(maxsize=1024)
def columns_of(record: type[Record]) -> tuple[Column, ...]:
    """The columns of a table of this record; one, `row`, where its rows are no JSON objects."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    if info.array_like:
        return (Column("row", "json"),)
    return tuple(_field(field, (record,)) for field in info.fields)


def column(name: str, of: Any) -> Column:
    """A column for values of the type `of`; what has no type to speak of is `json`."""
    try:
        return _column(name, inspect.type_info(of), ())
    except (TypeError, NameError):
        return Column(name, "json")


def _field(field: inspect.Field, within: tuple[type, ...]) -> Column:
    found = _column(field.name, field.type, within)
    return found if field.encode_name == field.name else found.but(field=field.encode_name)


def _column(name: str, kind: inspect.Type, within: tuple[type, ...]) -> Column:
    """`within` are the structs that this is part of: one that holds its own kind is told as JSON."""
    match kind:
        case inspect.Metadata():
            return _column(name, kind.type, within)
        case inspect.UnionType():
            options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
            return _column(name, options[0], within) if len(options) == 1 else Column(name, "json")
        case inspect.LiteralType():
            return Column(name, _kind_of_all(kind.values))
        case inspect.EnumType():
            members: list[Enum] = list(kind.cls)
            return Column(name, _kind_of_all([member.value for member in members]))
        case inspect.StructType() if not kind.array_like and kind.cls not in within and kind.fields:
            return Column(name, "struct", [_field(field, (*within, kind.cls)) for field in kind.fields])
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return Column(name, "list", [_column("item", kind.item_type, within)])
        case _:
            return Column(name, _KINDS.get(type(kind), "json"))


def _kind_of_all(values: Iterable[Any]) -> str:
    known = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in known):
        return "text"
    return "int" if all(type(value) is int for value in known) else "json"


def python_type(of: Column) -> Any:
    """The type that values of a column are decoded to from JSON; what is told as JSON stays as it is."""
    if of.kind == "json":
        return msgspec.Raw
    if of.kind == "struct":
        return struct_type(of.parts) | None
    if of.kind == "list":
        return list[python_type(of.parts[0])] | None
    return _PYTHON[of.kind] | None


def struct_type(columns: Iterable[Column]) -> Any:
    """A struct with a field for each column, each of which may be missing."""
    known = list(columns)
    rename = {one.name: one.field for one in known if one.field}
    return msgspec.defstruct("Row", [(one.name, python_type(one), None) for one in known], rename=rename, gc=False)
