"""Feeds events through a thousand keys, in virtual time, and tells how much memory the process has, again and again.

`python -m tests.integration.ten_million EVENTS DIRECTORY` prints JSON lines: how many events were in, the resident
memory in MiB, the bytes of the log and the snapshot, and how much each part of the state holds.

Of ten events eight are plain: into a table whose rows live for a minute, and windows of a minute. One is a trade: its
id is looked for among those of the last minute, its table keeps ten minutes of history, and sliding windows count it.
One is a step, which begins or ends something: sessions, a sequence, an absence, a derived stream, and an agent that is
woken by the matches and decides.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from extrovert import App, Record, Session, Sliding, Tumbling, Turn, when
from extrovert import aggregates as agg
from extrovert.core.ids import canonical
from extrovert.core.time import from_us
from tests.hosts import Host

KEYS = 1_000
A_SECOND = 1_000
"""Events in a second of the world."""

MINUTE = timedelta(minutes=1)
LATE = timedelta(seconds=5)

app = App("much", retention=timedelta(minutes=5))


class Plain(Record):
    key: str
    at: datetime
    value: float


class Trade(Record):
    key: str
    at: datetime
    id: str
    price: float


class Step(Record):
    key: str
    at: datetime
    ends: bool


class PerMinute(Record):
    key: str
    starts_at: datetime
    ends_at: datetime
    closed: bool
    n: int
    top: float | None


class Trading(Record):
    key: str
    starts_at: datetime
    ends_at: datetime
    closed: bool
    mean: float | None


class Visit(Record):
    key: str
    starts_at: datetime
    ends_at: datetime
    closed: bool
    n: int


class Done(Record):
    key: str
    took_s: float


class Open(Record):
    key: str


class Seen(Record):
    key: str
    times: int


plain = app.stream("plain", Plain, key=Plain.key)
trades = app.stream("trades", Trade, key=Trade.key, id=Trade.id, horizon=MINUTE)
steps = app.stream("steps", Step, key=Step.key)
ends = app.stream("ends", Step, key=Step.key, source=steps.filter(lambda step: step.ends))

latest = app.table("latest", Plain, key=Plain.key, source=plain, order_by=Plain.at, ttl=MINUTE)
priced = app.table("priced", Trade, key=Trade.key, source=trades, order_by=Trade.at, history=10 * MINUTE)
over = app.table("over", Step, key=Step.key, source=ends)
seen = app.table("seen", Seen, key=Seen.key)
by_value = latest.range_index(Plain.value)

per_minute = app.window(
    plain,
    PerMinute,
    at=Plain.at,
    spans=Tumbling(MINUTE),
    disorder=LATE,
    emit="close",
    keep=5 * MINUTE,
    n=agg.count(),
    top=agg.max(Plain.value),
)
trading = app.window(
    trades,
    Trading,
    at=Trade.at,
    spans=Sliding(MINUTE, MINUTE / 2),
    disorder=LATE,
    emit="close",
    keep=5 * MINUTE,
    mean=agg.mean(Trade.price),
)
visits = app.window(
    steps,
    Visit,
    at=Step.at,
    disorder=LATE,
    spans=Session(timedelta(seconds=15)),
    lateness=LATE,
    keep=5 * MINUTE,
    n=agg.count(),
)
done = app.pattern(
    "done",
    Done,
    key=Done.key,
    on=[steps],
    at=Step.at,
    disorder=LATE,
    match=when(Step, lambda step: not step.ends).then(Step, lambda _, step: step.ends).within(MINUTE),
    make=lambda began, ended: Done(began.key, (ended.at - began.at).total_seconds()),
)
left_open = app.pattern(
    "left_open",
    Open,
    key=Open.key,
    on=[steps],
    at=Step.at,
    disorder=LATE,
    match=when(Step, lambda step: not step.ends).without(Step, lambda _, step: step.ends).within(MINUTE / 2),
    make=lambda began: Open(began.key),
)


@app.view(over=latest)
def high(row: Plain) -> float | None:
    return row.value if row.value > 990 else None


@app.agent(wakes_on=done, when=lambda done: done.took_s > 20)
async def count(turn: Turn, event: Done) -> None:
    known = seen.get(event.key)
    turn.put(seen, Seen(event.key, (known.times if known else 0) + len(turn.events)))


@app.agent(wakes_on=high)
async def look(turn: Turn, value: float) -> None: ...


def batches(events: int, start_us: int) -> Iterator[tuple[int, list[tuple[Any, bytes]]]]:
    """(engine time, what comes) second by second; a tenth of it is late by up to four seconds, one in fifty twice."""
    number = 0
    for second in range(events // A_SECOND):
        now_us = start_us + second * 1_000_000
        lines: dict[Any, list[bytes]] = {plain: [], trades: [], steps: []}
        for place in range(A_SECOND):
            number += 1
            mixed = (number * 2654435761 % 4294967296) * 2246822519 % 4294967296 >> 4
            key = f"k{mixed // 7 % KEYS:03}"
            late_us = mixed % 4_000_000 if mixed % 10 == 0 else 0
            at = from_us(now_us + place * 1_000 - late_us)
            if place % 10 < 8:
                lines[plain].append(canonical(Plain(key, at, float(mixed % 1_000))))
            elif place % 10 == 8:
                twice = -10 if mixed % 50 == 0 else 0
                lines[trades].append(canonical(Trade(key, at, f"t{number + twice}", float(mixed % 500))))
            else:
                lines[steps].append(canonical(Step(key, at, mixed % 3 == 0)))
        yield now_us, [(stream, b"\n".join(some)) for stream, some in lines.items()]


def resident_mib() -> float:
    """The memory of this process that is in use."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def held(host: Host) -> dict[str, int]:
    """How much the parts of the state hold."""
    fold = host.fold
    found = {f"rows of {name}": len(table.rows) for name, table in fold.context.tables.items()}
    found |= {f"seen by {name}": len(book.seen) for name, book in fold.books.items()}
    return found | {"ids": sum(len(one.save()) for one in fold.seen.values()), "running": len(fold.running)}


async def feed(events: int, directory: Path) -> None:
    host = Host(app, directory / "log.sqlite")
    told = 0
    for number, (now_us, batch) in enumerate(batches(events, host.clock.now_us() + 1_000_000), start=1):
        await host.engine.run(until=now_us)
        for stream, lines in batch:
            host.engine.shard.advance(now_us)
            host.engine.intake.lines(stream.name, lines)
        if number * A_SECOND * 20 // events > told:
            told += 1
            sizes = sum(path.stat().st_size for path in directory.iterdir())
            line = {"events": number * A_SECOND, "rss_mib": resident_mib(), "files": sizes, "held": held(host)}
            print(json.dumps(line), flush=True)
    await host.stop()


if __name__ == "__main__":
    asyncio.run(feed(int(sys.argv[1]), Path(sys.argv[2])))
