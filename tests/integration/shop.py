"""A real engine under load in a process of its own, to be killed at any moment: `python -m tests.integration.shop DATA
PORT ORDERS`.

It takes in so many orders, a few at a time, thinks about each, takes it out of the stock, and tells the till by an
effect of each kind. It says `up` when it is at work, and ends when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from extrovert import App, Backoff, Record, Thinking, TransientError, Turn
from extrovert.core.event import Batch
from extrovert.engine.hosting import opened
from extrovert.engine.settings import Settings

__all__ = ["ITEMS", "STOCK", "app"]

ITEMS, STOCK = 3, 1_000_000
EACH, EVERY_S = 2, 0.01
SOON = Backoff(timedelta(milliseconds=5), timedelta(milliseconds=50))
till = [0]
app = App("shop")


class Order(Record):
    order_id: str
    item: str


class Stock(Record):
    item: str
    left: int


class Placed(Record):
    order_id: str
    number: int


orders = app.table("orders", Order, key=Order.order_id)
stock = app.table("stock", Stock, key=Stock.item)
placed = app.table("placed", Placed, key=Placed.order_id)


async def request(method: str, path: str, key: str = "", body: str = "") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", till[0])
    head = f"{method} {path} HTTP/1.0\r\nidempotency-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    writer.close()
    if not answer:
        raise ConnectionResetError("the till hung up")
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


async def tell(kind: str, order_id: str, key: str) -> None:
    status, answer = await request("POST", f"/{kind}", key, order_id)
    if status == 503:
        raise TransientError(answer, retry_after_s=0.01)


async def look_up(key: str) -> str | None:
    _, answer = await request("GET", f"/looked_up?{key}")
    return answer if answer == "done" else None


@app.effect(idempotent=True, retry=SOON, max_tries=50)
async def keyed(order_id: str, *, idempotency_key: str = "") -> None:
    await tell("keyed", order_id, idempotency_key)


@app.effect(reconcile=look_up, retry=SOON, max_tries=50)
async def looked_up(order_id: str, *, idempotency_key: str = "") -> None:
    await tell("looked_up", order_id, idempotency_key)


@app.effect(retry=SOON, max_tries=50)
async def neither(order_id: str, *, idempotency_key: str = "") -> None:
    await tell("neither", order_id, idempotency_key)


@app.policy(thinks=Thinking(timedelta(milliseconds=5)))
def clerk(question: str) -> int:
    return len(question)


@app.agent(wakes_on=orders, model=clerk)
async def place(turn: Turn, order: Order) -> None:
    await turn.ask(f"May {order.order_id} have {order.item}?", output=int)
    left = (stock.get(order.item) or Stock(order.item, STOCK)).left
    turn.put(stock, Stock(order.item, left - 1))
    turn.put(placed, Placed(order.order_id, STOCK - left))
    turn.effect(keyed, order.order_id)
    turn.effect(looked_up, order.order_id)
    turn.effect(neither, order.order_id)


class Orders:
    """A source of so many orders, as fast as customers come."""

    def __init__(self, count: int) -> None:
        self.name, self.stream, self.at = "customers", "orders", ""
        self.every_us: int | None = None
        self.speed: float | None = None
        self.count = count

    def read(self, position: Any) -> Batch | None:
        first = position or 0
        if first >= self.count:
            return None
        time.sleep(EVERY_S)
        end = min(first + EACH, self.count)
        lines = [b'{"order_id":"o%d","item":"i%d"}' % (number, number % ITEMS) for number in range(first, end)]
        return Batch(end, b"\n".join(lines))


async def live(data: Path) -> None:
    with opened(app.declared(), data, settings=Settings(snapshot_every=200)) as engine:
        print("up", flush=True)
        await engine.run(until="idle")
        await engine.close()


def main() -> None:
    till[0] = int(sys.argv[2])
    app.source(Orders(int(sys.argv[3])))
    asyncio.run(live(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
