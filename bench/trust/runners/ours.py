"""Extrovert: prices are a live table that a source keeps current, the job is an event, the order an effect."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bench.trust.job import MODEL, Ended, Job, changes, find_order, place_order, run
from extrovert import App, Outcome, Record, Turn
from extrovert.core.event import Batch

POLL_US = 10_000


class Price(Record):
    """What an item costs."""

    item: str
    price: int


class Order(Record):
    """What is to be bought."""

    job_id: str
    item: str
    budget: int


class Question(Record):
    """What the model is asked."""

    item: str
    price: int
    budget: int


class Choice(Record):
    """What it says."""

    quantity: int


class Feed:
    """The prices, as they are set: a source that is asked for what came after a position."""

    name = "feed"
    stream = "prices"
    every_us: int | None = POLL_US
    at = ""
    speed: float | None = None

    def __init__(self, port: int) -> None:
        self.port = port

    def read(self, position: Any) -> Batch | None:
        after, prices = changes(self.port, position or 0)
        return Batch(position=after, text=b"\n".join(map(msgspec.json.encode, prices))) if prices else None


def declared(job: Job, ended: asyncio.Queue[str]) -> tuple[App, Any, Any]:
    """The app, its table of prices and the stream of what is to be bought. How an order ends goes to `ended`."""
    app = App("buyer")
    prices = app.table("prices", Price, key=Price.item)
    orders = app.stream("orders", Order, key=Order.job_id, id=Order.job_id, horizon=timedelta(days=1))
    app.source(Feed(job.port))
    base_url = f"http://127.0.0.1:{job.port}/v1"
    model = app.model("thinker", f"openai:{MODEL}", base_url=base_url, api_key_env="BENCH_KEY")

    async def found(key: str) -> str | None:
        return await asyncio.to_thread(find_order, job.port, key)

    @app.effect(idempotent=job.target == "keys", reconcile=found if job.target == "look-up" else None)
    async def order(item: str, quantity: int, price: int, *, idempotency_key: str = "") -> str:
        return await asyncio.to_thread(place_order, job.port, idempotency_key, item, quantity, price)

    @app.agent(wakes_on=orders, model=model)
    async def buy(turn: Turn, wanted: Order) -> None:  # pyright: ignore[reportUnusedFunction]
        price = prices[wanted.item].price
        choice = await turn.ask(Question(wanted.item, price, wanted.budget), output=Choice)
        turn.effect(order, wanted.item, choice.quantity, price)

    @app.agent(wakes_on=app.outcomes(order))
    async def note(turn: Turn, outcome: Outcome) -> None:  # pyright: ignore[reportUnusedFunction]
        ended.put_nowait(outcome.state)

    return app, prices, orders


async def work(job: Job) -> Ended:
    """Sends the order, which counts once however often it is sent, and waits for its end."""
    ended: asyncio.Queue[str] = asyncio.Queue()
    app, prices, orders = declared(job, ended)
    async with app.serving(Path(job.data) / "extrovert") as engine:
        while True:
            with engine.reading():
                if prices.get(job.item) is not None:
                    break
            await asyncio.sleep(0.01)
        await engine.send(orders, [Order(job.job_id, job.item, job.budget)])
        state = await ended.get()
    return Ended(f"Extrovert {version('extrovert')}", left=state == "unknown")


if __name__ == "__main__":
    run(lambda job: asyncio.run(work(job)))
