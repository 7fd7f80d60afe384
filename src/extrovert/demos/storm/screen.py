"""What a person sees of the storm: the runs while they go on, and their summaries side by side."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from extrovert.demos.storm.summary import Audit, Spread, Summary
from extrovert.demos.storm.worker import Progress

__all__ = ["Screen", "comparison"]

AUDIT = {
    "stale_decisions": "decisions on a fact that was not true",
    "oversold_seats": "seats oversold",
    "moved_to_dead_flight": "moved to a cancelled or departed flight",
    "untrue_messages": "passengers told something untrue",
    "duplicate_effects": "effects performed twice",
    "lost_wakes": "wakes lost",
    "wrong_refunds": "refunds not owed, not agreed to, or not paid once",
    "corrections_missed": "corrections missed",
    "left_behind": "left on the wrong flight by what was heard late",
    "overspent": "asks beyond the budget of an hour",
}


class Screen:
    """Shows the progress of named runs on `console`; on a terminal it is redrawn in place."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._runs: dict[str, Progress] = {}
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def watch(self, name: str, progress: Progress) -> None:
        """A run has come so far."""
        self._runs[name] = progress
        if progress.done and not self._console.is_terminal:
            self._console.print(f"{name}: {progress.decisions:,} decisions")

    def _draw(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("run")
        table.add_column("clock (UTC)")
        for heading in ("events", "disrupted", "thinking", "decisions", "re-runs", "context is"):
            table.add_column(heading, justify="right")
        for name, seen in self._runs.items():
            age = f"{seen.age_ms / 1000:.1f} s old"
            clock = Text("done", style="green") if seen.done else Text(f"{seen.clock:%d %b %H:%M:%S}")
            figures = (seen.events, seen.disrupted, seen.thinking, seen.decisions, seen.reruns)
            table.add_row(Text(name, style="bold"), clock, *(f"{figure:,}" for figure in figures), age)
        return Group(Text(self._title, style="bold"), table)


def comparison(runs: Mapping[str, Summary]) -> Table:
    """The summaries side by side, what the auditor counted last."""
    table = Table(header_style="bold", title_justify="left", pad_edge=False)
    table.add_column("")
    for name in runs:
        table.add_column(name, justify="right")
    rows: list[tuple[str, list[str]]] = [
        ("source events", [f"{one.events:,}" for one in runs.values()]),
        ("turns", [f"{one.turns:,}" for one in runs.values()]),
        ("decisions", [f"{one.decisions:,}" for one in runs.values()]),
        ("re-runs because a fact changed", [f"{one.reruns:,}" for one in runs.values()]),
        ("answers refused", [f"{one.refused:,}" for one in runs.values()]),
        ("asks sent", [f"{one.asks:,}" for one in runs.values()]),
        ("asks saved by joining and remembering", [f"{one.asks_saved:,}" for one in runs.values()]),
        ("passengers rebooked", [f"{one.rebooked:,}" for one in runs.values()]),
        ("passengers without a seat at the end", [f"{one.stranded:,}" for one in runs.values()]),
        ("refunds that the desk agreed to", [f"{one.refunds:,}" for one in runs.values()]),
        ("messages by the writer / by form", [f"{one.written:,} / {one.by_form:,}" for one in runs.values()]),
        ("the most that an hour took, $", [f"{one.spent_usd:,.2f}" for one in runs.values()]),
        ("events late / corrected", [f"{one.late_events:,} / {one.corrected_events:,}" for one in runs.values()]),
        ("decisions that these invalidated", [f"{one.invalidated:,}" for one in runs.values()]),
        ("event to context, ms (p50 / p99)", [_pair(one.event_to_context_ms) for one in runs.values()]),
        ("event to commit, ms (p50 / p99)", [_pair(one.event_to_commit_ms) for one in runs.values()]),
        ("age of context at commit, s (p50 / p99)", [_seconds(one.context_age_ms) for one in runs.values()]),
        ("real time, s", [f"{one.wall_s:,.0f}" for one in runs.values()]),
    ]
    for label, cells in rows:
        table.add_row(label, *cells)
    table.add_section()
    table.add_row(Text("counted by the auditor", style="bold"))
    for field, label in AUDIT.items():
        table.add_row(label, *(_count(one.audit, field) for one in runs.values()))
    return table


def _pair(spread: Spread) -> str:
    return f"{spread.p50:.2f} / {spread.p99:.2f}"


def _seconds(spread: Spread) -> str:
    return f"{spread.p50 / 1000:.1f} / {spread.p99 / 1000:.1f}"


def _count(audit: Audit | None, field: str) -> Text:
    if audit is None:
        return Text("?")
    count: int = getattr(audit, field)
    return Text(f"{count:,}", style="green" if count == 0 else "bold red")
