"""What an index can be over: values that can be looked up and, for a range index, all have a place in one order.

This is found out when the index is declared, so that no event can bring a value that its index does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from extrovert.core.errors import DeclarationError

__all__ = ["check_indexable", "takes"]

_ORDERS: dict[type[inspect.Type], str] = {
    inspect.BoolType: "number",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.DecimalType: "number",
    inspect.StrType: "text",
    inspect.BytesType: "bytes",
    inspect.DateTimeType: "moment",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.TimeDeltaType: "span",
    inspect.UUIDType: "uuid",
}
"""Types whose values can be looked up and ordered, by what they can be compared with."""


def check_indexable(table: str, record: type[msgspec.Struct], field: str, *, ordered: bool) -> None:
    """Raises `DeclarationError` where a table's rows could not be found, or put in order, by this field."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    kind = next(one.type for one in info.fields if one.name == field)
    if not _hashable(kind):
        raise DeclarationError(
            f"An index of table `{table}` is over `{field}`, whose type lets in what cannot be looked up, such as a "
            f"list. Index a field that holds text, a number, a moment, or a tuple of these."
        )
    if ordered and len(_orders(kind)) != 1:
        raise DeclarationError(
            f"A range index of table `{table}` is over `{field}`, whose values have no place in one order: its type "
            f"lets in None, or values that cannot be compared. Give the field one type, and a value that stands for "
            f"none; or keep these rows in a table of their own."
        )


def takes(kinds: Sequence[inspect.Type], *, ordered: bool) -> bool:
    """Whether values of these types can be looked up, and, where asked for, have their place in one order."""
    return all(map(_hashable, kinds)) and (not ordered or len(set[str]().union(*map(_orders, kinds))) == 1)


def _hashable(kind: inspect.Type) -> bool:
    match kind:
        case inspect.UnionType():
            return all(map(_hashable, kind.types))
        case inspect.TupleType():
            return all(map(_hashable, kind.item_types))
        case inspect.VarTupleType() | inspect.FrozenSetType():
            return _hashable(kind.item_type)
        case inspect.StructType():
            config: Any = kind.cls.__struct_config__
            return config.frozen and all(_hashable(field.type) for field in kind.fields)
        case inspect.Metadata():
            return _hashable(kind.type)
        case _:
            return type(kind) in _ORDERS or isinstance(kind, inspect.LiteralType | inspect.EnumType | inspect.NoneType)


def _orders(kind: inspect.Type) -> set[str]:
    """The orders that values of this type can belong to; "" for those that have none."""
    match kind:
        case inspect.UnionType():
            return set[str]().union(*map(_orders, kind.types))
        case inspect.LiteralType():
            return {"text" if isinstance(value, str) else "number" for value in kind.values}
        case inspect.TupleType() if all(len(_orders(item) - {""}) == 1 for item in kind.item_types):
            return {f"tuple of {[sorted(_orders(item)) for item in kind.item_types]}"}
        case inspect.VarTupleType() if len(_orders(kind.item_type) - {""}) == 1:
            return {f"tuple of {sorted(_orders(kind.item_type))}"}
        case inspect.Metadata():
            return _orders(kind.type)
        case _:
            found = _ORDERS.get(type(kind))
            return {found} if found else {"", type(kind).__name__}
