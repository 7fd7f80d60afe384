"""Found: what has been measured, kept beside the code: one work can be measured anew, and the rest is still told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from bench.machine import Machine
from bench.measuring import Figure
from bench.peers.comparing import Compared

__all__ = ["FOUND", "Entry", "load", "merged", "save"]

FOUND = Path(__file__).parent / "found.json"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One work as measured at one time: `compared` with peers, or the `figures` of a bench of our own."""

    name: str
    at: datetime
    command: str
    machine: Machine
    runs: int
    compared: Compared | None = None
    figures: list[Figure] = []
    problem: str = ""


def load(path: Path = FOUND) -> list[Entry]:
    """What is kept."""
    return msgspec.json.decode(path.read_bytes(), type=list[Entry]) if path.exists() else []


def merged(kept: Iterable[Entry], new: Iterable[Entry], order: list[str]) -> list[Entry]:
    """What is kept, with what is new in place of what it had of the same name, in the order of the names."""
    by_name = {entry.name: entry for entry in [*kept, *new]}
    return [by_name[name] for name in order if name in by_name]


def save(entries: list[Entry], path: Path = FOUND) -> None:
    """Keeps them."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(entries), indent=1) + b"\n")
