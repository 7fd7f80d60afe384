"""Plays `examples.fraud`: an hour of made-up payments in a minute, each at its time, and what became of them.

The clock of a payment starts at the moment at which it is due, even if this program is late, and stops when its shop is
told: the decision is durable by then.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from examples.fraud import app, payments, reports
from examples.fraud_data import Payment, Report, an_hour, shops
from extrovert.engine.hosting import own_process
from extrovert.engine.loop import Engine

__all__ = ["Tally", "play", "tally"]

SPEED = 60
EVERY_S, SETTLED_S, PATIENCE_S = 10, 5, 60
HEAD = """\
                     at once             investigated       frauds planted among them
payments    number  p50 ms  p99 ms     number  p50 ms     number   declined  precision  recall"""


class Tally(NamedTuple):
    """What was answered of some payments, beside what was planted among them."""

    once_ms: list[float]
    later_ms: list[float]
    planted: int
    declined: int
    caught: int

    def __str__(self) -> str:
        answered = len(self.once_ms) + len(self.later_ms)
        return (
            f"{answered:8,} {len(self.once_ms):9,} {at(self.once_ms, 50):7.1f} {at(self.once_ms, 99):7.1f}"
            f" {len(self.later_ms):10,} {at(self.later_ms, 50):7,.0f} {self.planted:10} {self.declined:10}"
            f" {share(self.caught, self.declined)} {share(self.caught, self.planted)}"
        )


def tally(due_s: dict[str, float], frauds: set[str]) -> Tally:
    """The answers to the payments that were due at these moments."""
    found = {name: one for name, one in shops.answered.items() if name in due_s}
    taken = {name: (one.at_s - due_s[name]) * 1000 for name, one in found.items()}
    declined = {name for name, one in found.items() if one.verdict == "fraud"}
    return Tally(
        sorted(ms for name, ms in taken.items() if found[name].at_once),
        sorted(ms for name, ms in taken.items() if not found[name].at_once),
        len(frauds & found.keys()),
        len(declined),
        len(declined & frauds),
    )


def at(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


def share(part: int, whole: int) -> str:
    return f"{part / whole:10.0%}" if whole else f"{'–':>10}"


async def play(engine: Engine, minutes: int) -> Tally:
    """Makes the payments of so many minutes, a minute a second, and tells every ten seconds what became of them."""
    begins = datetime.now(UTC) - timedelta(hours=1)
    hour = [one for one in an_hour(begins) if one.at < begins + timedelta(minutes=minutes)]
    frauds = {one.payment_id for one in an_hour(begins) if isinstance(one, Report) and one.fraud}
    due_s, sending = dict[str, float](), set[asyncio.Task[object]]()
    began, told = time.perf_counter(), 0

    def tell(until: float) -> None:
        span = {name: due for name, due in due_s.items() if told <= due - began < until}
        print(f"{tally(span, frauds)}   in seconds {told} to {until:.0f}", flush=True)

    print(HEAD)
    for one in hour:
        due = began + (one.at - begins).total_seconds() / SPEED
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if due - began >= told + EVERY_S + SETTLED_S:
            tell(told + EVERY_S)
            told += EVERY_S
        if isinstance(one, Payment):
            due_s[one.payment_id] = due
            task = asyncio.create_task(engine.send(payments, [one]))
        else:
            task = asyncio.create_task(engine.send(reports, [one]))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while len(shops.answered) < len(due_s):  # noqa: ASYNC110 -- nobody tells when the last one is answered
                await asyncio.sleep(0.1)
    tell(told + EVERY_S)
    everything = tally(due_s, frauds)
    print(f"{everything}   in all", flush=True)
    if waiting := sorted(due_s.keys() - shops.answered.keys()):
        print(
            f"{len(waiting)} still wait, such as {waiting[0]}: extrovert why-not investigate {waiting[0]} says for what"
        )
    return everything


async def main(minutes: int) -> None:
    data = tempfile.mkdtemp(prefix="extrovert-fraud-")
    async with app.serving(data) as engine:
        own_process()
        await play(engine, minutes)
    print(f"\nWhat was decided, and why: extrovert decisions --app examples/fraud.py --data {data}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
