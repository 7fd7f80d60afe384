"""Time zones: which fields of a record hold a moment. One without a zone could mean two things, and is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

__all__ = ["moments", "without_zone"]


@lru_cache(maxsize=1024)
def moments(record: Any) -> Mapping[type, tuple[str, ...]]:
    """The fields that can hold a moment, for each struct type of `record`, which is one or a union of several."""
    found: dict[type, tuple[str, ...]] = {}
    info = msgspec.inspect.type_info(record)
    for kind in info.types if isinstance(info, msgspec.inspect.UnionType) else (info,):
        if isinstance(kind, msgspec.inspect.StructType):
            fields = tuple(field.name for field in kind.fields if _holds_time(field.type))
            if fields:
                found[kind.cls] = fields
    return found


def without_zone(record: object, declared: Any) -> str:
    """What is wrong with a record of type `declared` that holds a moment without a time zone; "" where none does."""
    for field in moments(declared).get(type(record), ()):
        value = getattr(record, field)
        if isinstance(value, datetime) and value.tzinfo is None:
            return f"`{field}` is {value.isoformat()}, without a time zone; add Z or an offset"
    return ""


def _holds_time(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_holds_time(option) for option in kind.types)
    return isinstance(kind, msgspec.inspect.DateTimeType)
