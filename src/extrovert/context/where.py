"""Where: a question to a table by conditions on fields, answered by an index, never by a scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import inspect

from extrovert.context.index import Index
from extrovert.context.interval import Bounds
from extrovert.context.range_index import RangeIndex
from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.table import Table

__all__ = ["Between", "between", "found"]


class Between(NamedTuple):
    """A condition: the field lies between two values; None is open. Made by `between`."""

    low: Any
    high: Any
    bounds: Bounds

    def holds(self, value: Any) -> bool:
        """Whether a value lies between the two."""
        low, high, (left, right) = self
        above = low is None or value > low or (left == "[" and value == low)
        return above and (high is None or value < high or (right == "]" and value == high))


def between(low: Any = None, high: Any = None, *, bounds: Bounds = "[]") -> Between:
    """The condition `low` ≤ field ≤ `high`; `bounds` says which ends belong to it ("[)" leaves out `high`)."""
    return Between(low, high, bounds)


class _Plan(NamedTuple):
    """How a question is answered: by which index, and whether its rows then are in the order that is asked for."""

    by: Index[Any, Any] | RangeIndex[Any, Any]
    in_order: bool


def found(
    table: Table[Any, Any], conditions: Mapping[Any, Any], order: Any, descending: bool, limit: int | None
) -> Iterable[Any]:
    """The rows of which the conditions hold, in order."""
    named = {_field(table, field): value for field, value in conditions.items()}
    equal = {field: value for field, value in named.items() if not isinstance(value, Between)}
    spans = {field: value for field, value in named.items() if isinstance(value, Between)}
    ordered = None if order is None else _field(table, order)
    plan = _plan(table, tuple(equal), tuple(spans), ordered, limit is not None)
    for field, value in equal.items():
        _check(table, field, (value,))
    for field, span in spans.items():
        _check(table, field, [value for value in span[:2] if value is not None])
    if plan.in_order:
        return islice(_rows(plan.by, equal, spans, descending, limit), limit)
    by = dict.fromkeys([*spans, ordered or table.key, table.key])
    return sorted(_rows(plan.by, equal, spans, False, None), key=attrgetter(*by), reverse=descending)


def _rows(
    index: Index[Any, Any] | RangeIndex[Any, Any],
    equal: Mapping[str, Any],
    spans: Mapping[str, Between],
    descending: bool,
    limit: int | None,
) -> Iterable[Any]:
    start: tuple[Any, ...] = tuple(equal[field] for field in index.fields if field in equal)
    if isinstance(index, Index):
        rows = index[start if len(start) > 1 else next(iter(start))]
        return reversed(rows) if descending else rows
    low, high, bounds = start, start, "[]"
    for span in spans.values():
        left = span.bounds[0] if span.low is not None else "["
        right = span.bounds[1] if span.high is not None else "]"
        bounds = left + right
        low = start if span.low is None else (*start, span.low)
        high = start if span.high is None else (*start, span.high)
    return index.between(low or None, high or None, bounds=bounds, limit=limit, descending=descending)  # pyright: ignore[reportArgumentType]


def _plan(
    table: Table[Any, Any], equal: tuple[str, ...], spans: tuple[str, ...], ordered: str | None, limited: bool
) -> _Plan:
    """The index that answers. Raises `DeclarationError` where there is none."""
    where = _where(table)
    if not equal and not spans and ordered is None:
        raise DeclarationError(f"{where} has no condition and no order. For all rows use `{table.name}.all()`.")
    if len(spans) > 1:
        raise DeclarationError(
            f"{where} puts {' and '.join(f'`{field}`' for field in spans)} between values, and an index answers one of "
            f"these. Ask for that, and choose among the rows that come."
        )
    if spans and ordered not in (None, *spans):
        raise DeclarationError(
            f"{where} wants the order of `{ordered}` for rows with `{spans[0]}` between values, which no index gives. "
            f"Ask without order=, and sort the rows that come."
        )
    then = spans or ((ordered,) if ordered is not None and ordered != table.key and ordered not in equal else ())
    best: _Plan | None = None
    for index in table.indexes:
        fits = _fit(index, equal, then)
        if fits is not None and (fits or not limited) and (best is None or (fits and not best.in_order)):
            best = _Plan(index, fits)
    if best is None:
        kind = "range_index" if then else "index"
        fields = ", ".join(f"{table.record.__name__}.{field}" for field in (*equal, *then))
        raise DeclarationError(f"{where} finds no index to answer it. Declare one: {table.name}.{kind}({fields}).")
    return best


def _fit(index: Index[Any, Any] | RangeIndex[Any, Any], equal: tuple[str, ...], then: tuple[str, ...]) -> bool | None:
    """Whether an index gives the rows in order (by the field `then`, and by key); None if it cannot find them."""
    fields, known = index.fields, len(equal) + len(then)
    if set(fields[: len(equal)]) != set(equal) or fields[len(equal) : known] != then:
        return None
    if isinstance(index, Index) and (then or len(fields) != known):
        return None
    return len(fields) == known


def _where(table: Table[Any, Any]) -> str:
    return f"A `where` of table `{table.name}`"


def _field(table: Table[Any, Any], field: Any) -> str:
    name = field if isinstance(field, str) else getattr(field, "__name__", repr(field))
    if name not in table.record.__struct_fields__:
        known = ", ".join(table.record.__struct_fields__)
        raise DeclarationError(
            f"{_where(table)}: `{table.record.__name__}` has no field `{name}`. Its fields are: {known}."
        )
    return name


_CLASSES: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.BoolType: (bool,),
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.StrType: (str,),
    inspect.DateTimeType: (datetime,),
    inspect.DateType: (date,),
    inspect.NoneType: (type(None),),
}


@lru_cache(maxsize=1024)
def _classes(record: type[Record], field: str) -> tuple[type, ...]:
    """The classes of a field's values; empty where that cannot be told."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    kind = next(one.type for one in info.fields if one.name == field)
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    found = [_CLASSES.get(type(option)) for option in options]
    return () if None in found else tuple(one for classes in found for one in classes or ())


def _check(table: Table[Any, Any], field: str, values: Iterable[Any]) -> None:
    """Raises `TypeError` for a value of another type than the field's, which would find nothing, in silence."""
    classes = _classes(table.record, field)
    for value in values:
        if classes and not isinstance(value, classes):
            names = " or ".join(one.__name__ for one in classes)
            raise TypeError(f"{_where(table)}: `{field}` holds {names}, and is compared with {value!r}.")
