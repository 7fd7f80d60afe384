"""Comparing: each job is done by everybody in turn, several times, and every result is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import msgspec

from bench.peers.processes import Failed
from bench.peers.systems import PLAIN, Job, System
from bench.peers.work import Latencies, Outcome, Results

__all__ = ["Compared", "Row", "compare", "wrong"]

Perform = Callable[[System, Job], Outcome | Failed]


class Row(msgspec.Struct, kw_only=True):
    """What one system made of a job: a value for each run, None where that run failed, and what is to be said of it.

    `values` are events a second, or p50 in milliseconds; `p99s` goes with the latter. With `problem` there are no
    figures that mean anything.
    """

    system: str
    title: str
    version: str = ""
    values: list[float | None] = []
    p99s: list[float | None] = []
    processor: list[float] = []
    peak_mb: float = 0.0
    behind_ms: float = 0.0
    problem: str = ""
    notes: list[str] = []

    @property
    def median(self) -> float | None:
        return _median(self.values)

    @property
    def p99(self) -> float | None:
        return _median(self.p99s)

    def ratio(self, other: Row) -> float | None:
        """This one's value as a multiple of the other's, run by run; the median."""
        pairs = zip(self.values, other.values, strict=False)
        return _median([one / two for one, two in pairs if one is not None and two])


class Compared(msgspec.Struct, kw_only=True):
    """A job with the rows of all."""

    job: Job
    events: int
    rows: list[Row]

    def row(self, system: str) -> Row | None:
        """That of a system, where it has figures that mean something."""
        found = (row for row in self.rows if row.system == system and not row.problem)
        return next((row for row in found if row.median is not None), None)


def compare(
    job: Job, systems: Sequence[System], missing: Mapping[str, str], runs: int, events: int, perform: Perform
) -> Compared:
    """Does a job `runs` times with each of the systems, in turn, each time beginning with another one.

    `missing` says of systems that cannot be run why. What fails or comes to a wrong result is not tried again.
    """
    able = [one for one in systems if job.work in one.works and (not job.only or one.name in job.only)]
    rows = {system.name: Row(system=system.name, title=system.title) for system in able}
    for system in able:
        rows[system.name].problem = missing.get(system.name, "")
    right: Results | None = None
    for turn in range(runs):
        ready = [system for system in able if not rows[system.name].problem and system is not PLAIN]
        shift = turn % len(ready) if ready else 0
        for system in [PLAIN, *ready[shift:], *ready[:shift]]:
            outcome, row = perform(system, job), rows[system.name]
            if isinstance(outcome, Failed):
                row.problem = f"not run: {outcome.why}"
            elif system is PLAIN and right is None:
                right = outcome.results
            if right is None:
                return _without_reference(job, events, list(rows.values()))
            if isinstance(outcome, Outcome):
                row.problem = wrong(outcome.results, right)
                _note(row, outcome, events)
    return Compared(job=job, events=events, rows=list(rows.values()))


def _without_reference(job: Job, events: int, rows: list[Row]) -> Compared:
    """The plain loop failed: nobody can be checked."""
    for row in rows:
        row.problem = row.problem or "not run: the plain loop failed"
    return Compared(job=job, events=events, rows=rows)


def wrong(found: Results, right: Results) -> str:
    """What is wrong with results; "" where they are right."""
    differences = [
        f"{name} is {found.get(name, 'missing')}, not {value}"
        for name, value in right.items()
        if found.get(name) != value
    ]
    return f"wrong: {'; '.join(differences)}" if differences else ""


def _note(row: Row, outcome: Outcome, events: int) -> None:
    row.version = outcome.version
    row.notes = outcome.notes
    row.processor.append(outcome.processor_s)
    row.peak_mb = max(row.peak_mb, outcome.peak_mb)
    latencies: Latencies | None = outcome.latencies
    if latencies is None:
        row.values.append(events / outcome.seconds)
    else:
        row.values.append(latencies.p50_ms)
        row.p99s.append(latencies.p99_ms)
        row.behind_ms = max(row.behind_ms, latencies.behind_ms)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
