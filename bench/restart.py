"""Restart: from a stopped engine to its first wake, from a snapshot and the log's tail.

A table of a million rows, one of 200,000 that a view looks up rows of the first for, and a tail of a million events
that change rows of the first. The plain loop reads the same two files, decodes the same rows and events into the same
structs and keeps the latest row per key: no index, no version, no view, no wake.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from bench.measuring import Figure, Scale, alternate, expect
from extrovert import App, Record, Turn
from extrovert.context.table import Table
from extrovert.core.log import Events
from extrovert.engine.hosting import LOG, opened
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SNAPSHOT

__all__ = ["measure"]

PARTS = 1_000_000
ORDERS = 200_000
TAIL = 1_000_000
BATCH = 1_000


class Part(Record):
    part_id: str
    name: str
    depot: str
    stock: int
    price: float


class Order(Record):
    order_id: str
    part_id: str
    wanted: int


class Short(Record):
    order_id: str
    part: str
    missing: int


app = App("restart")
parts = app.table("parts", Part, key=Part.part_id)
by_depot = parts.index(Part.depot)
orders = app.table("orders", Order, key=Order.order_id)
first_wake: list[float] = []


@app.view(over=orders)
def short(order: Order) -> Short | None:
    part = parts[order.part_id]
    return None if part.stock >= order.wanted else Short(order.order_id, part.name, order.wanted - part.stock)


@app.agent(wakes_on=short)
async def restock(turn: Turn, case: Short) -> None:
    """Notes that it was woken; there are no orders to place."""
    first_wake.append(time.perf_counter())


def measure(scale: Scale) -> list[Figure]:
    """Seconds to the first wake, with the tail and without it."""
    figures: list[Figure] = []
    counts = {"parts": scale.of(PARTS), "orders": scale.of(ORDERS)}
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        _fill(data, counts)
        what = f"{counts['parts']:,} rows, {counts['orders']:,} views over them"
        figures.append(_figure(scale, what, data, counts, ""))
        tail = scale.of(TAIL)
        _add_tail(data, counts, tail)
        figures.append(_figure(scale, f"{what}, {tail:,} events since", data, counts, "8 s"))
    return figures


def _figure(scale: Scale, what: str, data: Path, counts: dict[str, int], aim: str) -> Figure:
    pairs = alternate(scale.runs, lambda: _restart(data, counts), lambda: _plain(data))
    return Figure(
        bench="restart",
        what=what,
        unit="s to the first wake",
        runs=[one for one, _ in pairs],
        beside="plain reading",
        references=[one for _, one in pairs],
        aim=aim,
    )


def _restart(data: Path, counts: dict[str, int]) -> float:
    gc.collect()
    first_wake.clear()
    started = time.perf_counter()
    with opened(app.declared(), data) as engine:
        engine.turning.step()
        took = first_wake[0] - started
        context = engine.shard.fold.context
        for name, count in counts.items():
            expect(f"rows of {name}", len(context.tables[name].rows), count)
        stocks = context.tables["parts"].rows
        waiting = {key for key, row in context.tables["orders"].rows.items() if stocks[row.part_id].stock < row.wanted}
        expect("orders that are short", context.views["short"].values.keys() == waiting, True)
    return took


def _plain(data: Path) -> float:
    """Reads what there is into dicts."""
    gc.collect()
    started = time.perf_counter()
    rows: dict[str, dict[str, Record]] = {}
    kinds: dict[str, type[Record]] = {"parts": Part, "orders": Order}
    found = sqlite3.connect(data / SNAPSHOT)
    for name, kind in kinds.items():
        decode = msgspec.json.Decoder(kind).decode
        query = "SELECT key, row FROM rows WHERE place = ?"
        rows[name] = {key: decode(row) for key, row in found.execute(query, (name,))}
    (since,) = found.execute("SELECT offset FROM snapshots").fetchone()
    found.close()
    parts_ = rows["parts"]
    decode_body, decode = msgspec.json.Decoder(Events).decode, msgspec.json.Decoder(Part).decode
    log = sqlite3.connect(data / LOG)
    for (body,) in log.execute("SELECT body FROM log WHERE offset >= ? AND kind = 'events' ORDER BY offset", (since,)):
        for raw in decode_body(body).data:
            part = decode(raw)
            parts_[part.part_id] = part
    log.close()
    return time.perf_counter() - started


def _fill(data: Path, counts: dict[str, int]) -> None:
    """A log of all rows, and a snapshot of it."""
    chance = Random(7)
    with opened(app.declared(), data, settings=Settings(acting=False), durability="os") as engine:
        _hand_in(engine, parts, (_part(number, chance) for number in range(counts["parts"])))
        made = (
            Order(f"order-{number:07}", f"part-{number * 5 % counts['parts']:07}", chance.randrange(1, 12))
            for number in range(counts["orders"])
        )
        _hand_in(engine, orders, made)
        engine.keep_snapshot()


def _add_tail(data: Path, counts: dict[str, int], events: int) -> None:
    chance = Random(8)
    settings = Settings(acting=False, snapshot_every=1 << 60)
    with opened(app.declared(), data, settings=settings, durability="os") as engine:
        _hand_in(engine, parts, (_part(chance.randrange(counts["parts"]), chance) for _ in range(events)))
        asyncio.run(engine.close(keep_snapshot=False))


def _part(number: int, chance: Random) -> Part:
    return Part(
        f"part-{number:07}",
        f"Part number {number}",
        f"depot-{number % 1000:04}",
        chance.randrange(100),
        chance.randrange(10_000) / 100,
    )


def _hand_in(engine: Engine, to: Table[str, Part] | Table[str, Order], rows: Iterator[Record]) -> None:
    encoder = msgspec.json.Encoder()
    batch: list[Record] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            engine.intake.lines(to.stream, encoder.encode_lines(batch))
            engine.writing.flush()
            batch.clear()
    if batch:
        engine.intake.lines(to.stream, encoder.encode_lines(batch))
    engine.writing.flush()
