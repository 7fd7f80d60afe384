"""A shop's till, in a process of its own: an HTTP server that records what it was asked, and fails like a real one.

`python -m tests.integration.till RECORD` prints its port. `POST /KIND` does the work for the order in the body, under
the header `idempotency-key`; the kind `keyed` is done once per key, others as often as they are asked. Some requests
are put off (503) before the work, some are cut after it. `GET /KIND?KEY` answers whether it was done. RECORD has what
was asked, and whether it was done, a JSON object a line.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zlib import crc32

PUT_OFF, CUT = 13, 11
"""One request in so many is put off, or cut."""


class Till(ThreadingHTTPServer):
    """Keeps what was done, by kind and key."""

    request_queue_size = 100
    daemon_threads = True

    def __init__(self, record: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.done: set[tuple[str, str]] = set()
        self.asked = 0
        self.lock = threading.Lock()
        self.record = record.open("a", buffering=1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked is gone: it was killed."""

    def ask(self, kind: str, key: str, order: str) -> str:
        """Does the work; returns how the request ends: done, busy or cut."""
        with self.lock:
            self.asked += 1
            draw = crc32(f"{key}|{self.asked}".encode())
            end = "busy" if draw % PUT_OFF == 0 else "cut" if draw % CUT == 0 else "done"
            does = end != "busy" and not (kind == "keyed" and (kind, key) in self.done)
            if does:
                self.done.add((kind, key))
            self.record.write(json.dumps({"kind": kind, "key": key, "order": order, "done": does, "end": end}) + "\n")
            return end


class Handler(BaseHTTPRequestHandler):
    server: Till  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        order = self.rfile.read(int(self.headers["content-length"])).decode()
        end = self.server.ask(self.path[1:], self.headers["idempotency-key"], order)
        if end != "cut":
            self._answer(200 if end == "done" else 503, end)

    def do_GET(self) -> None:
        kind, _, key = self.path[1:].partition("?")
        self._answer(200, "done" if (kind, key) in self.server.done else "no")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name there
        """What matters is in the record."""


def main() -> None:
    till = Till(Path(sys.argv[1]))
    print(till.server_address[1], flush=True)
    till.serve_forever()


if __name__ == "__main__":
    main()
