"""Effects against a real HTTP server, which times out after doing the work: each happens as its declaration allows."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from extrovert import App, Backoff, PermanentError, Record, TransientError, Turn
from tests.hosts import serving

SOON = Backoff(timedelta(milliseconds=5), timedelta(milliseconds=20))


class Order(Record):
    order_id: str


class Bank:
    """Takes in `POST /pay` under the header `idempotency-key`, and answers `GET /key`. What it is to do wrong is a
    list of words: cut (after doing the work), busy (before it), no."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.done: dict[str, str] = {}
        self.wrong: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        method, path = lines[0].split()[:2]
        status, answer = self.look_up(path) if method == "GET" else self.pay(headers["idempotency-key"], body)
        if status:
            text = json.dumps(answer)
            writer.write(f"HTTP/1.1 {status} -\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
        writer.close()

    def look_up(self, path: str) -> tuple[int, str | None]:
        key = path[1:].lower()
        return (200, self.done[key]) if key in self.done else (404, None)

    def pay(self, key: str, order_id: str) -> tuple[int, str]:
        wrong = self.wrong.pop(0) if self.wrong else ""
        self.asked[order_id] += 1
        if wrong in ("busy", "no"):
            return (503 if wrong == "busy" else 402), wrong
        self.done.setdefault(key, order_id)
        return (0 if wrong == "cut" else 200), f"paid {order_id}"

    async def request(self, method: str, path: str, key: str = "", body: str = "") -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"{method} {path} HTTP/1.1\r\nidempotency-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        writer.write(head.encode())
        answer = (await reader.read()).decode()
        writer.close()
        if not answer:
            raise ConnectionResetError("the bank hung up")
        return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


@asynccontextmanager
async def bank() -> AsyncGenerator[Bank]:
    made = Bank()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


def shop(bank: Bank) -> App:
    """Three ways to pay: under a key, with a look-up, and with neither."""
    app = App("shop")
    orders = app.table("orders", Order, key=Order.order_id)

    async def pay(order_id: str, key: str) -> str:
        status, answer = await bank.request("POST", "/pay", key, order_id)
        if status == 503:
            raise TransientError("the bank is busy", retry_after_s=0.01)
        if status != 200:
            raise PermanentError(answer)
        return answer

    async def look_up(key: str) -> str | None:
        status, answer = await bank.request("GET", f"/{key}")
        return answer if status == 200 else None

    @app.effect(idempotent=True, retry=SOON, max_tries=20)
    async def safe(order_id: str, *, idempotency_key: str = "") -> str:
        return await pay(order_id, idempotency_key)

    @app.effect(reconcile=look_up, retry=SOON, max_tries=20)
    async def looked_up(order_id: str, *, idempotency_key: str = "") -> str:
        return await pay(order_id, idempotency_key)

    @app.effect(retry=SOON)
    async def neither(order_id: str, *, idempotency_key: str = "") -> str:
        return await pay(order_id, idempotency_key)

    @app.agent(wakes_on=orders)
    async def buy(turn: Turn, order: Order) -> None:
        turn.effect({"s": safe, "l": looked_up, "n": neither}[order.order_id[0]], order.order_id)

    return app


async def bought(bank: Bank, data: Path, *order_ids: str) -> dict[str, str]:
    """Buys, and says what is not at its end when nothing more happens by itself, by order."""
    async with serving(shop(bank), data) as engine:
        text = b"\n".join(b'{"order_id":"%s"}' % order_id.encode() for order_id in order_ids)
        engine.intake.lines("orders", text)
        engine.nudge()
        fold, outbox = engine.shard.fold, engine.shard.fold.outbox
        async with asyncio.timeout(10):
            while len(fold.books["buy"].seen) < len(order_ids) or any(
                one.state != "unknown" or one.retry_at_us is not None for one in outbox.pending.values()
            ):
                await asyncio.sleep(0.002)
        ended = (*outbox.pending.values(), *outbox.failed.values())
        return {json.loads(bytes(one.args))[0]: one.state for one in ended}


async def test_work_done_before_a_cut_is_done_once(tmp_path: Path) -> None:
    async with bank() as there:
        there.wrong = ["cut"] * 6
        left = await bought(there, tmp_path, *(f"{kind}{number}" for kind in "sln" for number in range(3)))
        done = Counter(there.done.values())
        assert set(done.values()) == {1}
        assert sum(count for order, count in there.asked.items() if order[0] == "n") == 3  # never twice
        assert sum(count for order, count in there.asked.items() if order[0] == "l") == 3  # looked up instead
        assert len(done) == 9
        assert all(order[0] == "n" and state == "unknown" for order, state in left.items())


async def test_what_the_bank_refuses_or_puts_off_is_known(tmp_path: Path) -> None:
    async with bank() as there:
        there.wrong = ["busy", "busy", "no"]
        left = await bought(there, tmp_path, "n1")
        assert (there.asked["n1"], there.done, left) == (3, {}, {"n1": "failed"})
