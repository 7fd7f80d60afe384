"""Reads: what one read costs, tracked as in a turn, beside the same read untracked, and beside a plain dict's get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.measuring import Figure, Scale, expect, spent
from extrovert import App, Record
from extrovert.context.live import LiveContext
from extrovert.context.reads import Scope, reading
from extrovert.turns.scope import TurnScope

__all__ = ["measure"]

ROWS = 10_000
EACH = 10
READS = 200_000
AT_A_TIME = 20
"""How many reads a scope sees: about what a turn makes."""


class Row(Record):
    row_id: str
    group: str
    value: int


app = App("reads")
rows = app.table("rows", Row, key=Row.row_id)
by_group = rows.index(Row.group)


@app.view(over=rows)
def doubled(row: Row) -> int:
    return 2 * row.value


def measure(scale: Scale) -> list[Figure]:
    """Nanoseconds for each kind of read."""
    declared = app.declared()
    context = LiveContext(declared.tables, declared.views)
    made = [Row(f"R{number:05}", f"G{number // EACH:04}", number) for number in range(ROWS)]
    context.fold("rows", [row.row_id for row in made], made, range(1, 1 + len(made)))
    context.settle()
    row_ids = [row.row_id for row in made]
    groups = sorted({row.group for row in made})
    plain = {row.row_id: row for row in made}
    expect("a row", _read_once(context, rows.get, "R00007"), plain["R00007"])
    expect("an index", _read_once(context, by_group.__getitem__, "G0003"), tuple(made[30:40]))
    expect("a count", _read_once(context, by_group.count, "G0003"), EACH)
    expect("a view", _read_once(context, doubled.get, "R00007"), 14)
    count = scale.of(READS)
    return [
        *_figures(scale, context, "row", rows.get, row_ids, plain, count),
        *_figures(scale, context, f"index, {EACH} rows", by_group.__getitem__, groups, plain, count),
        *_figures(scale, context, "index count", by_group.count, groups, plain, count),
        *_figures(scale, context, "view", doubled.get, row_ids, plain, count),
    ]


def _figures(
    scale: Scale,
    context: LiveContext,
    what: str,
    read: Callable[[Any], Any],
    keys: list[str],
    plain: dict[str, Row],
    count: int,
) -> list[Figure]:
    asked = [keys[number * 7919 % len(keys)] for number in range(count)]
    wanted = [list(plain)[number * 7919 % len(plain)] for number in range(count)]
    tracked: list[float] = []
    untracked: list[float] = []
    gets: list[float] = []
    for _ in range(scale.runs):
        tracked.append(_tracked_ns(context, read, asked))
        untracked.append(_untracked_ns(context, read, asked))
        gets.append(_read_ns(plain.get, wanted))
    return [
        _figure(f"{what}, tracked", tracked, "untracked", untracked),
        _figure(f"{what}, untracked", untracked, "dict.get", gets),
    ]


def _figure(what: str, runs: list[float], beside: str, references: list[float]) -> Figure:
    return Figure(bench="reads", what=what, unit="ns", runs=runs, beside=beside, references=references)


def _read_once(context: LiveContext, read: Callable[[Any], Any], key: str) -> Any:
    with reading(Scope(context, "a bench")):
        return read(key)


def _tracked_ns(context: LiveContext, read: Callable[[Any], Any], keys: list[str]) -> float:
    with spent() as took:
        for start in range(0, len(keys), AT_A_TIME):
            with reading(TurnScope(context, "a bench")):
                for key in keys[start : start + AT_A_TIME]:
                    read(key)
    return took.wall_s / len(keys) * 1e9


def _untracked_ns(context: LiveContext, read: Callable[[Any], Any], keys: list[str]) -> float:
    with reading(Scope(context, "a bench")):
        return _read_ns(read, keys)


def _read_ns(read: Callable[[Any], Any], keys: list[str]) -> float:
    with spent() as took:
        for key in keys:
            read(key)
    return took.wall_s / len(keys) * 1e9
