"""Columns: the fields that a window looks at, taken from many events at once, and checked to be what was declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from operator import attrgetter
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from extrovert.context.aggregates import Aggregate, Own
from extrovert.context.indexable import takes
from extrovert.core.errors import DeclarationError

__all__ = ["Column", "check_result", "field_kinds"]

WIDEST = 1 << 63
"""Whole numbers from here on are refused, so that whatever is made of them can be kept."""

_PLAIN: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.BoolType: (bool,),
    inspect.IntType: (int, bool),
    inspect.FloatType: (float, int),
    inspect.StrType: (str,),
    inspect.DateTimeType: (datetime,),
    inspect.NoneType: (type(None),),
}
_NUMBERS = (inspect.IntType, inspect.FloatType)


def field_kinds(record: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    """What each field of a record can hold."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    return {field.name: field.type for field in info.fields}


class Column:
    """A field of the events. `of` is its type without None; `may_lack` is whether None is among its values."""

    def __init__(self, where: str, record: type[msgspec.Struct], name: str, needs: str) -> None:
        kind = field_kinds(record)[name]
        kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
        holds = [one for one in kinds if not isinstance(one, inspect.NoneType)]
        self.name = name
        self.get: Callable[[Any], Any] = attrgetter(name)
        self.may_lack = len(holds) < len(kinds)
        self.number = bool(holds) and all(isinstance(one, _NUMBERS) for one in holds)
        self._whole = any(isinstance(one, inspect.IntType) for one in holds)
        self.of = _without_none(get_type_hints(record)[name])
        plain = [_PLAIN.get(type(one)) for one in kinds]
        self._types = None if None in plain else frozenset(one for some in plain if some for one in some)
        right = {"number": self.number, "": True}.get(needs)
        if not (takes(holds, ordered=True) if right is None else right):
            what = "numbers" if needs == "number" else "values that have one order, such as text or numbers"
            raise DeclarationError(f"{where} is over `{record.__name__}.{name}`, which does not hold {what}.")

    def sound(self, values: Sequence[Any]) -> bool:
        """Whether all of them are what was declared. Loops in C, since nearly always they are."""
        if self._types is not None and not self._types.issuperset(map(type, values)):
            return False
        if self.number:
            numbers: Sequence[Any] = [one for one in values if one is not None] if self.may_lack else values
            return all(map(isfinite, numbers)) and not (self._whole and any(abs(one) >= WIDEST for one in numbers))
        return True

    def wrong(self, value: Any) -> str:
        """What is wrong with a value; "" where nothing is."""
        try:
            return "" if self.sound((value,)) else f"`{self.name}` is {value!r:.80}, which no window can take"
        except (TypeError, OverflowError, ValueError) as error:
            return f"`{self.name}` is {value!r:.80}: {error}"


def check_result(
    where: str, row: type[msgspec.Struct], name: str, aggregate: Aggregate[Any], of: Column | None
) -> None:
    """Raises `DeclarationError` where the field `name` of the row cannot hold what the aggregate gives."""
    gives = aggregate.gives(of.of if of is not None else None)
    if gives is None:
        return
    never_none = aggregate.definition in ("_Count", "_Sum", "_Distinct", "_TopK")
    if of is not None and of.may_lack and not never_none:
        gives = gives | None
    if not _fits(inspect.type_info(gives), field_kinds(row)[name]):
        text = getattr(gives, "__name__", str(gives)) if isinstance(gives, type) and not get_args(gives) else str(gives)
        raise DeclarationError(f"{where}: `{row.__name__}.{name}` cannot hold what it gives; annotate it as `{text}`.")


def checked(row: type[msgspec.Struct], name: str, aggregate: Aggregate[Any]) -> Callable[[Any], Any] | None:
    """What makes a field of the row of a state (None: it is the state). What a user's own gives is checked."""
    if not isinstance(aggregate, Own):
        return None if aggregate.told_as_kept else aggregate.result
    hint = get_type_hints(row)[name]

    def result(state: Any) -> Any:
        return msgspec.convert(aggregate.result(state), hint)

    return result


def _without_none(hint: Any) -> Any:
    kinds = [one for one in get_args(hint) if one is not type(None)]
    if type(None) not in get_args(hint) or not kinds:
        return hint
    found = kinds[0]
    for one in kinds[1:]:
        found = found | one
    return found


def _fits(source: inspect.Type, target: inspect.Type) -> bool:
    """Whether each value of one type can be kept as one of another."""
    if isinstance(source, inspect.UnionType):
        return all(_fits(one, target) for one in source.types)
    if isinstance(target, inspect.UnionType):
        return any(_fits(source, one) for one in target.types)
    if isinstance(target, inspect.AnyType) or source == target:
        return True
    unbound = type(target) in (*_PLAIN, inspect.AnyType) and target == type(target)()
    wider = isinstance(source, inspect.IntType) and isinstance(target, inspect.FloatType)
    return unbound and (wider or type(source) is type(target))
