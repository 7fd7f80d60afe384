"""Environments: one for each peer, made with venv and pip from PyPI, and kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.peers.processes import Failed
from bench.peers.systems import System

__all__ = ["cache", "environment", "environments"]

PATIENCE_S = 600
TAIL = 300


def cache() -> Path:
    """Where environments are kept: in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "extrovert-peers"


def environments(systems: Iterable[System], under: Path) -> dict[str, Path | Failed]:
    """The Python of each system, by its name, or why there is none. Those that require the same share one."""
    made: dict[tuple[str, ...], Path | Failed] = {(): Path(sys.executable)}
    found: dict[str, Path | Failed] = {}
    for system in systems:
        if system.requires not in made:
            print(f"installing {', '.join(system.requires)} …", file=sys.stderr, flush=True)
            made[system.requires] = environment(system.requires, under)
        found[system.name] = made[system.requires]
    return found


def environment(requires: tuple[str, ...], under: Path) -> Path | Failed:
    """An environment with the newest of what is required, and with the msgspec of the bench.

    Where the registry cannot be reached, one that has been made before serves as it is.
    """
    place = under / f"{requires[0]}-{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = place / "bin" / "python", place / ".ready"
    if not ready.exists() and (why := _failure([sys.executable, "-m", "venv", "--clear", str(place)])) is not None:
        return Failed(why)
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--upgrade"]
    if (why := _failure([*install, *requires, f"msgspec=={msgspec.__version__}"])) is not None:
        return python if ready.exists() else Failed(why)
    ready.touch()
    return python


def _failure(command: list[str]) -> str | None:
    """Why a command failed, or None."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    if done.returncode == 0:
        return None
    said = " ".join((done.stderr or done.stdout).split())
    return f"not installed: {said[-TAIL:]}"
