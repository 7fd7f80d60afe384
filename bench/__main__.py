"""`python -m bench [NAME …] [--quick] [--json] [--record]`: runs the benches and prints what they found.

Ends with exit code 1 where a bench's result is not what a plain recomputation gives.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import msgspec

from bench import (
    asks,
    context,
    deciding,
    decisions,
    ingest,
    joins,
    latency,
    learning,
    memory,
    parked,
    reads,
    restart,
    storm,
    tooled,
    views,
    windows,
)
from bench.machine import machine
from bench.measuring import Figure, Scale, WrongResult
from bench.reporting import record, report, show

BENCHES: dict[str, Callable[[Scale], list[Figure]]] = {
    "ingest": ingest.measure,
    "views": views.measure,
    "joins": joins.measure,
    "decisions": decisions.measure,
    "deciding": deciding.measure,
    "latency": latency.measure,
    "parked": parked.measure,
    "asks": asks.measure,
    "tooled": tooled.measure,
    "learning": learning.measure,
    "storm": storm.measure,
    "reads": reads.measure,
    "context": context.measure,
    "restart": restart.measure,
    "windows": windows.measure,
    "memory": memory.measure,
}
FULL = Scale(runs=5, share=1.0)
QUICK = Scale(runs=1, share=0.05)


def main() -> int:
    """Runs what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the paths that matter cost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benches to run: {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few events, one run, figures mean little")
    parser.add_argument("--runs", type=int, help=f"how many runs of each (default {FULL.runs})")
    parser.add_argument("--json", action="store_true", help="write the report as one JSON object")
    parser.add_argument("--record", action="store_true", help="append the report to bench/history.jsonl")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHES)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    scale = QUICK if options.quick else FULL
    if options.runs is not None:
        scale = msgspec.structs.replace(scale, runs=max(1, options.runs))
    on = machine()
    figures: list[Figure] = []
    for name in options.names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            figures += BENCHES[name](scale)
        except WrongResult as error:
            print(f"Bench `{name}` came to a wrong result. {error}", file=sys.stderr)
            return 1
    found = report(" ".join(["python -m bench", *sys.argv[1:]]), on, figures)
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        show(found)
    if options.record:
        print(f"Recorded in {record(found)}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
