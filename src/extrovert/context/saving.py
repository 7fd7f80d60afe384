"""Saving: the windows whose state is held, as JSON with the types that their aggregates keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context.panes import CLOSED, FORGOTTEN, OPEN, Held, Pane
from extrovert.context.watermark import Watermark
from extrovert.core.time import to_us

if TYPE_CHECKING:
    from extrovert.context.windowing import WindowState

__all__ = ["restore", "saved"]


class _State(msgspec.Struct):
    mark: Watermark
    late: int
    quarantine: dict[str, str]
    panes: msgspec.Raw
    rowless: dict[str, int] = {}
    """The ends of windows that are not held any more, and whose rows do not tell, since they could not be made."""


def saved(state: WindowState) -> bytes:
    """The held windows, pane by pane in the order of their ends: (start, end, stage, windows)."""
    panes = [
        (pane.start_us, pane.end_us, pane.stage, [(held.key, held.filled, held.cell) for held in pane.values()])
        for deadlines in (state.opened, state.ended)
        for pane in deadlines.waiting()
        if pane.stage != FORGOTTEN
    ]
    encode = msgspec.json.encode
    return encode(_State(state.mark, state.late, state.quarantine, msgspec.Raw(encode(panes)), _rowless(state)))


def _rowless(state: WindowState) -> dict[str, int]:
    if not state.quarantine:
        return {}
    forgotten = (pane for pane in state.ended.waiting() if pane.stage == FORGOTTEN)
    return {name: pane.end_us for pane in forgotten for name in pane.names if name in state.quarantine}


def restore(state: WindowState, saved: bytes) -> None:
    """Takes up what was saved; the rows of windows that are not held are there until they are dropped."""
    declared = state.declared
    found = msgspec.json.decode(saved, type=_State)
    state.mark, state.late, state.quarantine = found.mark, found.late, found.quarantine
    key, states = declared.state_types()
    panes: Any = list[tuple[int, int, int, list[tuple[key, bool, states]]]]  # pyright: ignore
    held_names: set[str] = set()
    for start_us, end_us, stage, windows in msgspec.json.decode(found.panes, type=panes):
        pane = Pane(start_us, end_us, stage)
        for key, filled, cell in windows:
            name = pane.name_of(key)
            pane[key] = Held(key, name, pane, list(cell), filled=filled)
            held_names.add(name)
        state.assigner.restore(pane)
        if stage == OPEN:
            state.watch(pane)
        else:
            state.closed_held += stage == CLOSED
            state.end(pane)
    _restore_forgotten(state, held_names, found.rowless)
    if state.mark.alarm_us is not None:
        state.context.wake_at(state.mark.alarm_us, declared.name)


def _restore_forgotten(state: WindowState, held: set[str], rowless: dict[str, int]) -> None:
    panes: dict[int, Pane] = {}
    ends = {name: to_us(row.ends_at) for name, row in state.table.rows.items()}
    until_us = state.mark.reached_us - state.declared.lateness_us
    others = {name for name in held & ends.keys() if ends[name] <= until_us} - state.quarantine.keys()
    held = held - others  # their rows are those of earlier windows
    ends = {name: end_us for name, end_us in ends.items() if name not in held}
    for name, end_us in (ends | rowless).items():
        pane = panes.setdefault(end_us, Pane(end_us, end_us, FORGOTTEN))
        pane.names.append(name)
    for pane in panes.values():
        state.end(pane)
