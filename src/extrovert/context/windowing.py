"""A window at work: takes events into cells, closes and drops windows as event time goes on, and writes their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from extrovert.context.ahead import limit, too_far
from extrovert.context.assigning import Assigner, assigner
from extrovert.context.columns import checked
from extrovert.context.folding import Batch, Folding
from extrovert.context.operator import Failure, Figures
from extrovert.context.panes import CLOSED, DROPPED, FIRST_US, FORGOTTEN, OPEN, Deadlines, Held, Pane, instant
from extrovert.context.saving import restore, saved
from extrovert.context.watermark import NEVER, Watermark

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.window import Window

__all__ = ["WindowState"]

FAR = 1 << 62


class WindowState:
    """The windows of one declaration in one live context.

    `late` counts the events that came too late. `quarantine` has the rows that could not be made, with the error.
    """

    def __init__(self, declared: Window[Any], context: LiveContext) -> None:
        self.declared = declared
        self.context = context
        self.table = context.tables[declared.name]
        self.mark = Watermark()
        self.late = 0
        self.quarantine: dict[str, str] = {}
        self.opened = Deadlines({OPEN: 0})
        self.ended = Deadlines({CLOSED: declared.lateness_us, FORGOTTEN: declared.keep_us})
        self.due_us = FAR
        self._tells = False
        self.closed_held = 0
        self.folding = Folding(declared)
        self.assigner: Assigner = assigner(self)
        self._changes = declared.emit == "changes"
        self._closing: dict[Held, int] = {}
        self._gone: dict[str, int] = {}
        self._touched: dict[Held, int] = {}
        self._results = [checked(declared.record, name, one) for name, one in declared.aggregates.items()]
        self._in_order: Callable[[Any], Any] = itemgetter(*declared.order)

    # ---- events

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        """Follows a batch: which windows each event is in, then their cells, then their rows, once for each."""
        failures: dict[int, str] = {}
        batch = self.folding.batch(keys, records, offsets, failures)
        if batch.records:
            self.mark.arrived_us = now_us = self.context.expiry.now_us
            limit_us = limit(now_us, self.declared.ahead_us)
            self._tells = self._changes or self.closed_held > 0
            self.assigner.assign(batch, limit_us, failures)
            self.flush(batch, failures)
            self._write(failures, batch)
            self._watch_silence()
        return sorted(failures.items())

    def flush(self, batch: Batch, failures: dict[int, str]) -> None:
        """Brings the cells up to what has been assigned so far."""
        if batch.held:
            self.folding.fold(batch, failures)
            if self._tells or self.closed_held:
                offsets = batch.offsets
                self._touched.update(zip(batch.held, [offsets[i] for i in batch.which], strict=True))

    def held(self, pane: Pane, key: Any) -> Held:
        """A new window, empty."""
        held = pane[key] = Held(key, pane.name_of(key), pane, self.folding.cell(), filled=not self.folding.own)
        return held

    def too_far(self, at_us: int, limit_us: int) -> str:
        """Why an event after the limit is not taken."""
        return f"window `{self.declared.name}`: {too_far(at_us, limit_us)}"

    def too_late(self, at_us: int, end_us: int) -> str:
        """Why an event whose windows are all forgotten is not taken."""
        self.late += 1
        behind = timedelta(microseconds=self.mark.reached_us - at_us)
        ended = "before the year 1" if end_us < FIRST_US else f"at {instant(end_us)}"
        return (
            f"window `{self.declared.name}`: it came {behind} behind the watermark, too late for the window that ended "
            f"{ended}; more lateness= or disorder= would let it in"
        )

    # ---- event time

    def advance(self, at_us: int, limit_us: int, offset: int) -> bool:
        """An event is later than all before. Returns False where it is too far ahead to be believed."""
        if at_us > limit_us:
            return False
        self.mark.latest_us = at_us
        reached_us = at_us - self.declared.disorder_us
        if reached_us > self.mark.reached_us:
            self.mark.reached_us = reached_us
            if reached_us >= self.due_us:
                self._move_on(offset)
        return True

    def near_us(self, limit_us: int) -> int:
        """Up to here `advance` would only move the watermark, so that `seen` may be told of the latest of many."""
        return min(limit_us, self.due_us + self.declared.disorder_us - 1)

    def seen(self, at_us: int) -> None:
        """Events have come, the latest of which is near."""
        self.mark.latest_us = max(self.mark.latest_us, at_us)
        self.mark.reached_us = max(self.mark.reached_us, at_us - self.declared.disorder_us)

    def watch(self, pane: Pane) -> None:
        """A pane is new: it is open until its end, or, where late events have begun it, closed already."""
        if pane.end_us <= self.mark.reached_us:
            pane.stage = CLOSED
            self.closed_held += 1
            self._tells = True
            self.end(pane)
            return
        self.due_us = min(self.due_us, self.opened.put(pane))

    def end(self, pane: Pane) -> None:
        """A pane is closed or forgotten, and waits for what comes next."""
        self.due_us = min(self.due_us, self.ended.put(pane))

    def _move_on(self, offset: int) -> None:
        """Closes, forgets and drops what the watermark has passed."""
        reached_us = self.mark.reached_us
        self.due_us = FAR
        for deadlines in (self.opened, self.ended):
            while (first := deadlines.next()) is not None and first[0] <= reached_us:
                deadlines.pop()
                self._next_stage(first[1], offset)
            if first is not None:
                self.due_us = min(self.due_us, first[0])

    def _next_stage(self, pane: Pane, offset: int) -> None:
        if pane.stage == OPEN:
            pane.stage = CLOSED
            self.closed_held += 1
            self._tells = True  # a late event of this very batch may come to it
            self._closing.update(dict.fromkeys(pane.values(), offset))
            self.end(pane)
        elif pane.stage == CLOSED:
            self.closed_held -= 1
            self.assigner.forget(pane)
            pane.forget()
            self.end(pane)
        else:
            pane.stage = DROPPED
            self._gone.update(dict.fromkeys(filter(lambda name: self._is_of(name, pane), pane.names), offset))

    def _is_of(self, name: str, pane: Pane) -> bool:
        """Whether the row of a forgotten window is its own: late events may have made another that begins then."""
        row = self.table.rows.get(name)
        return row is None or row.ends_at <= pane.bounds()[1]

    def shows(self, held: Held) -> bool:
        """Whether a window has a row."""
        stage = held.pane.stage
        return held.filled and stage != DROPPED and (self._changes or stage != OPEN)

    # ---- sessions

    def absorb(self, held: Held, other: Held, offset: int) -> None:
        """One session is joined into another, and is no more."""
        merges = self.declared.aggregates.values()
        cells = zip(merges, held.cell, other.cell, strict=True)
        held.cell = [aggregate.merge(one, another) for aggregate, one, another in cells]
        held.filled |= other.filled
        self._leaves(other, offset)
        self.closed_held -= other.pane.stage == CLOSED
        other.pane.stage = DROPPED

    def rename(self, held: Held, start_us: int, offset: int) -> None:
        """A session begins earlier than was known, so its row has another key."""
        self._leaves(held, offset)
        held.pane.grow(start_us, held.pane.end_us)
        held.name = held.pane.name_of(held.key)

    def _leaves(self, held: Held, offset: int) -> None:
        """A session has its row no more at this place."""
        if self.shows(held):
            self._gone[held.name] = offset

    def reopen(self, held: Held, offset: int) -> None:
        """A closed session has grown; where its new end is not reached, it is open again."""
        pane = held.pane
        if pane.end_us > self.mark.reached_us:
            if not self._changes:
                self._leaves(held, offset)
            pane.stage = OPEN
            self.closed_held -= 1
            self.watch(pane)

    def passed(self, offset: int) -> None:
        """The stream has been silent for long: event time goes on like engine time, to the end of what is open."""
        now_us, mark = self.context.expiry.now_us, self.mark
        idle_us = self.declared.idle_us
        if idle_us is None or mark.alarm_us is None or now_us < mark.alarm_us:
            return
        mark.alarm_us = None
        if mark.silent_for(now_us) >= idle_us:
            guessed_us = mark.guessed_us(now_us)
            while (first := self.opened.next()) is not None and first[0] <= guessed_us:
                mark.reached_us = max(mark.reached_us, first[0])
                self._move_on(offset)
            self._write({}, None)
        self._watch_silence()

    def _watch_silence(self) -> None:
        idle_us, mark = self.declared.idle_us, self.mark
        first = None if idle_us is None else self.opened.next()
        if idle_us is None or first is None:
            return
        at_us = mark.arrived_us + idle_us
        if at_us <= self.context.expiry.now_us:  # it is silent already: wait for the end of the next window
            at_us = mark.arrived_us + first[0] - mark.latest_us
        if mark.alarm_us is None or at_us < mark.alarm_us:
            mark.alarm_us = at_us
            self.context.wake_at(at_us, self.declared.name)

    # ---- rows

    def _write(self, failures: dict[int, str], batch: Batch | None) -> None:
        """Writes the rows of what was touched or closed, and deletes those that went."""
        touched, self._touched = self._touched, {}
        closing, self._closing = self._closing, {}
        gone, self._gone = self._gone, {}
        for name, offset in sorted(gone.items()):
            self.table.put(name, None, offset)
            self.quarantine.pop(name, None)
        if closing and (not self._changes or self.declared.tells_closed):
            for held in sorted(closing, key=_name):
                touched[held] = max(closing[held], touched.get(held, 0))
        changes = self._changes
        shown = [
            held
            for held in touched
            if held.filled and (stage := held.pane.stage) != DROPPED and (changes or stage != OPEN)
        ]
        if not shown:
            return
        try:
            rows = self._rows(shown)
        except Exception:
            rows = [self._row(held, touched[held], failures, batch) for held in shown]
        present = self.table.rows
        new = [
            (held.name, row, touched[held])
            for held, row in zip(shown, rows, strict=True)
            if row is not None and row != present.get(held.name)
        ]
        if new:
            names, rows, offsets = zip(*new, strict=True)
            self.table.put_many(names, rows, offsets)
            self.table.whole.version = max(offsets)
            if self.quarantine:
                for name in names:
                    self.quarantine.pop(name, None)

    def _rows(self, shown: list[Held]) -> list[Any]:
        """The rows of these windows, made field by field."""
        panes = [held.pane for held in shown]
        bounds = [pane.bounds() for pane in panes]
        columns: list[Any] = [[held.key for held in shown], *zip(*bounds, strict=True)]
        columns.append([pane.stage != OPEN for pane in panes])
        for slot, result in enumerate(self._results):
            states = [held.cell[slot] for held in shown]
            columns.append(states if result is None else list(map(result, states)))
        return list(map(self.declared.record, *self._in_order(columns)))

    def _row(self, held: Held, offset: int, failures: dict[int, str], batch: Batch | None) -> Any:
        """The row of one window; where it cannot be made, the row that is there stays."""
        try:
            return self._rows([held])[0]
        except Exception as error:
            cause = f"window `{self.declared.name}` at `{held.name}`: {type(error).__name__}: {error}"
            self.quarantine[held.name] = cause
            if batch is not None and offset in batch.offsets:
                failures.setdefault(batch.place_at(offset), cause)
            return None

    def figures(self) -> Figures:
        """The windows that still take events, by how far event time is."""
        held = sum(len(pane) for pane in self.assigner.panes())
        known = self.mark.latest_us != NEVER
        times = (self.mark.latest_us, self.mark.reached_us) if known else (None, None)
        return Figures("window", "windows", held, self.late, len(self.quarantine), *times, self.mark.alarm_us)

    # ---- snapshots

    def save(self) -> bytes:
        """What is not in the table: how far time has come, and the windows whose state is held."""
        return saved(self)

    def load(self, state: bytes) -> None:
        """Takes up a saved state; the rows are in the table already."""
        restore(self, state)


_name: Callable[[Held], str] = attrgetter("name")
