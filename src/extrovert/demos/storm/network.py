"""The telephone network and the bank of the demo: receivers that act once per idempotency key, and keep what came.

They stand for programs of somebody else's. A file survives the death of the engine; what came is one line of it. With
`connect` they really are another program, reached over HTTP (`receiver`).
"""

from __future__ import annotations

import os
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec

from extrovert.core.errors import TransientError

__all__ = ["Network", "bank", "network"]


class Network:
    """Delivers text into a file of JSON lines: `key`, `to`, `text`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._file: int | None = None
        self._connection: HTTPConnection | None = None
        self._address = ""

    def open(self, path: Path) -> None:
        """Delivers to `path` from now on; what it has delivered before is not delivered again."""
        self.close()
        if path.exists():
            whole = path.read_bytes().rpartition(b"\n")[0]
            self._seen = {msgspec.json.decode(line)["key"] for line in whole.split(b"\n") if line}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def connect(self, port: int, address: str) -> None:
        """Delivers to the receiver on this port of this machine from now on."""
        self.close()
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)
        self._address = address

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        if self._connection is not None:
            self._connection.close()
        self._file = self._connection = None
        self._seen = set()

    def deliver(self, key: str, to: str, text: str) -> bool:
        """Sends what is new under this key; whether it was. One write, so that a line is there whole or not at all."""
        if self._connection is not None:
            return self._post(self._connection, key, msgspec.json.encode({"key": key, "to": to, "text": text}))
        if self._file is None:
            raise ConnectionError("the network is down")
        if key in self._seen:
            return False
        os.write(self._file, msgspec.json.encode({"key": key, "to": to, "text": text}) + b"\n")
        self._seen.add(key)
        return True

    def _post(self, connection: HTTPConnection, key: str, body: bytes) -> bool:
        try:
            connection.request("POST", self._address, body, {"Idempotency-Key": key})
            response = connection.getresponse()
            said = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise TransientError(f"{self._address}: {type(error).__name__}: {error}") from error
        if response.status != 200:
            raise TransientError(f"{self._address} answered {response.status}")
        return said == b"done"


network = Network()
bank = Network()
