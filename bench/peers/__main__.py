"""`python -m bench.peers [--work W1,W3] [--events N] [--runs N] [--quick]`: the same work on Extrovert and its peers.

Prints a table as it goes. Ends with exit code 1 where Extrovert or the plain loop fails or is wrong; a peer that
cannot be installed or run is told as such, with the reason.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.peers import events
from bench.peers.comparing import Compared, Row, compare
from bench.peers.processes import Failed, perform
from bench.peers.systems import JOBS, OURS, PLAIN, SYSTEMS, Job, System
from bench.peers.work import Outcome, Task

EVENTS = 1_000_000
QUICK_EVENTS = 50_000
RUNS = 3
KEYS_PER_EVENT = 0.1
SECONDS = 5.0
QUICK_SECONDS = 1.0


def main() -> int:
    """Runs what the command line names; returns the exit code."""
    options = _options()
    wanted = options.work.split(",") if options.work else []
    jobs = [job for job in JOBS if not wanted or job.work in wanted]
    systems = [system for system in SYSTEMS if not options.only or system.name in (*options.only.split(","), "plain")]
    missing: dict[str, str] = {}
    pythons = {system.name: Path(sys.executable) for system in systems}
    found: list[Compared] = []
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as directory:
        inputs = Inputs(Path(directory), options.events)
        seconds = QUICK_SECONDS if options.quick else SECONDS
        for job in jobs:

            def do(system: System, job: Job) -> Outcome | Failed:
                task = inputs.task(job, system, seconds)
                outcome = perform(pythons[system.name], system.module, task)
                print(f"{job.name}, {system.title}: {_short(outcome, task.count)}", file=sys.stderr, flush=True)
                return outcome

            found.append(compare(job, systems, missing, options.runs, inputs.count(job), do))
            _show(found[-1])
    return _exit_code(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The same work on us and our peers.")
    parser.add_argument("--work", help="which works, such as W1,W3 (default: all)")
    parser.add_argument("--only", help="which systems beside the plain loop, such as extrovert,bytewax (default: all)")
    parser.add_argument("--events", type=int, help=f"how many events (default {EVENTS:,})")
    parser.add_argument("--runs", type=int, help=f"how many runs of each (default {RUNS})")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few events, one run, figures mean little")
    options = parser.parse_args()
    options.events = options.events or (QUICK_EVENTS if options.quick else EVENTS)
    options.runs = options.runs or (1 if options.quick else RUNS)
    return options


class Inputs:
    """The files of events, made when they are first needed."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        self.full = count

    def count(self, job: Job) -> int:
        """How many events a job is done on."""
        return max(1_000, round(self.full * job.share))

    def task(self, job: Job, system: System, seconds: float) -> Task:
        """What a system has to do for a job."""
        count = self.count(job)
        path = self.directory / f"events-{count}.jsonl"
        if not job.rate and not path.exists():
            print(f"making {count:,} events …", file=sys.stderr, flush=True)
            events.write(path, count, max(1, round(count * KEYS_PER_EVENT)))
        return Task(
            work=job.work,
            file=str(path),
            count=count,
            limit=events.LIMIT,
            end_key=events.END_KEY,
            scratch="",
            fields=job.fields,
            rate=job.rate,
            seconds=seconds,
            variant=system.variant,
        )


def _short(outcome: Outcome | Failed, count: int) -> str:
    if isinstance(outcome, Failed):
        return outcome.why
    if outcome.latencies is not None:
        return f"p50 {outcome.latencies.p50_ms:.3f} ms, p99 {outcome.latencies.p99_ms:.3f} ms"
    return (
        f"{count / outcome.seconds:,.0f} events/s, {outcome.processor_s:.2f} s of processor time in "
        f"{outcome.seconds:.2f} s, {outcome.peak_mb:,.0f} MB"
    )


def _show(compared: Compared) -> None:
    ours = compared.row(OURS.name)
    print(f"{compared.job.name}: {compared.job.what}. Aim: {compared.job.aim or 'none'}")
    for row in compared.rows:
        ratio = ours.ratio(row) if ours is not None and row is not ours else None
        beside = "" if ratio is None else f"   Extrovert: {ratio:.2f} ×"
        print(f"  {row.title:<28}{_figure(row)}{beside}")


def _figure(row: Row) -> str:
    if row.problem or row.median is None:
        return row.problem or "not run"
    if row.p99 is not None:
        return f"p50 {row.median:.3f} ms, p99 {row.p99:.3f} ms"
    return f"{row.median:>10,.0f} events/s"


def _exit_code(found: list[Compared]) -> int:
    return int(any(row.problem for one in found for row in one.rows if row.system in (OURS.name, PLAIN.name)))


if __name__ == "__main__":
    sys.exit(main())
