"""Processes: a runner is run as one of its own, and what it reports is read; what went wrong is said, not raised."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

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
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as scratch:
        found = Path(scratch) / "outcome.json"
        given = msgspec.structs.replace(task, scratch=scratch)
        command = [str(python), "-m", f"bench.peers.runners.{module}", msgspec.json.encode(given).decode(), str(found)]
        log = Path(scratch) / "output"
        with log.open("wb") as output:
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=_environment(), stdout=output, stderr=output, timeout=patience_s, check=False
                )
            except subprocess.TimeoutExpired:
                return Failed(f"not done within {patience_s:.0f} s")
        if not found.exists():
            said = log.read_text(errors="replace").strip()[-TAIL:]
            return Failed(f"ended with exit code {done.returncode}: …{' '.join(said.split())}")
        return msgspec.json.decode(found.read_bytes(), type=Outcome)


def _environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "src")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
