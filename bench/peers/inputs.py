"""Inputs: the files of events that jobs are done on, made when they are first needed."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers import events
from bench.peers.systems import Job, System
from bench.peers.work import Task

__all__ = ["Inputs"]

KEYS_PER_EVENT = 0.1
FEWEST = 1_000


class Inputs:
    """Tasks on files in one directory; jobs on as many events share one. `seconds` is how long W2 goes on."""

    def __init__(self, directory: Path, full: int, seconds: float) -> None:
        self.directory = directory
        self.full = full
        self.seconds = seconds

    def count(self, job: Job) -> int:
        """How many events a job is done on."""
        return max(FEWEST, round(self.full * job.share))

    def task(self, job: Job, system: System) -> Task:
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
            seconds=self.seconds,
            variant=system.variant,
        )
