"""Durability is by prefix: context shows what is applied, the outside is told what is durable."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from extrovert import App, Turn
from extrovert.core.log import Entry
from extrovert.engine.clock import RealClock
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore
from tests.hosts import Host
from tests.spec.airline import Flight

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
performed: list[str] = []


@app.effect
async def announce(flight_id: str) -> None:
    performed.append(flight_id)


@app.agent(wakes_on=flights, when=lambda flight: flight.cancelled)
async def tell(turn: Turn, flight: Flight) -> None:
    turn.effect(announce, flight.flight_id)


class SlowDisk(SqliteStore):
    """A store that writes only when it is let; or fails, if it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_write = threading.Event()
        self.full = False

    def append(self, entries: Sequence[Entry]) -> None:
        self.may_write.wait(10)
        if self.full:
            raise OSError("no space left on device")
        super().append(entries)


@pytest.fixture(autouse=True)
def nothing_performed() -> None:
    performed.clear()


async def test_context_shows_an_event_before_it_is_durable(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(flights, Flight("F1"))
    assert host.row(flights, "F1") == Flight("F1")
    assert list(host.store.entries()) == []


async def test_what_was_not_durable_is_gone_after_a_crash_and_nothing_after_it_is_left(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(flights, Flight("F1"))
    host.flush()
    host.hand_in(flights, Flight("F2"))
    host.hand_in(flights, Flight("F3"))
    host.crash()
    assert list(host.fold.context.tables["flights"].rows) == ["F1"]
    assert host.fold.end == 2


async def test_an_acknowledgement_waits_for_the_disk(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path / "log")
    engine = Engine(app.declared(), disk, RealClock())
    engine.start()
    running = asyncio.create_task(engine.run())
    engine.intake.lines("flights", b'{"flight_id":"F1"}')
    acknowledged = asyncio.create_task(engine.durable())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not acknowledged.done()
    disk.may_write.set()
    await acknowledged
    assert [entry.kind for entry in disk.entries()] == ["events"]
    engine.stop()
    await running
    await engine.close()
    disk.close()


async def test_nobody_is_told_that_something_is_durable_which_the_disk_refused(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path / "log")
    disk.full = True
    engine = Engine(app.declared(), disk, RealClock())
    engine.start()
    running = asyncio.create_task(engine.run())
    engine.intake.lines("flights", b'{"flight_id":"F1"}')
    acknowledged = asyncio.create_task(engine.durable())
    await asyncio.sleep(0)
    disk.may_write.set()
    with pytest.raises(OSError, match="no space left"):
        await acknowledged
    with pytest.raises(OSError, match="no space left"):
        await running
    with pytest.raises(OSError, match="no space left"):
        await engine.durable()
    await engine.close()
    disk.close()


async def test_an_effect_waits_until_its_decision_is_durable(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path / "log")
    engine = Engine(app.declared(), disk, RealClock())
    engine.start()
    running = asyncio.create_task(engine.run())
    engine.intake.lines("flights", b'{"flight_id":"F1","cancelled":true}')
    engine.nudge()
    while not engine.shard.fold.outbox.pending:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert performed == []
    disk.may_write.set()
    while engine.shard.fold.outbox.pending:
        await asyncio.sleep(0)
    assert performed == ["F1"]
    engine.stop()
    await running
    await engine.close()
    disk.close()


async def test_performing_is_durable_before_the_act(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    seen: list[str] = []

    async def act(flight_id: str) -> None:
        durable = SqliteStore(tmp_path / "log")
        seen.extend(entry.kind for entry in durable.entries())
        durable.close()

    host.engine.performing.effects["announce"].function = act  # pyright: ignore[reportIndexIssue]
    await host.send(flights, Flight("F1", cancelled=True))
    assert seen == ["events", "decided", "effects"]


def test_a_step_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "log")
    good = Entry(1, 0, "events", 1, b"{}")
    with pytest.raises(sqlite3.IntegrityError):
        store.append([good, good])
    assert list(store.entries()) == []
    store.append([good])
    assert list(store.entries()) == [good]
    store.close()
