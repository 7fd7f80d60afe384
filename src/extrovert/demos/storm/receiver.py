"""The other end of the line: an HTTP server that takes messages and payments, each once per idempotency key."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from threading import Lock, Thread
from typing import Any

import msgspec

from extrovert.demos.storm.network import Network

__all__ = ["ADDRESSES", "receiving"]

ADDRESSES = {"/messages": "messages.jsonl", "/payments": "payments.jsonl"}
"""Where to send what, and the file that it is kept in."""


class _Line(msgspec.Struct):
    key: str
    to: str
    text: str


class _Server(ThreadingHTTPServer):
    """Ends with the connections that are still open, and waits for their threads."""

    daemon_threads = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(SHUT_RDWR)
        super().server_close()


@contextmanager
def receiving(directory: Path) -> Generator[int]:
    """Keeps what comes in files in `directory`; gives the port, on loopback alone."""
    kept = {address: Network() for address in ADDRESSES}
    for address, network in kept.items():
        network.open(directory / ADDRESSES[address])
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            try:
                network, line = kept[self.path], msgspec.json.decode(body, type=_Line)
            except (KeyError, msgspec.DecodeError) as error:
                self._answer(400, str(error).encode())
                return
            with lock:
                done = network.deliver(line.key, line.to, line.text)
            self._answer(200, b"done" if done else b"known")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 -- its name

    server = _Server(Handler)
    Thread(target=server.serve_forever, name="receiver", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        for network in kept.values():
            network.close()
