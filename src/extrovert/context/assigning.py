"""Assigning: which windows an event is in, for spans that stand fast and for sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from extrovert.context.folding import Batch
from extrovert.context.panes import CLOSED, FIRST_US, Held, Pane
from extrovert.context.spans import Session, Sliding

if TYPE_CHECKING:
    from extrovert.context.windowing import WindowState

__all__ = ["Assigner", "assigner"]


class Assigner(Protocol):
    """Finds the windows of events, and keeps those whose state is held."""

    def assign(self, batch: Batch, limit_us: int, failures: dict[int, str]) -> None:
        """Lets event time go on by each event and assigns it to its windows, or says why it is in none."""
        ...

    def forget(self, pane: Pane) -> None:
        """The pane takes no more events."""
        ...

    def panes(self) -> list[Pane]:
        """The panes whose state is held."""
        ...

    def restore(self, pane: Pane) -> None:
        """A pane from a snapshot."""
        ...


class _Aligned:
    """Spans that stand fast: one pane for all keys."""

    def __init__(self, state: WindowState, spans: Sliding) -> None:
        self.state = state
        self.spans = spans
        self._panes: dict[int, Pane] = {}

    def assign(self, batch: Batch, limit_us: int, failures: dict[int, str]) -> None:
        if self.spans.every_us == self.spans.size_us:
            self._assign_to_one(batch, limit_us, failures)
        else:
            self._assign_to_many(batch, limit_us, failures)

    def _assign_to_one(self, batch: Batch, limit_us: int, failures: dict[int, str]) -> None:
        state, panes = self.state, self._panes
        size_us, offset_us = self.spans.size_us, self.spans.offset_us
        latest_us, near_us = state.mark.latest_us, state.near_us(limit_us)
        found: list[Held] = []
        skipped: set[int] = set()
        for i, (key, at_us) in enumerate(zip(batch.keys, batch.times, strict=True)):
            if at_us > latest_us:
                if at_us > near_us:
                    state.seen(latest_us)
                    if not state.advance(at_us, limit_us, batch.offsets[i]):
                        failures[batch.places[i]] = state.too_far(at_us, limit_us)
                        skipped.add(i)
                        continue
                    near_us = state.near_us(limit_us)
                latest_us = at_us
            start_us = at_us - (at_us - offset_us) % size_us
            pane = panes.get(start_us)
            if pane is None:
                state.seen(latest_us)
                pane = self._open(start_us)
                near_us = state.near_us(limit_us)
                if pane is None:
                    failures[batch.places[i]] = state.too_late(at_us, start_us + size_us)
                    skipped.add(i)
                    continue
            held = pane.get(key)
            if held is None:
                held = state.held(pane, key)
            found.append(held)
        state.seen(latest_us)
        batch.held = found
        which = range(len(batch.records))
        batch.which = [i for i in which if i not in skipped] if skipped else which

    def _assign_to_many(self, batch: Batch, limit_us: int, failures: dict[int, str]) -> None:
        state, panes, spans = self.state, self._panes, self.spans
        found: list[Held] = []
        which: list[int] = []
        for i, (key, at_us) in enumerate(zip(batch.keys, batch.times, strict=True)):
            if at_us > state.mark.latest_us and not state.advance(at_us, limit_us, batch.offsets[i]):
                failures[batch.places[i]] = state.too_far(at_us, limit_us)
                continue
            known = len(found)
            for start_us in range(spans.first(at_us), at_us + 1, spans.every_us):
                pane = panes.get(start_us) or self._open(start_us)
                if pane is not None:
                    found.append(pane.get(key) or state.held(pane, key))
                    which.append(i)
            if len(found) == known:
                failures[batch.places[i]] = state.too_late(at_us, spans.latest(at_us) + spans.size_us)
        batch.held, batch.which = found, which

    def _open(self, start_us: int) -> Pane | None:
        """The pane that begins then, if it is not too late for it."""
        pane = self._panes.get(start_us)
        if pane is None:
            pane = Pane(start_us, start_us + self.spans.size_us)
            if start_us < FIRST_US or pane.end_us + self.state.declared.lateness_us <= self.state.mark.reached_us:
                return None
            self._panes[start_us] = pane
            self.state.watch(pane)
        return pane

    def forget(self, pane: Pane) -> None:
        self._panes.pop(pane.start_us, None)

    def panes(self) -> list[Pane]:
        return list(self._panes.values())

    def restore(self, pane: Pane) -> None:
        self._panes[pane.start_us] = pane


class _Sessions:
    """Sessions: a pane for each, by key; they grow and join."""

    def __init__(self, state: WindowState, gap_us: int) -> None:
        self.state = state
        self.gap_us = gap_us
        self._panes: dict[Any, list[Pane]] = {}

    def assign(self, batch: Batch, limit_us: int, failures: dict[int, str]) -> None:
        state = self.state
        found: list[Held] = []
        which: list[int] = []
        batch.held, batch.which = found, which
        for i, (key, at_us) in enumerate(zip(batch.keys, batch.times, strict=True)):
            if at_us > state.mark.latest_us and not state.advance(at_us, limit_us, batch.offsets[i]):
                failures[batch.places[i]] = state.too_far(at_us, limit_us)
                continue
            end_us = at_us + self.gap_us
            joined = [p for p in self._panes.get(key, ()) if p.start_us < end_us and at_us < p.end_us]
            if len(joined) > 1 or (joined and at_us < joined[0].start_us):  # what is joined or named anew is complete
                state.flush(batch, failures)
                found, which = [], []
                batch.held, batch.which = found, which
            if joined:
                held = self._join(key, joined, at_us, batch.offsets[i])
            elif at_us < FIRST_US or end_us + state.declared.lateness_us <= state.mark.reached_us:
                failures[batch.places[i]] = state.too_late(at_us, end_us)
                continue
            else:
                pane = Pane(at_us, end_us)
                self._panes.setdefault(key, []).append(pane)
                held = state.held(pane, key)
                state.watch(pane)
            found.append(held)
            which.append(i)

    def _join(self, key: Any, joined: list[Pane], at_us: int, offset: int) -> Held:
        """The session into which the event and all sessions that it touches are joined."""
        state = self.state
        pane = min(joined, key=lambda one: one.start_us)
        held = pane[key]
        end_us = max(at_us + self.gap_us, *(one.end_us for one in joined))
        for other in joined:
            if other is not pane:
                state.absorb(held, other[key], offset)
                self.forget_of(key, other)
        if at_us < pane.start_us:
            state.rename(held, at_us, offset)
        if end_us > pane.end_us:
            pane.grow(pane.start_us, end_us)
            if pane.stage == CLOSED:
                state.reopen(held, offset)
        return held

    def forget_of(self, key: Any, pane: Pane) -> None:
        """The pane of this key takes no more events."""
        left = [one for one in self._panes[key] if one is not pane]
        if left:
            self._panes[key] = left
        else:
            del self._panes[key]

    def forget(self, pane: Pane) -> None:
        self.forget_of(next(iter(pane)), pane)

    def panes(self) -> list[Pane]:
        return [pane for panes in self._panes.values() for pane in panes]

    def restore(self, pane: Pane) -> None:
        self._panes.setdefault(next(iter(pane)), []).append(pane)


def assigner(state: WindowState) -> Assigner:
    """What assigns events to the windows of a declaration."""
    spans = state.declared.spans
    return _Sessions(state, spans.size_us) if isinstance(spans, Session) else _Aligned(state, spans)
