"""Processes: a runner is run as one of its own, and what it reports is read; what went wrong is said, not raised."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from bench.peers.work import Outcome, Task

__all__ = ["Failed", "perform"]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300
TAIL = 400


class Failed(msgspec.Struct, frozen=True):
    """Why there is no outcome."""

    why: str


def perform(python: Path, module: str, task: Task, patience_s: float = PATIENCE_S) -> Outcome | Failed:
    """Runs a runner of `bench.peers.runners` with this Python, in a scratch directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-peers-", ignore_cleanup_errors=True) as scratch:
        found, log = Path(scratch) / "outcome.json", Path(scratch) / "output"
        given = msgspec.structs.replace(task, scratch=scratch)
        command = [str(python), "-m", f"bench.peers.runners.{module}", msgspec.json.encode(given).decode(), str(found)]
        with log.open("wb") as output:
            code = _run(command, output, patience_s)
        if code is None:
            return Failed(f"not done within {patience_s:.0f} s")
        if not found.exists():
            return Failed(f"ended with exit code {code}: {_last_words(log)}")
        return msgspec.json.decode(found.read_bytes(), type=Outcome)


def _run(command: list[str], output: IO[bytes], patience_s: float) -> int | None:
    """The exit code; None where it took too long. What it started, such as a broker, ends with it."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        return running.wait(patience_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _last_words(log: Path) -> str:
    """The end of what was printed, in one line."""
    said = " ".join(log.read_text(errors="replace").split())
    return said if len(said) < TAIL else f"…{said[-TAIL:]}"
