"""Sizes: how many rows a table has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extrovert.context.reads import Readable

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["SizeState"]


class SizeState(Readable):
    """The number of a table's rows; the token is the number itself."""

    __slots__ = ("table",)

    def __init__(self, table: TableState) -> None:
        super().__init__("count", table.name)
        self.table = table

    def look(self, selector: Any) -> tuple[int, int]:
        size = len(self.table.rows)
        return size, size

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.counts(self.table.declared, f"table `{self.name}`", (), ())
