"""One run of the storm, in a process of its own: the engine, from where its log ends until nothing is due any more.

It tells how far it is in JSON lines on stdout. `python -m extrovert.demos.storm.worker SPEC`, where SPEC is a `Spec`.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from extrovert.connectors.replay import Replay
from extrovert.core.ids import chance
from extrovert.core.log import Entry
from extrovert.core.time import from_us
from extrovert.demos.storm.app import app
from extrovert.demos.storm.desk import Deskful
from extrovert.demos.storm.feed import feed
from extrovert.demos.storm.network import bank, network
from extrovert.demos.storm.receiver import ADDRESSES
from extrovert.engine.clock import RealClock, VirtualClock, wall_us
from extrovert.engine.hosting import LOG, locked, own_process
from extrovert.engine.loop import Settings
from extrovert.stores.sqlite import SqliteStore

__all__ = ["Progress", "Spec"]

TELL_EVERY_US = 200_000


class Spec(msgspec.Struct, frozen=True):
    """What to run. `refresh_s` is None for the live mode, `speed` for virtual time, `crash_every` for no crashes. With
    a `port`, messages and payments go to the receiver there."""

    data: str
    date: datetime.date
    days: int
    seed: int
    refresh_s: int | None = None
    speed: float | None = None
    crash_every: int | None = None
    port: int | None = None


class Progress(msgspec.Struct):
    """How far a run is. `age_ms` is the age of the context that agents read now."""

    clock: datetime.datetime
    events: int
    disrupted: int
    thinking: int
    decisions: int
    reruns: int
    age_ms: int
    done: bool = False


class _Store(SqliteStore):
    """Counts what it writes, and kills this process about every so many decisions: before a write, or after it."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(Path(spec.data) / LOG)
        self.events = 0
        self.decisions = 0
        self.events, self.decisions = (self._count("events"), self._count("decided"))
        self._dies_at: int | None = None
        if spec.crash_every is not None:
            jitter = 0.5 + chance(spec.seed, "crash", self.decisions)
            self._dies_at = self.decisions + max(1, round(spec.crash_every * jitter))
            self._dies_before = chance(spec.seed, "before or after", self.decisions) < 0.5

    def _count(self, kind: str) -> int:
        column = "sum(count)" if kind == "events" else "count(*)"
        row = self._connection.execute(f"SELECT {column} FROM log WHERE kind = ?", (kind,)).fetchone()  # noqa: S608
        return row[0] or 0

    def append(self, entries: Sequence[Entry]) -> None:
        decisions = sum(entry.kind == "decided" for entry in entries)
        due = self._dies_at is not None and decisions and self.decisions + decisions >= self._dies_at
        if due and self._dies_before and self.decisions > 0:
            _die()
        super().append(entries)
        self.decisions += decisions
        self.events += sum(entry.count for entry in entries if entry.kind == "events")
        if due:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _tell(progress: Progress) -> None:
    sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
    sys.stdout.flush()


async def _run(spec: Spec) -> None:
    data = Path(spec.data)
    store = _Store(spec)
    began_us = wall_us()
    store.set_meta("app", "extrovert.demos.storm.app:app")
    store.set_meta("storm.mode", "live" if spec.refresh_s is None else "batch")
    store.set_meta("storm.seed", str(spec.seed))
    source = Replay("storm", lambda: feed(spec.date, spec.days, spec.seed))
    declared = msgspec.structs.replace(app.declared(), sources=[source])
    settings = Settings(
        seed=spec.seed,
        validate=spec.refresh_s is None,
        refresh_us=None if spec.refresh_s is None else spec.refresh_s * 1_000_000,
        virtual_commit_us=5_000_000,
        snapshot_every=100_000 if spec.crash_every is not None else 10_000_000,
    )
    clock = VirtualClock() if spec.speed is None else RealClock(spec.speed)
    for target, address in ((network, "/messages"), (bank, "/payments")):
        if spec.port is None:
            target.open(data / ADDRESSES[address])
        else:
            target.connect(spec.port, address)
    engine = Deskful(declared, store, clock, settings)
    engine.start()
    own_process()
    told_us = 0

    def progress(*, done: bool = False) -> Progress:
        fold, now_us = engine.shard.fold, engine.shard.now_us
        copies = fold.context.copies
        return Progress(
            clock=from_us(now_us),
            events=store.events,
            disrupted=len(fold.context.views["disrupted"].values),
            thinking=len(fold.running),
            decisions=store.decisions,
            reruns=engine.turning.reruns,
            age_ms=(now_us - (engine.feeding.heard_us(now_us) if copies is None else copies.latest.at_us)) // 1000,
            done=done,
        )

    def at_instant() -> None:
        nonlocal told_us
        if wall_us() - told_us > TELL_EVERY_US:
            told_us = wall_us()
            _tell(progress())

    engine.at_instant = at_instant
    await engine.run(until="idle")
    await engine.close(keep_snapshot=spec.refresh_s is None)  # whoever looks later, looks at the live one
    store.set_meta("storm.wall_s", str((wall_us() - began_us) / 1_000_000))
    _tell(progress(done=True))
    store.close()
    network.close()
    bank.close()


def main() -> None:
    """Runs what the first argument says."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    with locked(Path(spec.data)):
        asyncio.run(_run(spec))


if __name__ == "__main__":
    main()
