"""Own: the works that no peer has, by the benches of `python -m bench`, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from bench.measuring import Figure
from bench.peers.processes import ROOT
from bench.reporting import Report

__all__ = ["measured"]

PATIENCE_S = 900
TAIL = 400


def measured(bench: str, runs: int, *, quick: bool) -> tuple[list[Figure], str]:
    """The figures of a bench, and what went wrong, or ""."""
    command = [sys.executable, "-m", "bench", bench, "--json", *(["--quick"] if quick else ["--runs", str(runs)])]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [], f"not done within {PATIENCE_S} s"
    if done.returncode != 0:
        return [], f"failed: {' '.join(done.stderr.decode(errors='replace').split())[-TAIL:]}"
    return msgspec.json.decode(done.stdout, type=Report).figures, ""
