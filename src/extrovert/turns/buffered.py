"""What a turn has buffered, as the log keeps it: the rows and events that take effect when it commits."""

from __future__ import annotations

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import Emit, Write
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Turn

__all__ = ["emits_of", "writes_of"]

NONE = msgspec.Raw(b"null")


def writes_of(scope: TurnScope) -> list[Write]:
    """The rows that it writes."""
    return [
        Write(table, key, NONE if row is None else msgspec.Raw(canonical(row)))
        for table, rows in scope.writes.items()
        for key, row in rows.items()
    ]


def emits_of(turn: Turn) -> list[Emit]:
    """The events that it emits."""
    return [
        Emit(stream.name, stream.key_of(event), msgspec.Raw(canonical(event)), due_us)
        for stream, event, due_us in turn.staged.emitted
    ]
