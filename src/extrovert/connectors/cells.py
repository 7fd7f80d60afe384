"""Cells: named values of a row, as files of tables have them, made to JSON lines of a stream's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from extrovert.context.stream import Stream
from extrovert.core.declaring import records

__all__ = ["Cells"]


class Cells:
    """Makes rows fit the records of a stream. What is empty is None for a field that may be None.

    For another field it is left out, so that its default holds; for a text it is empty text, where the format has no
    way to tell.
    """

    def __init__(self, stream: Stream[Any]) -> None:
        self._event = stream.event
        self._optional: set[str] = set()
        self._texts: set[str] = set()
        self._fields: set[str] = set()
        self.required: set[str] = set()
        options = records(f"Stream `{stream.name}`", stream.event)
        for place, record in enumerate(options):
            info = msgspec.inspect.type_info(record)
            assert isinstance(info, msgspec.inspect.StructType)
            needed = {field.encode_name for field in info.fields if field.required}
            self.required = needed if place == 0 else self.required & needed
            for field in info.fields:
                self._fields.add(field.encode_name)
                kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
                if any(isinstance(kind, msgspec.inspect.NoneType) for kind in kinds):
                    self._optional.add(field.encode_name)
                elif all(isinstance(kind, msgspec.inspect.StrType) for kind in kinds):
                    self._texts.add(field.encode_name)
        self._encode = msgspec.json.Encoder(decimal_format="number").encode

    def knows(self, column: str) -> bool:
        """Whether a record has a field of that name."""
        return column in self._fields

    def from_text(self, columns: Sequence[str], cells: Sequence[str]) -> bytes:
        """A JSON line from cells that are all text. Raises `ValueError` with the cause where they do not fit."""
        if len(cells) != len(columns):
            raise ValueError(f"the row has {len(cells)} cells, and there are {len(columns)} columns")
        row = {
            column: cell or (None if column in self._optional else "")
            for column, cell in zip(columns, cells, strict=True)
            if cell or column in self._optional or column in self._texts
        }
        return self._encode(msgspec.convert(row, self._event, strict=False))

    def from_values(self, row: Mapping[str, Any]) -> bytes:
        """A JSON line from values that have types of their own. Raises `TypeError` for one that JSON does not know."""
        return self._encode(
            {column: value for column, value in row.items() if value is not None or column in self._optional}
        )
