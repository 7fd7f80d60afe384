"""The world outside: prices, a model that thinks and a shop that takes orders, over real HTTP, and what they have seen.

It also does what the scenario says: it changes the price, and kills the process that is at work, with SIGKILL, while
the model thinks or when the shop has booked the order and before it answers. So no runner takes part in its own crash,
and all are killed at the same place.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from bench.trust.job import MODEL
from bench.trust.scenarios import Case

__all__ = ["ITEM", "Ask", "Booked", "Outside", "outside"]

ITEM = "copper"
BEFORE, AFTER = 10, 12
THINKS_S = 0.3
CHANGES_AFTER_S = 0.1
LOOK_S = 0.005
POLL_S = 0.1


class Ask(msgspec.Struct):
    """A question that the model had, with the price in it; `closed` where nobody waited for the answer any more."""

    price: int
    closed: bool = False


class Booked(msgspec.Struct):
    """An order that was booked: the price that it was made at, and what the item cost then."""

    key: str
    price: int
    costs: int


class Outside:
    """What happens in one run of the job. `pid` is the process at work."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.pid = 0
        self.killed = threading.Event()
        self.asks: list[Ask] = []
        self.sent = 0
        self.booked: list[Booked] = []
        self._prices = [BEFORE]
        self._changed = threading.Condition()

    @property
    def price(self) -> int:
        return self._prices[-1]

    def change(self) -> None:
        """Sets the other price."""
        with self._changed:
            self._prices.append(AFTER)
            self._changed.notify_all()

    def changes(self, after: int) -> dict[str, Any]:
        """The prices set after a position."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._prices) > after, POLL_S)
            prices = [{"item": ITEM, "price": price} for price in self._prices[after:]]
            return {"position": len(self._prices), "prices": prices}

    def asked(self, price: int, client: socket.socket) -> bool:
        """Thinks; False where nobody waits for the answer any more."""
        ask = Ask(price)
        self.asks.append(ask)
        scenario = self.case.scenario
        first = len(self.asks) == 1
        if first and scenario.crash == "thinking":
            self._kill()
        began = time.monotonic()
        while (thought := time.monotonic() - began) < THINKS_S:
            if first and scenario.changes_while_thinking and thought >= CHANGES_AFTER_S:
                first = False
                self.change()
            if _gone(client):
                ask.closed = True
                return False
        return True

    def ordered(self, key: str, price: int) -> str | None:
        """Books an order; its number, or None where the process that sent it was killed."""
        self.sent += 1
        known = self.found(key) if self.case.target.name == "keys" else None
        if known is not None:
            return known
        self.booked.append(Booked(key, price, self.price))
        if self.case.scenario.crash == "effect" and not self.killed.is_set():
            self._kill()
            return None
        return f"order-{len(self.booked)}"

    def found(self, key: str) -> str | None:
        """The number of the order under a key."""
        return next((f"order-{number}" for number, one in enumerate(self.booked, 1) if one.key == key), None)

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.killed.set()


@contextmanager
def outside(case: Case) -> Generator[tuple[Outside, int]]:
    """The world outside, serving on a loopback port."""
    made = Outside(case)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.outside = made
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    serving.start()
    try:
        yield made, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    outside: Outside

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        world, (_, what, which) = self.server.outside, self.path.split("/", 2)
        if what == "prices":
            self._answer({"item": which, "price": world.price})
        elif what == "changes":
            self._answer(world.changes(int(which)))
        else:
            found = world.found(which)
            self._answer({"order": found}, 200 if found else 404)

    def do_POST(self) -> None:
        world = self.server.outside
        body: Any = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/orders":
            order = world.ordered(self.headers["Idempotency-Key"], body["price"])
            if order is not None:
                self._answer({"order": order})
        else:
            question: Any = msgspec.json.decode(_text(body["messages"][-1]["content"]))
            if world.asked(question["price"], self.connection):
                self._answer(_completion({"quantity": question["budget"] // question["price"]}))

    def _answer(self, body: object, status: int = 200) -> None:
        encoded = msgspec.json.encode(body)
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


def _gone(client: socket.socket) -> bool:
    """Whether the client has closed the connection; waits a little."""
    readable, _, _ = select.select([client], [], [], LOOK_S)
    try:
        return bool(readable) and client.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _completion(answer: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": msgspec.json.encode(answer).decode()}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
