"""`python -m bench.peers [--work W1,W3] [--only NAME] [--events N] [--runs N] [--quick] [--write PAGE]`.

Does the same work on Extrovert, its peers and a plain loop, and the works that no peer has; prints what it found, and
with `--write` keeps it and puts the tables into a page. Ends with exit code 1 where Extrovert or the plain loop fails
or is wrong. A peer that cannot be installed or run is told as such, with the reason, and the rest goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import machine
from bench.peers.comparing import Compared, Row, compare
from bench.peers.environments import cache, environments
from bench.peers.found import Entry, load, merged, save
from bench.peers.inputs import Inputs
from bench.peers.own import measured
from bench.peers.processes import Failed, perform
from bench.peers.systems import JOBS, OURS, OWN, PLAIN, SYSTEMS, Job, System
from bench.peers.verdicts import aim_text, verdict
from bench.peers.work import Outcome
from bench.peers.writing import put, tables

EVENTS = 1_000_000
QUICK_EVENTS = 50_000
RUNS = 3
SECONDS = 5.0
QUICK_SECONDS = 1.0


class Options(argparse.Namespace):
    """The command line."""

    work: str
    only: str
    events: int
    runs: int
    quick: bool
    write: Path | None
    environments: Path


def main() -> int:
    """Runs what the command line names; returns the exit code."""
    options = _options()
    wanted = options.work.split(",") if options.work else [*dict.fromkeys(job.work for job in JOBS), *OWN]
    on, at = machine(), datetime.now(UTC).replace(microsecond=0)
    command = " ".join(["python -m bench.peers", *sys.argv[1:]])

    def entry(name: str, runs: int, **what: object) -> Entry:
        return Entry(name=name, at=at, command=command, machine=on, runs=runs, **what)  # pyright: ignore

    jobs = [job for job in JOBS if job.work in wanted]
    new = [entry(one.job.name, options.runs, compared=one) for one in _compared(jobs, options)]
    for name in (name for name in OWN if name in wanted):
        print(f"{name} …", file=sys.stderr, flush=True)
        figures, problem = measured(OWN[name], options.runs, quick=options.quick)
        new.append(entry(name, options.runs, figures=figures, problem=problem))
    _show(new)
    if options.write is not None:
        entries = merged(load(), new, [*(job.name for job in JOBS), *OWN])
        save(entries)
        put(options.write, tables(entries))
    return _exit_code(new)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The same work on us and our peers.")
    works = ", ".join([*dict.fromkeys(job.work for job in JOBS), *OWN])
    names = ", ".join(system.name for system in SYSTEMS)
    parser.add_argument("--work", default="", help=f"which works, with commas between: {works} (default: all)")
    parser.add_argument("--only", default="", help=f"who beside the plain loop, of {names} (default: all)")
    parser.add_argument("--events", type=int, default=0, help=f"how many events (default {EVENTS:,})")
    parser.add_argument("--runs", type=int, default=0, help=f"how many runs of each (default {RUNS})")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few events, one run, figures mean little")
    parser.add_argument("--write", type=Path, help="the page to put the tables into, such as docs/performance.md")
    parser.add_argument(
        "--environments", type=Path, default=cache(), help="where the peers' are kept (default %(default)s)"
    )
    options = parser.parse_args(namespace=Options())
    for given, known in (options.work, works), (options.only, names):
        unknown = set(filter(None, given.split(","))) - set(known.split(", "))
        if unknown:
            parser.error(f"there is no {', '.join(sorted(unknown))}; there are {known}")
    if options.write is not None and options.quick:
        parser.error("the figures of a quick run mean little: it writes no page")
    options.events = options.events or (QUICK_EVENTS if options.quick else EVENTS)
    options.runs = options.runs or (1 if options.quick else RUNS)
    return options


def _compared(jobs: list[Job], options: Options) -> list[Compared]:
    """Does the jobs, one after the other."""
    works = {job.work for job in jobs}
    only = {PLAIN.name, *options.only.split(",")} if options.only else {system.name for system in SYSTEMS}
    systems = [system for system in SYSTEMS if system.name in only and works.intersection(system.works)]
    pythons = environments(systems, options.environments)
    missing = {name: python.why for name, python in pythons.items() if isinstance(python, Failed)}
    found: list[Compared] = []
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as directory:
        inputs = Inputs(Path(directory), options.events, QUICK_SECONDS if options.quick else SECONDS)

        def do(system: System, job: Job) -> Outcome | Failed:
            python = pythons[system.name]
            if isinstance(python, Failed):
                return python
            outcome = perform(python, system.module, inputs.task(job, system))
            print(f"{job.name}, {system.title}: {_short(outcome, inputs.count(job))}", file=sys.stderr, flush=True)
            return outcome

        for job in jobs:
            found.append(compare(job, systems, missing, options.runs, inputs.count(job), do))
    return found


def _short(outcome: Outcome | Failed, count: int) -> str:
    if isinstance(outcome, Failed):
        return outcome.why
    if outcome.latencies is not None:
        return f"p50 {outcome.latencies.p50_ms:.3f} ms, p99 {outcome.latencies.p99_ms:.3f} ms"
    return (
        f"{count / outcome.seconds:,.0f} events/s, {outcome.processor_s:.2f} s of processor time in "
        f"{outcome.seconds:.2f} s, {outcome.peak_mb:,.0f} MB"
    )


def _show(entries: list[Entry]) -> None:
    w1 = next((one.compared.row(OURS.name) for one in entries if one.compared and one.name == "W1"), None)
    for one in entries:
        if one.compared is not None:
            job = one.compared.job
            aim = f" Aim: {aim_text(job.aim)}: {verdict(one.compared, w1)}." if aim_text(job.aim) else ""
            print(f"{one.name}: {job.what}.{aim}")
            for row in one.compared.rows:
                print(f"  {row.title:<28}{_figure(row):<36}{_beside(one.compared, row)}")
        else:
            print(f"{one.name}: {one.problem}")
            for figure in one.figures:
                aim = f" (aim {figure.aim})" if figure.aim else ""
                print(f"  {figure.what}: {figure.median:,.4g} {figure.unit}{aim}")


def _figure(row: Row) -> str:
    if row.problem or row.median is None:
        return row.problem or "not run"
    if row.p99 is not None:
        return f"p50 {row.median:.3f} ms, p99 {row.p99:.3f} ms"
    return f"{row.median:>10,.0f} events/s"


def _beside(compared: Compared, row: Row) -> str:
    ours = compared.row(OURS.name)
    ratio = None if ours is None or ours is row else ours.ratio(row)
    return "" if ratio is None else f"Extrovert {ratio:.2f} ×"


def _exit_code(entries: list[Entry]) -> int:
    rows = [
        row for one in entries if one.compared for row in one.compared.rows if row.system in (OURS.name, PLAIN.name)
    ]
    return int(any(row.problem for row in rows) or any(one.problem for one in entries))


if __name__ == "__main__":
    sys.exit(main())
