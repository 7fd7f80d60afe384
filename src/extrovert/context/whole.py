"""Whole tables: all rows of a table as one thing that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extrovert.context.reads import Readable

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["WholeTable"]


class WholeTable(Readable):
    """A table read as a whole; its token is the offset of the latest change."""

    __slots__ = ("table", "version")

    def __init__(self, table: TableState) -> None:
        super().__init__("table", table.name)
        self.table = table
        self.version = 0

    def look(self, selector: Any) -> tuple[Any, int]:
        rows = self.table.rows
        return tuple(rows[key] for key in sorted(rows)), self.version

    def token(self, selector: Any) -> int:
        return self.version

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.table.declared, f"all of table `{self.name}`", value)
