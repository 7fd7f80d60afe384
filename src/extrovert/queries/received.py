"""The rows of a relation as they come from another process: JSON, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from extrovert.queries.arrow import Gathered
from extrovert.queries.columns import Column, python_type, struct_type
from extrovert.queries.relations import Part, Relation

__all__ = ["Received"]


class Received:
    """Gathers pages. A column of which a value is not what its type says is text, as in `Gathered`."""

    def __init__(self, relation: Relation) -> None:
        self.gathered = Gathered(relation)
        self._prepare()

    def add(self, values: bytes, keys: bytes | None) -> None:
        """Takes up a page: JSON arrays of values and, of a view, of keys."""
        try:
            found = self._values.decode(values)
        except msgspec.ValidationError:
            self.gathered.spoil([one.name for one in self._columns() if not self._fits(one, values)])
            self._prepare()
            found = self._values.decode(values)
        self.gathered.add(Part(self.gathered.relation.name, found, None if keys is None else self._keys.decode(keys)))

    def _prepare(self) -> None:
        relation = self.gathered.relation
        self._values = self._decoder(self._columns())
        self._keys: msgspec.json.Decoder[Sequence[Any]] = msgspec.json.Decoder(list[python_type(relation.columns[0])])

    def _columns(self) -> Sequence[Column]:
        """The columns of the values, without that of a view's keys."""
        columns = self.gathered.relation.columns
        return columns[1:] if self.gathered.relation.of == "view" else columns

    def _decoder(self, columns: Sequence[Column]) -> msgspec.json.Decoder[Sequence[Any]]:
        whole = self.gathered.relation.whole
        return msgspec.json.Decoder(list[python_type(columns[0]) if whole else struct_type(columns)])

    def _fits(self, column: Column, values: bytes) -> bool:
        try:
            self._decoder([column]).decode(values)
        except msgspec.ValidationError:
            return False
        return True
