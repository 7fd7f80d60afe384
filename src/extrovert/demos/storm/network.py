"""The telephone network of the demo: a receiver that acts once per idempotency key, and keeps what it was sent.

It stands for a program of somebody else's. Its file survives the death of the engine; a message is one line.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Network", "network"]


class Network:
    """Delivers text messages into a file of JSON lines: `key`, `to`, `text`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._file: int | None = None

    def open(self, path: Path) -> None:
        """Delivers to `path` from now on; what it has delivered before is not delivered again."""
        self.close()
        if path.exists():
            whole = path.read_bytes().rpartition(b"\n")[0]
            self._seen = {msgspec.json.decode(line)["key"] for line in whole.split(b"\n") if line}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None
        self._seen = set()

    def deliver(self, key: str, to: str, text: str) -> None:
        """Sends a message, unless this key was sent before. One write, so that a line is there whole or not at all."""
        if self._file is None:
            raise ConnectionError("the network is down")
        if key not in self._seen:
            os.write(self._file, msgspec.json.encode({"key": key, "to": to, "text": text}) + b"\n")
            self._seen.add(key)


network = Network()
