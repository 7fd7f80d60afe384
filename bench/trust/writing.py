"""Writing: the tables of the comparison in Markdown, for the screen and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bench.machine import Machine
from bench.peers.systems import System
from bench.peers.writing import table
from bench.trust.comparing import Cell, Total
from bench.trust.scenarios import Case

__all__ = ["tables"]


def tables(
    cells: Sequence[Cell], systems: Sequence[System], runs: int, command: str, machine: Machine, at: datetime
) -> str:
    """The totals, each case, and where it was measured."""
    by_system = {system.name: [cell for cell in cells if cell.system == system.name] for system in systems}
    return "\n".join([_totals(systems, by_system), _cases(systems, cells), _place(runs, command, machine, at)])


def _totals(systems: Sequence[System], cells: dict[str, list[Cell]]) -> str:
    rows: list[list[str]] = []
    for system in systems:
        total = Total.of(cells[system.name])
        problems = sum(len(cell.problems) for cell in cells[system.name])
        if not total.runs:
            rows.append([system.title, cells[system.name][0].text(), *[""] * 7])
            continue
        rows.append(
            [
                f"{system.title}: {total.version}",
                f"{total.runs}" + (f", {problems} failed" if problems else ""),
                *map(str, (total.right, total.twice, total.stale, total.left, total.asked, total.unused, total.again)),
            ]
        )
    head = [
        "", "runs", "one order, at the price of that moment", "ordered twice", "at an old price", "left to a person",
        "questions", "cut off", "asked the same again",
    ]  # fmt: skip
    return table(head, rows)


def _cases(systems: Sequence[System], cells: Sequence[Cell]) -> str:
    by_case: dict[Case, dict[str, str]] = {}
    for cell in cells:
        by_case.setdefault(cell.case, {})[cell.system] = cell.text()
    rows = [
        [case.scenario.what, case.target.what, *(said[system.name] for system in systems)]
        for case, said in by_case.items()
    ]
    return table(["what happens", "the shop", *(system.title for system in systems)], rows)


def _place(runs: int, command: str, machine: Machine, at: datetime) -> str:
    on = machine
    return (
        f"`{command}`, {runs} runs of each, {at:%Y-%m-%d}; {on.processor}, {on.cores} cores, {on.memory_gb} GB, "
        f"{on.system}, Python {on.python}, SQLite {on.sqlite}; commit {on.commit}.\n"
    )
