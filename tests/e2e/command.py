"""The command `extrovert`, run as a user runs it: in a process of its own, on an app in a directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["AIRLINE", "Done", "Home", "Run", "flights", "records"]

AIRLINE = Path(__file__).with_name("airline.py")
COMMAND = (sys.executable, "-m", "extrovert")
PATIENCE_S = 20.0


class Done(msgspec.Struct):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """What was written with --json."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


class Run:
    """An engine that runs in a process of its own, and is ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.greeting = self.line()

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number: signal.Signals = signal.SIGTERM) -> Done:
        """Sends it a signal, and waits for its end."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Done(self.process.returncode, out, err)


class Home:
    """A directory with an airline in it, where commands are given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(AIRLINE, path)

    def __call__(self, *words: str, given: str | bytes = b"") -> Done:
        """Runs `extrovert` with these words, and `given` as its input."""
        raw = given.encode() if isinstance(given, str) else given
        done = subprocess.run(
            [*COMMAND, *words], cwd=self.path, env=_env(), input=raw, capture_output=True, timeout=60, check=False
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def opened(self, *words: str) -> Generator[subprocess.Popen[str]]:
        """A command that runs beside the block, and is killed at its end."""
        with subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.path,
            env=_env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def running(self, *words: str) -> Generator[Run]:
        """The airline's engine, ready; it is killed at the end of the block, if it has not ended."""
        with self.opened("run", "airline.py", *words) as process:
            yield Run(process)


def _env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def records(*found: dict[str, Any]) -> str:
    """JSON lines."""
    return "".join(msgspec.json.encode(one).decode() + "\n" for one in found)


def flights(*names: str) -> str:
    """JSON lines with flights of these names."""
    return records(*({"flight_id": name, "departs_at": "2026-01-01T12:00:00Z", "seats": 3} for name in names))
