"""Reporting: figures as a table, as JSON, and as a line of history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.machine import Machine
from bench.measuring import Figure

__all__ = ["Report", "record", "show"]

HISTORY = Path(__file__).parent / "history.jsonl"


class Report(msgspec.Struct, frozen=True):
    """What one run of the benches found."""

    at: datetime
    command: str
    machine: Machine
    figures: list[Figure]


def report(command: str, machine: Machine, figures: list[Figure]) -> Report:
    """A report as of now."""
    return Report(datetime.now(UTC).replace(microsecond=0), command, machine, figures)


def record(found: Report) -> Path:
    """Appends a report to the history, one JSON object a line; returns its path."""
    with HISTORY.open("ab") as history:
        history.write(msgspec.json.encode(found) + b"\n")
    return HISTORY


def show(found: Report) -> None:
    """Prints a report as a table: medians, the range over all runs, and the ratio to the reference in the same pair."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("bench", "what"):
        table.add_column(name)
    for name in ("median", "lowest", "highest"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    table.add_column("ratio", justify="right")
    table.add_column("beside")
    table.add_column("aim")
    before = ""
    for figure in found.figures:
        if before and figure.bench != before:
            table.add_section()
        table.add_row(
            "" if figure.bench == before else figure.bench,
            figure.what,
            f"{figure.median:,.0f}",
            f"{min(figure.runs):,.0f}",
            f"{max(figure.runs):,.0f}",
            figure.unit,
            f"{median(figure.ratios):.2f}" if figure.ratios else "",
            f"{figure.beside} ({median(figure.references):,.0f})" if figure.references else "",
            figure.aim,
        )
        before = figure.bench
    on = found.machine
    console = Console(width=None if Console().is_terminal else 150)
    console.print(table)
    console.print(
        f"{on.processor}, {on.cores} cores, {on.memory_gb} GB, {on.system}, load {on.load} before. Python {on.python}, "
        f"msgspec {on.msgspec}, SQLite {on.sqlite}, commit {on.commit}. {found.command}, "
        f"{len(found.figures[0].runs)} runs."
    )
