"""Decisions a second, durable: turns that write one row, without an ask and with one that a policy answers at once.

The engine runs as in `extrovert run` (a real clock, a file, fsync, group commit), and is handed events in chunks, each
with a key of its own. The time is taken when the last decision is durable. A decision without an ask is one entry of
the log; one with an ask is three: the attempt that asked, the answer, and the decision of the second attempt.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, expect, spent
from extrovert import App, Record, Turn
from extrovert.engine.hosting import LOG, hosted
from extrovert.stores.sqlite import SqliteStore

__all__ = ["measure"]

DECISIONS = 20_000
CHUNK = 250
AHEAD = 5_000


class Order(Record):
    """What comes in."""

    order_id: str
    amount: int


class Approval(Record):
    """What is decided."""

    order_id: str
    amount: int


def rule(order: Order) -> Approval:
    """The decision on an order."""
    return Approval(order.order_id, order.amount // 2)


def _plain_app() -> App:
    app = App("plain")
    orders = app.stream("orders", Order, key=Order.order_id)
    approvals = app.table("approvals", Approval, key=Approval.order_id)

    @app.agent(wakes_on=orders)
    async def approve(turn: Turn, order: Order) -> None:  # pyright: ignore[reportUnusedFunction]
        turn.put(approvals, rule(order))

    return app


def _asking_app() -> App:
    app = App("asking")
    orders = app.stream("orders", Order, key=Order.order_id)
    approvals = app.table("approvals", Approval, key=Approval.order_id)

    @app.policy
    def judge(order: Order) -> Approval:
        return rule(order)

    @app.agent(wakes_on=orders, model=judge)
    async def approve(turn: Turn, order: Order) -> None:  # pyright: ignore[reportUnusedFunction]
        turn.put(approvals, await turn.ask(order, output=Approval))

    return app


def measure(scale: Scale) -> list[Figure]:
    """Decisions a second."""
    count = scale.of(DECISIONS)
    return [
        _figure("no ask, one row written", [_rate(_plain_app(), count) for _ in range(scale.runs)], "5,000"),
        _figure("one ask of a policy", [_rate(_asking_app(), count) for _ in range(scale.runs)], ""),
    ]


def _figure(what: str, runs: list[float], aim: str) -> Figure:
    return Figure(bench="decisions", what=what, unit="decisions/s", runs=runs, aim=aim)


def _rate(app: App, count: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        return count / asyncio.run(_decided(app, Path(directory), count))


async def _decided(app: App, data: Path, count: int) -> float:
    orders = [Order(f"O{number}", number) for number in range(count)]
    encode: Any = msgspec.json.Encoder().encode_lines
    chunks = [encode(orders[start : start + CHUNK]) for start in range(0, count, CHUNK)]
    async with hosted(app.declared(), data) as engine:
        with spent() as took:
            await feed(engine, "orders", chunks, ahead=AHEAD)
        rows = dict(engine.shard.fold.context.tables["approvals"].rows)
    expect("rows", rows == {order.order_id: rule(order) for order in orders}, True)
    store = SqliteStore(data / LOG, read_only=True)
    expect("decisions in the log", sum(entry.kind == "decided" for entry in store.entries()), count)
    store.close()
    return took.wall_s
