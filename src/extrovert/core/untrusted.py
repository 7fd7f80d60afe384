"""Untrusted text: what came from outside and may hold instructions, as the types of records say it.

A field that holds such text is declared as `note: Untrusted[str]`. Only text can carry an instruction: numbers, times,
truths and what is one of a fixed set (an enum, a `Literal`) cannot, wherever they come from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

__all__ = ["MARK", "WHEN", "Text", "Untrusted", "hints_of", "is_marked", "marked", "records_in", "texts"]

T = TypeVar("T")


class _Mark:
    name = "untrusted"

    def __repr__(self) -> str:
        return "Untrusted"


MARK = _Mark()
Untrusted = Annotated[T, MARK]
"""Text from outside: `note: Untrusted[str]` in a record, or a type that holds text, `Untrusted[list[str]]`."""
WHEN = "__outside_when__"
"""A record whose class has this names a field of its own by it: only where that is true do its marks count."""

_WITHOUT_TEXT = (type(None), bool, int, float, complex, Decimal, date, time, timedelta, UUID, Enum, msgspec.UnsetType)
_TEXT = (str, bytes, bytearray, memoryview, msgspec.Raw)
_MOST_WRAPPERS = 20


class Text(NamedTuple):
    """A text that a value holds: `where` is its field (`Review.text`; "" outside of records), and whether its type
    says that it is from `outside`."""

    where: str
    value: str | bytes
    outside: bool


def texts(value: Any, kind: Any = Any, *, outside: bool = False, where: str = "") -> Iterator[Text]:
    """All texts in a value of the type `kind`, but for those that are one of a fixed set. With `outside` all are."""
    if isinstance(value, _WITHOUT_TEXT):
        return
    marks, kind = _told(kind, value)
    outside = outside or marks
    if isinstance(value, _TEXT):
        if get_origin(kind) is not Literal:
            yield Text(where, value if isinstance(value, str) else bytes(cast(bytes, value)), outside)
        return
    for part, of, at in _parts(value, kind):
        yield from texts(part, of, outside=outside, where=at or where)


def records_in(value: Any) -> Iterator[msgspec.Struct]:
    """All records in a value, itself included."""
    if isinstance(value, msgspec.Struct):
        yield value
    if not isinstance(value, (*_WITHOUT_TEXT, *_TEXT)):
        for part, _, _ in _parts(value, Any):
            yield from records_in(part)


def marked(kind: Any) -> bool:
    """Whether anything of this type is marked as text from outside."""
    return _marked(kind, set())


def is_marked(record: type[Any], field: str) -> bool:
    """Whether a field of a record, or anything in it, is marked."""
    return marked(hints_of(record).get(field, Any))


@lru_cache(maxsize=4_096)
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of the fields of a class that has such, with their marks; empty where they cannot be told."""
    of = get_origin(kind) or kind
    try:
        if isinstance(of, type) and issubclass(of, msgspec.Struct):
            return {field.name: field.type for field in msgspec.structs.fields(kind)}
        return get_type_hints(cast(Any, of), include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


# ---- values


def _parts(value: Any, kind: Any) -> Iterator[tuple[Any, Any, str]]:
    """What a value is made of, each part with its type, and its field where it has one."""
    if isinstance(value, Mapping):
        yield from _entries(cast("Mapping[Any, Any]", value), kind)
    elif isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        yield from _fields(value, kind)
    elif isinstance(value, Collection):
        yield from _elements(cast("Collection[Any]", value), kind)
    elif hasattr(value, "__dict__"):
        yield from _fields(value, kind)
    else:
        yield str(value), Any, ""


def _fields(value: Any, kind: Any) -> Iterator[tuple[Any, Any, str]]:
    of = _class_of(value)
    hints = hints_of(kind if get_origin(kind) is of else of)
    when = getattr(of, WHEN, "")
    spared = bool(when) and not getattr(value, when)
    for name in _names_of(value):
        hint = hints.get(name, Any)
        yield getattr(value, name), _unmarked(hint) if spared else hint, f"{of.__name__}.{name}"


def _unmarked(kind: Any) -> Any:
    """The type of a field without the mark that it has as a whole."""
    return kind.__origin__ if MARK in getattr(kind, "__metadata__", ()) else kind


def _class_of(value: object) -> Any:
    return type(value)


def _names_of(value: Any) -> Iterable[str]:
    names = getattr(value, "__struct_fields__", None) or getattr(value, "_fields", None)
    return cast("Iterable[str]", vars(value) if names is None else names)


def _entries(value: Mapping[Any, Any], kind: Any) -> Iterator[tuple[Any, Any, str]]:
    arguments = get_args(kind)
    of_key, of_value = arguments if len(arguments) == 2 else (Any, Any)
    named: dict[str, Any] = hints_of(kind) if isinstance(kind, type) and get_origin(kind) is None else {}
    for key, part in value.items():
        if key in named:
            yield part, named[key], f"{kind.__name__}.{key}"
        else:
            yield key, of_key, ""
            yield part, of_value, ""


def _elements(value: Collection[Any], kind: Any) -> Iterator[tuple[Any, Any, str]]:
    arguments = get_args(kind)
    by_place = get_origin(kind) is tuple and Ellipsis not in arguments and len(arguments) == len(value)
    for place, part in enumerate(value):
        yield part, arguments[place] if by_place else arguments[0] if arguments else Any, ""


# ---- types


def _told(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether the type of a value is marked as a whole, and that type without its wrappers, of a union the member."""
    outside = False
    for _ in range(_MOST_WRAPPERS):
        if hasattr(kind, "__metadata__"):
            outside = outside or MARK in kind.__metadata__
            kind = kind.__origin__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif hasattr(kind, "__value__"):
            kind = kind.__value__
        elif get_origin(kind) in (Union, UnionType):
            fitting = [told for one in get_args(kind) if _fits((told := _told(one, value))[1], value)]
            literal = [told for told in fitting if get_origin(told[1]) is Literal]
            mark, kind = (literal or sorted(fitting, key=lambda told: not told[0]) or [(False, Any)])[0]
            return outside or mark, kind
        else:
            break
    return outside, kind


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value may be of this type."""
    of = get_origin(kind) or kind
    if of is Literal:
        return value in get_args(kind)
    try:
        return not isinstance(of, type) or of is Any or isinstance(value, of)
    except TypeError:  # a TypedDict, a protocol
        return True


def _marked(kind: Any, known: set[Any]) -> bool:
    if hasattr(kind, "__metadata__"):
        return (MARK in kind.__metadata__ and _carries(kind.__origin__)) or _marked(kind.__origin__, known)
    for wrapper in ("__supertype__", "__value__"):
        if hasattr(kind, wrapper):
            return _marked(getattr(kind, wrapper), known)
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return False
    if any(_marked(one, known) for one in arguments if one is not Ellipsis):
        return True
    if kind in known or not isinstance(get_origin(kind) or kind, type):
        return False
    known.add(kind)
    return (get_origin(kind) or kind).__module__ != "builtins" and any(
        _marked(one, known) for one in hints_of(kind).values()
    )


def _carries(kind: Any) -> bool:
    """Whether a type that is marked can hold text at all."""
    if hasattr(kind, "__metadata__"):
        return _carries(kind.__origin__)
    arguments = [one for one in get_args(kind) if one is not Ellipsis]
    if get_origin(kind) is Literal:
        return False
    if arguments:
        return any(map(_carries, arguments))
    return not (isinstance(kind, type) and issubclass(kind, _WITHOUT_TEXT))
