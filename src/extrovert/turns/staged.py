"""What a turn has staged: all that it will change when it commits, checked as it is staged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import GuardFailed, TurnError
from extrovert.core.ids import canonical
from extrovert.core.time import to_us
from extrovert.core.zones import without_zone
from extrovert.turns.declare import Effect
from extrovert.turns.guards import Condition
from extrovert.turns.intended import Intended
from extrovert.turns.scope import TurnScope

if TYPE_CHECKING:
    from extrovert.turns.permitted import Permitted

__all__ = ["Mark", "Staged"]


class Mark(NamedTuple):
    """How much was staged at a moment."""

    writes: dict[str, dict[Any, Any]]
    sizes: tuple[int, ...]


class Staged:
    """The events, effects and conditions of one attempt of `agent`; its rows are in the scope, which reads them back.

    What cannot be done is a `TurnError` where it is staged. What may not be, after text from outside was read, is a
    `Refuse`: `bounds` says so, where there is such text.
    """

    def __init__(self, agent: str, scope: TurnScope) -> None:
        self.emitted: list[tuple[Stream[Any], Any, int | None]] = []
        self.intended: list[Intended] = []
        self.conditions: list[Condition] = []
        self.undone: list[str] = []
        self.bounds: Permitted | None = None
        self._agent = agent
        self._scope = scope

    def put(self, table: Table[Any, Any], row: Any) -> None:
        """A row is written."""
        self._check(f"table `{table.name}`", row, table.record)
        key = getattr(row, table.key)
        self._may_write(table, key, row)
        timeline = self._scope.context.tables[table.name].timeline
        try:
            if timeline is not None:
                timeline.check(row)
        except ValueError as error:
            raise TurnError(f"Agent `{self._agent}` gave table `{table.name}` row `{key}`: {error}.") from error
        if self.bounds is not None:
            self.bounds.put(table, key, row)
        self._scope.writes.setdefault(table.name, {})[key] = row

    def delete(self, table: Table[Any, Any], key: Any) -> None:
        """A row is deleted."""
        self._may_write(table, key, None)
        if self.bounds is not None:
            self.bounds.put(table, key, None)
        self._scope.writes.setdefault(table.name, {})[key] = None

    def emit(self, stream: Stream[Any], event: Any, at: Any) -> None:
        """An event is emitted, when it is `at`."""
        self.check_emit(stream, event)
        try:
            due_us = None if at is None else to_us(at)
        except ValueError as error:
            raise TurnError(f"Agent `{self._agent}` emitted to stream `{stream.name}` with at=: {error}.") from error
        if self.bounds is not None:
            self.bounds.emit(stream, event)
        self.emitted.append((stream, event, due_us))

    def effect(self, effect: Effect[...], arguments: Sequence[Any]) -> Intended:
        """An effect is intended."""
        intended = Intended(effect, arguments)
        if self.bounds is not None:
            self.bounds.effect(intended)
        self.intended.append(intended)
        return intended

    @property
    def written(self) -> Iterator[tuple[Table[Any, Any], Any, Any]]:
        """The rows that are written: the table, the key, and the row (None: deleted)."""
        tables = self._scope.context.tables
        for name, rows in self._scope.writes.items():
            for key, row in rows.items():
                yield tables[name].declared, key, row

    def check_emit(self, stream: Stream[Any], event: Any) -> None:
        """Raises `TurnError` where the turn may not send this event to this stream."""
        if stream.made_by:
            raise TurnError(
                f"Agent `{self._agent}` emitted to stream `{stream.name}`, whose events are made by {stream.made_by}."
            )
        self._check(f"stream `{stream.name}`", event, stream.event)

    def check_guards(self) -> None:
        """Raises `GuardFailed` where a condition of the decision or of an effect does not hold, as it would commit."""
        guarded = [one.condition for one in self.intended if one.condition is not None]
        for condition in (*self.conditions, *guarded):
            if not condition.holds():
                raise GuardFailed(f"guard `{condition}` does not hold")

    # ---- taken back

    @property
    def mark(self) -> Mark:
        """What is staged now, to come `back_to`."""
        return Mark({name: dict(rows) for name, rows in self._scope.writes.items()}, tuple(map(len, self._lists)))

    def back_to(self, mark: Mark) -> None:
        """Takes back what was staged since."""
        self._scope.writes = mark.writes
        for some, size in zip(self._lists, mark.sizes, strict=True):
            del some[size:]

    @property
    def _lists(self) -> tuple[list[Any], ...]:
        return self.emitted, self.intended, self.conditions, self.undone

    # ---- checks

    def _check(self, to: str, record: Any, wanted: Any) -> None:
        """A record is kept as JSON: one that would not come back the same type is an error here, not in the log."""
        try:
            if not isinstance(record, wanted):
                raise TypeError(f"it is a {type(record).__name__}")
            msgspec.json.decode(canonical(record), type=wanted)
            wrong = without_zone(record, wanted)
            if wrong:
                raise ValueError(wrong)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise TurnError(f"Agent `{self._agent}` gave {to} a record that it cannot hold: {error}.") from error

    def _may_write(self, table: Table[Any, Any], key: Any, row: Any) -> None:
        """One field has one writer: the source's are not a turn's to change. One row has one shard."""
        if self._scope.border is not None and (written := row or self._scope.row(table.name, key)) is not None:
            self._scope.border.writes(table, written)
        if not table.fed:
            return
        if table.made_by:
            raise TurnError(
                f"Agent `{self._agent}` wrote to table `{table.name}`, whose rows are made by {table.made_by}. Write "
                f"what they are made of."
            )
        if not table.turns_own:
            raise TurnError(
                f"Agent `{self._agent}` wrote to table `{table.name}`, which its source writes. Keep what turns decide "
                f"in a table of its own, or declare the fields that turns own: turns_own=(...)."
            )
        present = self._scope.row(table.name, key)
        if row is None or present is None:
            raise TurnError(
                f"Agent `{self._agent}` {'deleted' if row is None else 'added'} row `{key}` of table `{table.name}`; "
                f"its source decides which rows there are."
            )
        wrong = [
            n for n in row.__struct_fields__ if n not in table.turns_own and getattr(row, n) != getattr(present, n)
        ]
        if wrong:
            raise TurnError(
                f"Agent `{self._agent}` changed {', '.join(wrong)} of row `{key}` of table `{table.name}`; "
                f"turns own only {', '.join(sorted(table.turns_own))}."
            )
