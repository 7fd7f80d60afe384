"""The result of a query."""

from __future__ import annotations

from typing import Any

from extrovert.core.record import Record

__all__ = ["SqlResult"]


class SqlResult(Record):
    """The rows of a query, in order, each a tuple of its columns' values.

    `types` are DuckDB's names of the columns' types. `more` says that there were more rows than the limit; `notes` what
    else there is to know; `offset` is that of the last change that the query saw.
    """

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    more: bool = False
    notes: list[str] = []
    offset: int = 0

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by their columns' names."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]
