"""Folding: a batch of events as columns, and the cells of windows brought up to it, one aggregate after the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from extrovert.context.aggregates import Own
from extrovert.context.panes import Held

if TYPE_CHECKING:
    from extrovert.context.window import Window

__all__ = ["Batch", "Folding"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_cell = attrgetter("cell")


class Batch:
    """Sound events as columns, and the windows that they were assigned to since the last `take_assigned`.

    `places` are those in the batch that came; `times` are microseconds; `held[i]` is a window of event `which[i]`.
    """

    __slots__ = ("columns", "held", "keys", "offsets", "places", "records", "times", "which")

    def __init__(self, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int], places: Sequence[int]):
        self.keys = keys
        self.records = records
        self.offsets = offsets
        self.places = places
        self.times: list[int] = []
        self.columns: dict[str, Sequence[Any]] = {}
        self.held: list[Held] = []
        self.which: Sequence[int] = []

    def picked(self, kept: Sequence[int]) -> Batch:
        """Only the events at these positions."""
        return Batch(*([of[i] for i in kept] for of in (self.keys, self.records, self.offsets, self.places)))

    def place_at(self, offset: int) -> int:
        """The place of the event that came at this offset."""
        return self.places[self.offsets.index(offset)]


class Folding:
    """What a window's aggregates do with a batch."""

    def __init__(self, declared: Window[Any]) -> None:
        self.declared = declared
        self.columns = declared.columns
        self.begins = [one.begin for one in declared.aggregates.values()]
        slots = list(enumerate(declared.aggregates.items()))
        self.own = [(slot, one) for slot, (_, one) in slots if isinstance(one, Own)]
        self.given = [(slot, one, declared.over.get(name)) for slot, (name, one) in slots if not isinstance(one, Own)]

    def cell(self) -> list[Any]:
        """The states of a window without events."""
        return [begin() for begin in self.begins]

    # ---- columns

    def batch(
        self, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int], failures: dict[int, str]
    ) -> Batch:
        """The events that can be taken, as columns; tombstones are passed over, and what is unsound is a failure."""
        batch = Batch(keys, records, offsets, range(len(records)))
        follows = self.declared.follows
        if not follows.issuperset(map(type, records)):
            batch = batch.picked([i for i, record in enumerate(records) if type(record) in follows])
        try:
            if self._fill(batch):
                return batch
        except (TypeError, ValueError, OverflowError):
            pass
        batch = batch.picked([i for i in range(len(batch.records)) if self._sound(batch, i, failures)])
        self._fill(batch)
        return batch

    def _fill(self, batch: Batch) -> bool:
        """Fills the columns; returns False where one holds what it should not."""
        records = batch.records
        for name, column in self.columns.items():
            values = batch.columns[name] = list(map(column.get, records))
            if not column.sound(values):
                return False
        batch.times = [(moment - _EPOCH) // _US for moment in batch.columns[self.declared.at_field]]
        if self.declared.by is not None:
            batch.keys = batch.columns[self.declared.by]
        return True

    def _sound(self, batch: Batch, i: int, failures: dict[int, str]) -> bool:
        for column in self.columns.values():
            wrong = column.wrong(column.get(batch.records[i]))
            if wrong:
                failures[batch.places[i]] = f"window `{self.declared.name}`: {wrong}"
                return False
        return True

    # ---- cells

    def fold(self, batch: Batch, failures: dict[int, str]) -> None:
        """Brings the cells up to what is assigned in the batch. What a user's own aggregate cannot add is left out."""
        if self.own:
            self._add_own(batch, failures)
        cells = list(map(_cell, batch.held))
        whole = isinstance(batch.which, range)
        times = batch.times if whole else [batch.times[i] for i in batch.which]
        for slot, aggregate, name in self.given:
            if name is None:
                aggregate.fold(cells, slot, cells, times)
                continue
            values = batch.columns[name]
            if not whole:
                values = [values[i] for i in batch.which]
            if self.columns[name].may_lack and None in values:
                kept = [i for i, value in enumerate(values) if value is not None]
                some = [cells[i] for i in kept], slot, [values[i] for i in kept], [times[i] for i in kept]
                aggregate.fold(*some)
            else:
                aggregate.fold(cells, slot, values, times)

    def _add_own(self, batch: Batch, failures: dict[int, str]) -> None:
        """Adds each event to all of the user's aggregates or, where one raises, to none of any kind."""
        kept: list[int] = []
        for position, (held, i) in enumerate(zip(batch.held, batch.which, strict=True)):
            try:
                news = [(slot, own.add(held.cell[slot], batch.records[i])) for slot, own in self.own]
            except Exception as error:
                cause = f"window `{self.declared.name}`: {type(error).__name__}: {error}"
                failures.setdefault(batch.places[i], cause)
                continue
            for slot, new in news:
                held.cell[slot] = new
            held.filled = True
            kept.append(position)
        if len(kept) < len(batch.held):
            batch.which = [batch.which[position] for position in kept]
            batch.held = [batch.held[position] for position in kept]
