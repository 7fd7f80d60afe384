"""What a turn sees: the live context (or a copy), with the turn's own writes on top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from extrovert.context.copies import Copy
from extrovert.context.history import Beyond
from extrovert.context.live import LiveContext
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable, ReadSet, Scope

__all__ = ["TurnScope"]


class TurnScope(Scope):
    """A turn's reads and buffered writes. `writes` maps a table to key to row (None: deleted).

    What the turn wrote itself it reads back, and that is no read of the context. Views show the context without the
    turn's writes. `woken` has the stream, the key and the (offset, event) pairs that woke it, where events did. Its
    `own` reads are in the order in which they were first made; those before them have `led` to a refusal of what was
    answered.
    """

    __slots__ = ("copy", "led", "own", "woken", "writes")

    def __init__(self, context: LiveContext, label: str, copy: Copy | None = None) -> None:
        self.own: ReadSet = {}
        self.led: ReadSet = {}
        super().__init__(context, label, self.own)
        self.copy = copy
        self.writes: dict[str, dict[Any, Any]] = {}
        self.woken: tuple[str, Any, Sequence[tuple[int, Any]]] = ("", None, ())

    @property
    def taken(self) -> ReadSet:
        """All reads on which the turn hangs."""
        return {**self.led, **self.own} if self.led else self.own

    def look(self, of: Readable, selector: Any) -> Any:
        value, token = of.look(selector) if self.copy is None else self.copy.look(of, selector)
        self.own[of, selector] = token
        if self.border is not None:
            of.visited(self.border, selector, value)
        return value

    def row(self, table: str, key: Any) -> Any:
        if self.writes:
            written = self.writes.get(table)
            if written is not None and key in written:
                return written[key]
        return self.look(self.context.tables[table], key)

    def as_of(self, table: str, key: Any, at_us: int) -> Any:
        state = self.context.tables[table]
        timeline, history = state.timeline, state.history
        found = super().as_of(table, key, at_us)
        written = self.writes.get(table)
        if not written or key not in written or isinstance(found, Beyond) or timeline is None or history is None:
            return found
        versions = history.versions.get(key, ()) if self.copy is None else self.copy.versions(history, key)
        written_us = timeline.written_us(written[key], state.rows.get(key))
        return found if written_us is None else history.as_if_written(versions, at_us, written[key], written_us)

    def rows(self, table: str, of: Readable, selector: Any, matches: Callable[[Any], bool]) -> Iterable[Any]:
        found = self.look(of, selector)
        written = self.writes.get(table)
        if not written:
            return found
        if isinstance(of, RangeIndexState) and selector.limit is not None:
            found = self.look(of, selector.widened(len(written)))
        state = self.context.tables[table]
        kept = [row for row in found if state.key_of(row) not in written]
        kept.extend(row for row in written.values() if row is not None and matches(row))
        if isinstance(of, RangeIndexState):
            return sorted(kept, key=of.entry_of, reverse=selector.descending)
        return sorted(kept, key=state.key_of)

    def written(self, table: str) -> Mapping[Any, Any]:
        return self.writes.get(table, {})

    def count(self, table: str, of: Readable, selector: Any, matches: Callable[[Any], bool]) -> int:
        size: int = self.look(of, selector)
        for key, row in self.writes.get(table, {}).items():
            was = self.look(self.context.tables[table], key)
            size += int(row is not None and matches(row)) - int(was is not None and matches(was))
        return size
