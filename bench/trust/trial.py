"""A trial: one system does the job once, and is started again after its crash, until the job is done."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import msgspec

from bench.peers.processes import ROOT, Failed
from bench.peers.systems import System
from bench.trust.job import Ended, Job
from bench.trust.outside import ITEM, Outside, outside
from bench.trust.scenarios import Case

__all__ = ["Trial", "attempt"]

BUDGET = 1_000
PATIENCE_S = 60
TAIL = 400


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the job, as the world outside saw it.

    `booked` has the price of each order that was booked, and what the item cost then. Of `asked` questions nobody
    waited for the answers to `closed`; `again` had been answered before, with the same price in them. `left`: the
    system says that it does not know, and a person must look.
    """

    asked: int
    closed: int
    again: int
    sent: int
    booked: list[tuple[int, int]]
    left: bool
    version: str

    @property
    def right(self) -> bool:
        """Whether one order was booked, at what the item cost then."""
        return len(self.booked) == 1 and self.booked[0][0] == self.booked[0][1]


def attempt(case: Case, system: System, python: Path) -> Trial | Failed:
    """Does the job once."""
    with tempfile.TemporaryDirectory(prefix="bench-trust-", ignore_cleanup_errors=True) as data, outside(case) as place:
        world, port = place
        job = Job("job-1", ITEM, BUDGET, port, case.target.name, data, system.variant)
        for start in range(2):
            code, said = _run(python, system.module, job, world)
            if code == -signal.SIGKILL and world.killed.is_set() and start == 0:
                if case.scenario.changes_while_down:
                    world.change()
                continue
            if code == 0:
                ended = msgspec.json.decode((Path(data) / "ended.json").read_bytes(), type=Ended)
                return _trial(world, ended)
            return Failed(f"ended with exit code {code}: {said}" if code is not None else "did not end")
        return Failed("was killed twice")


def _trial(world: Outside, ended: Ended) -> Trial:
    answered = [ask.price for ask in world.asks if not ask.closed]
    return Trial(
        asked=len(world.asks),
        closed=sum(ask.closed for ask in world.asks),
        again=len(answered) - len(set(answered)),
        sent=world.sent,
        booked=[(one.price, one.costs) for one in world.booked],
        left=ended.left,
        version=ended.version,
    )


def _run(python: Path, module: str, job: Job, world: Outside) -> tuple[int | None, str]:
    """Runs the process to its end, or to its crash."""
    log = Path(job.data) / "output"
    command = [str(python), "-m", f"bench.trust.runners.{module}", msgspec.json.encode(job).decode()]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", "BENCH_KEY": "none"}
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*command, str(Path(job.data) / "ended.json")],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
        world.pid = running.pid
        try:
            code: int | None = running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if running.poll() is None:
                running.kill()
                running.wait()
    return code, " ".join(log.read_text(errors="replace").split())[-TAIL:]
