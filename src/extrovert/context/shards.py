"""Shards: what a view or a turn may read and write where state is split, checked on one machine before it is.

A table is sharded by a field of its rows, or replicated to all shards. A view belongs to the shard of its row, a turn
to that of what woke it. Each may read its own shard and what is replicated, and a turn may write its own. Another shard
is reached by an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from extrovert.core.errors import TurnError

if TYPE_CHECKING:
    from extrovert.context.table import Table

__all__ = ["EVERYWHERE", "UNKNOWN", "Border", "ShardBreach"]


class _Home:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


EVERYWHERE = _Home("every shard")
"""The home of a view over a replicated table: each shard has it, so it reads only what is replicated."""

UNKNOWN = _Home("no shard yet")
"""The home of a turn that was woken by what went away: the first row that it reads decides."""


class ShardBreach(TurnError):
    """A view or a turn read or wrote what its shard does not have."""


class Border:
    """The border of the shard that a reader belongs to; `label` names the reader in errors."""

    __slots__ = ("home", "label")

    def __init__(self, label: str, home: Any) -> None:
        self.label = label
        self.home = home

    def reads(self, table: Table[Any, Any], what: str, rows: Iterable[Any]) -> None:
        """Raises `ShardBreach` where one of the rows is of another shard."""
        if table.replicated:
            return
        for row in rows:
            if row is not None:
                self.visits(table, what, table.shard_of(row))

    def visits(self, table: Table[Any, Any], what: str, shard: Any) -> None:
        """Raises `ShardBreach` where `shard` is another one than the reader's."""
        if self.home is UNKNOWN:
            self.home = shard
        if shard != self.home:
            raise ShardBreach(
                f"{self._whose()} read {what}, which is in shard `{shard}`. Declare table `{table.name}` as "
                f"replicated=True, if every shard should have it, or emit an event to shard `{shard}` and read there."
            )

    def counts(self, table: Table[Any, Any], what: str, fields: tuple[str, ...], at: tuple[Any, ...]) -> None:
        """Raises `ShardBreach` where what is counted may lie in another shard; `at` are the values of `fields`."""
        if table.replicated:
            return
        if table.shard_by not in fields:
            raise ShardBreach(
                f"{self._whose()} counted {what} over all shards. Count by an index that has `{table.shard_by}` among "
                f"its fields, or declare table `{table.name}` as replicated=True."
            )
        self.visits(table, what, at[fields.index(table.shard_by)])

    def writes(self, table: Table[Any, Any], row: Any) -> None:
        """Raises `ShardBreach` for a row of another shard, and for a replicated table."""
        if table.replicated:
            raise ShardBreach(
                f"{self._whose()} wrote to table `{table.name}`, which is replicated: turns only read it. Declare it "
                f"with shard_by=, or emit an event and have the table fold that stream."
            )
        shard = table.shard_of(row)
        if self.home is UNKNOWN:
            self.home = shard
        if shard != self.home:
            raise ShardBreach(
                f"{self._whose()} wrote to table `{table.name}` a row of shard `{shard}`. Emit an event to that shard, "
                f"and write there."
            )

    def makes(self, table: Table[Any, Any], row: Any) -> None:
        """Raises `ShardBreach` where a view makes a row of another shard."""
        if not table.replicated and table.shard_of(row) != self.home:
            raise ShardBreach(
                f"{self._whose()} made a row of shard `{table.shard_of(row)}`. The rows that a view makes are in the "
                f"shard of the row that it is over: say with shard_by= which of their fields tells it."
            )

    def _whose(self) -> str:
        return f"{self.label[:1].upper()}{self.label[1:]}, of {_named(self.home)},"


def _named(home: Any) -> str:
    return repr(home) if isinstance(home, _Home) else f"shard `{home}`"
