"""Writing: tables of what was found, in Markdown, put between the markers of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from bench.measuring import Figure
from bench.peers.comparing import Compared, Row
from bench.peers.found import Entry
from bench.peers.systems import OURS, PLAIN
from bench.peers.verdicts import aim_text, best_peer, verdict

__all__ = ["markers", "page", "put", "table", "tables"]

BENCH = "bench.peers"


def put(path: Path, made: str, bench: str = BENCH) -> None:
    """Puts the tables of a bench between its markers in a page."""
    path.write_text(page(path.read_text(), made, bench))


def page(text: str, made: str, bench: str = BENCH) -> str:
    """The text of a page with `made` between the markers of a bench. Raises `ValueError` where it has none."""
    first, last = markers(bench)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page lacks the markers {first} and {last}")
    return f"{before}{first}\n\n{made}\n{last}{after}"


def markers(bench: str = BENCH) -> tuple[str, str]:
    """The lines between which what a bench writes stands."""
    by = f"<!-- Written by `python -m {bench} --write`:"
    return f"{by} begin -->", f"{by} end -->"


def tables(entries: Sequence[Entry]) -> str:
    """All there is to tell: beside the peers, ours alone, each system, and where it was measured."""
    compared = [entry.compared for entry in entries if entry.compared is not None]
    own = [entry for entry in entries if entry.compared is None]
    parts = [_summary(compared), _own(own), "### Everybody\n", *map(_everybody, compared), _places(entries)]
    return "\n".join(filter(None, parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])


# ---- beside the peers


def _summary(compared: Sequence[Compared]) -> str:
    w1 = next((one.row(OURS.name) for one in compared if one.job.name == "W1"), None)
    rows: list[list[str]] = []
    for one in compared:
        ours, plain, peer = one.row(OURS.name), one.row(PLAIN.name), best_peer(one)
        rows.append(
            [
                f"**{one.job.name}**: {one.job.what}",
                _value(ours),
                "none ran" if peer is None else f"{_value(peer)} ({peer.title})",
                _value(plain),
                _times(ours, peer),
                _times(ours, plain),
                aim_text(one.job.aim),
                verdict(one, w1),
            ]
        )
    head = ["work", "Extrovert", "best peer", "plain loop", "× best peer", "× plain loop", "aim", ""]
    return table(head, rows)


def _value(row: Row | None) -> str:
    if row is None or row.median is None:
        return ""
    if row.p99 is not None:
        return f"{_ms(row.median)} / {_ms(row.p99)} ms"
    return f"{round(row.median, -3 if row.median >= 10_000 else 0):,.0f}/s"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value >= 1 else f"{value:.2f}"


def _times(ours: Row | None, other: Row | None) -> str:
    ratio = None if ours is None or other is None else ours.ratio(other)
    return "" if ratio is None else f"{ratio:.2f}"


def _everybody(one: Compared) -> str:
    ours = one.row(OURS.name)
    latency = one.job.rate > 0
    rows: list[list[str]] = []
    for row in one.rows:
        if row.problem or row.median is None:
            rows.append([row.title, row.version, row.problem or "not run", "", "", "", ""])
            continue
        known = [value for value in row.values if value is not None]
        rows.append(
            [
                row.title,
                row.version + "".join(f"; {note}" for note in row.notes),
                _value(row),
                f"{_ms(min(known))} to {_ms(max(known))}" if latency else f"{min(known):,.0f} to {max(known):,.0f}",
                _times(ours, row) if row is not ours else "",
                f"{median(row.processor):.1f} s",
                f"{_ms(row.behind_ms)} ms" if latency else f"{row.peak_mb:,.0f} MB",
            ]
        )
    figure = "p50 / p99" if latency else "events"
    range_ = "p50, lowest to highest" if latency else "lowest to highest"
    events = "" if latency else f", {one.events:,} events"
    last = "sender late, p99" if latency else "peak memory"
    head = ["", "version", figure, range_, "Extrovert ×", "processor", last]
    return f"**{one.job.name}**, {one.job.what}{events}:\n\n{table(head, rows)}"


# ---- ours alone


def _own(entries: Sequence[Entry]) -> str:
    rows: list[list[str]] = []
    for entry in entries:
        if entry.problem:
            rows.append([f"**{entry.name}**", entry.problem, "", ""])
        rows += [[f"**{entry.name}**: {one.what}", _median(one), _beside(one), one.aim] for one in entry.figures]
    return table(["work", "median", "beside", "aim"], rows) if rows else ""


def _median(figure: Figure) -> str:
    return f"{_number(figure.median)} {figure.unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _beside(figure: Figure) -> str:
    if not figure.references:
        return ""
    return f"{median(figure.ratios):.2f} of {figure.beside} ({_number(median(figure.references))})"


# ---- where


def _places(entries: Sequence[Entry]) -> str:
    """The machines, versions and commands; those of several works are told once."""
    by_place: dict[str, list[str]] = {}
    for entry in entries:
        on = entry.machine
        place = (
            f"{on.processor}, {on.cores} cores, {on.memory_gb} GB, {on.system}, Python {on.python}, msgspec "
            f"{on.msgspec}, SQLite {on.sqlite}; commit {on.commit}, {entry.at:%Y-%m-%d}, load {on.load} before; "
            f"`{entry.command}`, {entry.runs} runs"
        )
        by_place.setdefault(place, []).append(entry.name)
    return "\n".join(f"- {', '.join(names)}: {place}." for place, names in by_place.items()) + "\n"
