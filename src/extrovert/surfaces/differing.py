"""Showing a person where versions of an agent differ: wake by wake, then in sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import msgspec

from extrovert.core.log import is_null
from extrovert.engine.comparing import Compared, Side, Totals
from extrovert.surfaces.printing import columns, moment, short, span

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show"]

MOST = 20
"""So many wakes are shown one by one."""
CELL = 100
"""So much of a value is shown."""


def show(out: Console, found: Sequence[Compared], sums: Sequence[Totals], *, recorded: str = "recorded") -> None:
    """Shows the wakes in which a version differs from what is `recorded`, and the sums."""
    wakes = [list(wake) for _, wake in groupby(found, key=lambda one: one.turn)]
    differing = [wake for wake in wakes if not all(one.same for one in wake)]
    if not found:
        out.print("No wakes in that span.")
        return
    heads = ("wake", "at (UTC)", "what", recorded, *(one.version for one in sums))
    if differing:
        out.print(columns(heads, [row for wake in differing[:MOST] for row in _rows(wake, sums)]))
        if len(differing) > MOST:
            out.print(f"… and {len(differing) - MOST:,} more wakes that differ; for all of them: --json")
        out.print()
    out.print(columns(("", *heads[3:]), _sums(sums), right=heads[3:]))


def _rows(wake: list[Compared], sums: Sequence[Totals]) -> Iterable[tuple[str, ...]]:
    """What differs of one wake, a line each: as recorded, and by each version."""
    versions = {one.version: one.candidate for one in wake}
    sides = [wake[0].recorded, *(versions.get(one.version) for one in sums)]
    told = [None if side is None or side.outcome == "missed" else _facts(side) for side in sides]
    first = True
    for what in dict.fromkeys(what for facts in told if facts is not None for what in facts):
        values = [None if facts is None else facts.get(what) for facts in told]
        present = [value for value, facts in zip(values, told, strict=True) if facts is not None]
        if any(value != present[0] for value in present):
            yield _row(wake[0], first, what, [_cell(value, present) for value in values])
            first = False
    missed = [side.cause if side is not None and side.outcome == "missed" else "" for side in sides]
    if any(missed):
        yield _row(wake[0], first, "missed", [short(cause, CELL)[1:-1] if cause else "" for cause in missed])


def _row(wake: Compared, first: bool, what: str, cells: list[str]) -> tuple[str, ...]:
    return (wake.turn if first else "", moment(wake.at) if first else "", what, *cells)


def _facts(side: Side) -> dict[str, Any]:
    """What a version did, by what it did it to."""
    facts: dict[str, Any] = {"outcome": f"{side.outcome}: {side.cause}" if side.cause else side.outcome}
    for write in side.writes:
        facts[f"{write.to}/{write.key}"] = "deleted" if is_null(write.row) else msgspec.json.decode(write.row)
    for emit in side.emits:
        facts[_again(facts, f"emits {emit.to}/{emit.key}")] = msgspec.json.decode(emit.data)
    for effect in side.effects:
        facts[_again(facts, f"effect {effect.effect}")] = msgspec.json.decode(effect.args)
    if side.undoes:
        facts["undoes"] = side.undoes
    return facts


def _again(facts: dict[str, Any], what: str) -> str:
    """The name of one more of the same."""
    count = sum(known == what or known.startswith(f"{what} #") for known in facts)
    return f"{what} #{count + 1}" if count else what


def _cell(value: Any, present: list[Any]) -> str:
    """A value; of records, only the fields in which they differ."""
    if value is None:
        return ""
    records: list[dict[str, Any]] = [one for one in present if isinstance(one, dict)]
    if isinstance(value, dict) and len(records) > 1:
        known = cast("dict[str, Any]", value)
        value = {name: known[name] for name in known if any(one.get(name) != known[name] for one in records)}
    return short(value, CELL) if not isinstance(value, str) else short(value, CELL)[1:-1]


def _sums(sums: Sequence[Totals]) -> Iterable[tuple[str, ...]]:
    first = sums[0]
    yield ("wakes", f"{first.wakes:,}", *(f"{one.wakes:,}" for one in sums))
    yield ("the same", "", *(f"{one.same:,}" for one in sums))
    yield ("differ", "", *(f"{one.differ:,}" for one in sums))
    for part in dict.fromkeys(part for one in sums for part in one.differs):
        yield (f"  in {part}", "", *(f"{one.differs.get(part, 0):,}" for one in sums))
    if any(one.failed for one in sums):
        yield ("failed", "", *(f"{one.failed:,}" for one in sums))
    if any(one.missed for one in sums):
        yield ("missed", "", *(f"{one.missed:,}" for one in sums))
    yield ("asks", "", *(f"{one.asks:,}" for one in sums))
    yield ("  remembered", "", *(f"{one.remembered:,}" for one in sums))
    yield ("tokens", f"{first.recorded_tokens:,}", *(f"{one.tokens:,}" for one in sums))
    yield ("cost", _usd(first.recorded_cost_nano_usd), *(_usd(one.cost_nano_usd) for one in sums))
    for place, name in enumerate(("thought, median", "thought, 95%")):
        cells = [first.recorded_thought_ms[place], *(one.thought_ms[place] for one in sums)]
        yield (name, *(span(cell * 1000) for cell in cells))


def _usd(nano: int | None) -> str:
    return "not known" if nano is None else f"${nano / 1e9:,.4f}"
