"""Records: the typed, immutable values that streams, tables and views hold."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import msgspec
from typing_extensions import dataclass_transform

__all__ = ["Record"]

_STRUCT_META = type(msgspec.Struct)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class RecordMeta(_STRUCT_META):
    """Makes every subclass of `Record` frozen and unseen by the cycle collector, with nothing for the user to say."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        options.setdefault("frozen", True)
        options.setdefault("gc", False)
        return super().__new__(cls, name, bases, namespace, **options)


class Record(msgspec.Struct, metaclass=RecordMeta):
    """An immutable, typed value: one row, one event's data, one answer.

    Fields are annotated class attributes. `but` gives a changed copy. Values must not form cycles, since the cycle
    collector does not look at records.
    """

    def but(self, **changes: Any) -> Self:
        """A copy with `changes` applied. Raises `TypeError` for a field that the record does not have."""
        return msgspec.structs.replace(self, **changes)


R = TypeVar("R", bound=Record)
