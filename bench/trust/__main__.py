"""`python -m bench.trust [--only NAME,…] [--runs N] [--jobs N] [--quick] [--write PAGE]`.

Lets each system do the job in each case, prints what came of it, and with `--write` puts it into a page. A peer that
cannot be installed or run is told as such. Ends with exit code 1 where Extrovert fails, or does not end with one order
at the price of that moment.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import machine
from bench.peers.environments import cache, environments
from bench.peers.processes import Failed
from bench.peers.systems import System
from bench.peers.writing import put
from bench.trust.comparing import Cell, compared, words
from bench.trust.scenarios import OURS, SYSTEMS, Case, cases
from bench.trust.trial import Trial, attempt
from bench.trust.writing import tables

RUNS = 5
QUICK = "change, crash, keys"


class Options(argparse.Namespace):
    """The command line."""

    only: str
    runs: int
    jobs: int
    quick: bool
    write: Path | None
    environments: Path


def main() -> int:
    """Runs what the command line names; returns the exit code."""
    options = _options()
    names = options.only.split(",") if options.only else [system.name for system in SYSTEMS]
    systems = [system for system in SYSTEMS if system.name in names]
    pythons = environments(systems, options.environments)
    missing = {name: python.why for name, python in pythons.items() if isinstance(python, Failed)}
    wanted = [case for case in cases() if not options.quick or case.name == QUICK]

    def do(case: Case, system: System) -> Trial | Failed:
        python = pythons[system.name]
        found = python if isinstance(python, Failed) else attempt(case, system, python)
        said = found.why if isinstance(found, Failed) else words(found)
        print(f"{case.name}, {system.title}: {said}", file=sys.stderr, flush=True)
        return found

    on, at, command = machine(), datetime.now(UTC), " ".join(["python -m bench.trust", *sys.argv[1:]])
    cells = compared(wanted, systems, missing, options.runs, options.jobs, do)
    made = tables(cells, systems, options.runs, command, on, at)
    print(made)
    if options.write is not None:
        put(options.write, made, "bench.trust")
    return int(any(_wrong(cell) for cell in cells if cell.system == OURS.name))


def _wrong(cell: Cell) -> bool:
    return bool(cell.problems) or not all(trial.right for trial in cell.trials)


def _options() -> Options:
    names = ", ".join(system.name for system in SYSTEMS)
    parser = argparse.ArgumentParser(prog="python -m bench.trust", description="One small job, with crashes.")
    parser.add_argument("--only", default="", help=f"who, with commas between: {names} (default: all)")
    parser.add_argument("--runs", type=int, default=0, help=f"how many runs of each case (default {RUNS})")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: one case, once")
    parser.add_argument("--write", type=Path, help="the page to put the tables into, such as docs/trust.md")
    parser.add_argument(
        "--environments", type=Path, default=cache(), help="where the peers' are kept (default %(default)s)"
    )
    options = parser.parse_args(namespace=Options())
    unknown = set(filter(None, options.only.split(","))) - set(names.split(", "))
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {names}")
    if options.write is not None and options.quick:
        parser.error("a quick run does one case only: it writes no page")
    options.runs = options.runs or (1 if options.quick else RUNS)
    return options


if __name__ == "__main__":
    sys.exit(main())
