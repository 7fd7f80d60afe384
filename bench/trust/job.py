"""The job, as each runner is given it, and the world outside as each sees it over HTTP.

Imported in the peers' environments too, so it needs nothing but the standard library and msgspec.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["MODEL", "Ended", "Job", "Question", "ask", "changes", "find_order", "place_order", "read_price", "run"]

MODEL = "thinker"
PATIENCE_S = 30


class Job(msgspec.Struct, frozen=True):
    """Buy `item` for at most `budget`: read its price, ask the model how many, order. `data` is kept over crashes.

    `port` is where prices, model and shop are; `target` is what the shop can do about an order that comes twice.
    """

    job_id: str
    item: str
    budget: int
    port: int
    target: str
    data: str
    variant: str = ""


class Question(msgspec.Struct, frozen=True):
    """What the model is asked."""

    item: str
    price: int
    budget: int


class Ended(msgspec.Struct, frozen=True):
    """What a runner reports when the job is done: its version, and whether it left the order to a person to settle."""

    version: str
    left: bool = False


def read_price(port: int, item: str) -> int:
    """What the item costs now."""
    return _called(port, "GET", f"/prices/{item}")[1]["price"]


def changes(port: int, after: int) -> tuple[int, list[dict[str, Any]]]:
    """The prices that were set after a position, and the position now; waits a little where there are none."""
    found = _called(port, "GET", f"/changes/{after}")[1]
    return found["position"], found["prices"]


def ask(port: int, question: Question) -> int:
    """How many the model says, by the OpenAI protocol."""
    content = msgspec.json.encode(question).decode()
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    answer = _called(port, "POST", "/v1/chat/completions", body)[1]
    return msgspec.json.decode(answer["choices"][0]["message"]["content"])["quantity"]


def place_order(port: int, key: str, item: str, quantity: int, price: int) -> str:
    """Orders; returns the number of the order."""
    body = {"item": item, "quantity": quantity, "price": price}
    return _called(port, "POST", "/orders", body, {"Idempotency-Key": key})[1]["order"]


def find_order(port: int, key: str) -> str | None:
    """The number of the order that came under this key, or None."""
    status, found = _called(port, "GET", f"/orders/{key}")
    return None if status == 404 else found["order"]


def _called(
    port: int, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        sent = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status not in (200, 404):
        raise RuntimeError(f"{method} {path}: {response.status} {text[:200]!r}")
    return response.status, msgspec.json.decode(text)


def run(work: Callable[[Job], Ended]) -> None:
    """The whole of a runner: does the job named on the command line, and writes how it ended."""
    ended = work(msgspec.json.decode(sys.argv[1], type=Job))
    path = Path(sys.argv[2])
    path.with_suffix(".part").write_bytes(msgspec.json.encode(ended))
    os.replace(path.with_suffix(".part"), path)
