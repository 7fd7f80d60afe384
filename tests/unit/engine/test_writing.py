"""Writing: group commit, and what is known to be durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from extrovert import App, Record
from extrovert.core.log import Dead, Entry
from extrovert.engine.shard import Options, Shard
from extrovert.engine.writing import Writing
from extrovert.stores.sqlite import SqliteStore
from tests.hosts import until


class Row(Record):
    key: str


class Store(SqliteStore):
    """Counts its appends; fails where it is told to."""

    def __init__(self) -> None:
        super().__init__(None)
        self.appends: list[int] = []
        self.full = False

    def __del__(self) -> None:
        self.close()

    def append(self, entries: Sequence[Entry]) -> None:
        if self.full:
            raise OSError("full")
        self.appends.append(len(entries))
        super().append(entries)


def writing() -> tuple[Shard, Store, Writing]:
    app = App("app")
    app.table("rows", Row, key=Row.key)
    shard, store = Shard(app.declared().fold(), Options()), Store()
    return shard, store, Writing(shard, store)


def test_a_flush_writes_all_that_has_gathered() -> None:
    shard, store, writes = writing()
    for _ in range(3):
        shard.bury(Dead("rows", "no"))
    assert (writes.durable, writes.behind) == (0, True)
    writes.flush()
    writes.flush()
    assert (writes.durable, writes.behind) == (3, False)
    assert store.appends == [3]


def test_somebody_may_look_before_each_write() -> None:
    shard, _, writes = writing()
    seen: list[int] = []
    writes.before_write = lambda: seen.append(len(shard.unwritten))
    shard.bury(Dead("rows", "no"))
    writes.flush()
    assert seen == [1]


async def test_while_one_write_is_under_way_the_next_one_gathers() -> None:
    shard, store, writes = writing()
    done: list[int] = []
    shard.bury(Dead("rows", "no"))
    writes.start(lambda: done.append(writes.durable))
    shard.bury(Dead("rows", "no"))
    shard.bury(Dead("rows", "no"))
    writes.start(lambda: done.append(-1))
    assert store.appends in ([], [1])
    await until(lambda: done)
    assert (done, writes.durable) == ([1], 1)
    writes.start(lambda: None)
    await writes.wait_for(3)
    assert store.appends == [1, 2]
    await writes.close()


async def test_each_waits_for_its_own_offset() -> None:
    shard, _, writes = writing()
    shard.bury(Dead("rows", "no"))
    first = asyncio.create_task(writes.wait_for(1))
    second = asyncio.create_task(writes.wait_for(2))
    await asyncio.sleep(0)
    writes.flush()
    await first
    assert not second.done()
    shard.bury(Dead("rows", "no"))
    await writes.close()
    await second
    await writes.wait_for(2)


async def test_a_failed_write_is_remembered_and_told_to_all_who_wait() -> None:
    shard, store, writes = writing()
    store.full = True
    shard.bury(Dead("rows", "no"))
    waiting = asyncio.create_task(writes.wait_for(1))
    given_up = asyncio.create_task(writes.wait_for(1))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    writes.start(lambda: None)
    with pytest.raises(OSError, match="full"):
        await waiting
    with pytest.raises(OSError, match="full"):
        await writes.wait_for(1)
    shard.bury(Dead("rows", "no"))
    await writes.close()
    assert writes.durable == 0


async def test_after_a_failed_write_nothing_more_is_written() -> None:
    """What comes later would not follow what is there."""
    shard, store, writes = writing()
    store.full = True
    shard.bury(Dead("rows", "lost"))
    writes.start(lambda: None)
    await until(lambda: writes.failure)
    store.full = False
    shard.bury(Dead("rows", "later"))
    writes.start(lambda: None)
    with pytest.raises(OSError, match="full"):
        writes.flush()
    await writes.close()
    assert store.appends == []


async def test_what_nobody_waits_for_gathers_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extrovert.engine.writing.GATHER_S", 0.2)
    shard, store, writes = writing()

    def go_on() -> None:
        writes.start(go_on)

    for _ in range(3):
        shard.bury(Dead("rows", "no"))
        go_on()
        await asyncio.sleep(0)
    await until(lambda: writes.durable == 3)
    assert store.appends == [1, 2]


async def test_what_somebody_waits_for_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extrovert.engine.writing.GATHER_S", 3600.0)
    shard, _, writes = writing()
    for offset in (1, 2):
        shard.bury(Dead("rows", "no"))
        waits = asyncio.create_task(writes.wait_for(offset))
        await asyncio.sleep(0)
        writes.start(lambda: None)
        await waits
    shard.bury(Dead("rows", "no"))
    writes.start(lambda: None)
    assert writes.behind
    writes.start(lambda: None, hurry=True)
    await until(lambda: not writes.behind)
    await writes.close()
