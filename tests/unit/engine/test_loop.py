"""The loop: how long it runs, what it leaves alone, and that it stops where something breaks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, Record, Turn
from extrovert.core.time import to_us
from extrovert.engine.clock import RealClock
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
from extrovert.testing.world import START
from tests.hosts import Host, Rule, serving, until


class Row(Record):
    key: str
    number: int = 0


def app() -> App:
    made = App("app")
    rows = made.table("rows", Row, key=Row.key)

    @made.agent(wakes_on=rows)
    async def think(turn: Turn, row: Row) -> None:
        await turn.ask(row, output=int)

    return made


def host(path: Path, **settings: object) -> Host:
    return Host(app(), path / "log", {"agent:think": Rule(1, 2)}, **settings)


async def test_it_runs_until_a_moment(tmp_path: Path) -> None:
    one = host(tmp_path)
    await one.advance(7.5)
    assert one.clock.now_us() == to_us(START) + 7_500_000


async def test_it_runs_until_nothing_is_under_way(tmp_path: Path) -> None:
    one = host(tmp_path)
    one.hand_in(one.declared.tables[0], Row("a"))
    await one.engine.run(until="quiet")
    assert one.engine.quiet
    assert one.clock.now_us() == to_us(START) + 2_000_000


async def test_one_that_does_not_act_takes_in_and_starts_nothing(tmp_path: Path) -> None:
    one = host(tmp_path, acting=False)
    one.hand_in(one.declared.tables[0], Row("a"))
    await one.settle()
    assert [entry.kind for entry in one.entries()] == ["events"]
    one.kill()
    acting = host(tmp_path)
    await acting.settle()
    assert len(acting.decisions()) == 1


async def test_a_snapshot_is_kept_now_and_then(tmp_path: Path) -> None:
    one = host(tmp_path, snapshot_every=10)
    for number in range(8):
        await one.send(one.declared.tables[0], Row(f"k{number}"))
    found = one.store.load_snapshot()
    assert found is not None
    assert one.fold.end - found[0] <= 14


async def test_somebody_may_look_at_each_instant(tmp_path: Path) -> None:
    one = host(tmp_path)
    seen: list[int] = []
    one.engine.at_instant = lambda: seen.append(one.clock.now_us() - to_us(START))
    one.hand_in(one.declared.tables[0], Row("a"))
    await one.settle()
    assert sorted(set(seen)) == [0, 2_000_000]


async def test_it_stops_after_the_present_instant(tmp_path: Path) -> None:
    engine = Engine(app().declared(), SqliteStore(None), RealClock())
    engine.start()
    running = asyncio.create_task(engine.run())
    await asyncio.sleep(0)
    engine.stop()
    await running
    await engine.close()
    assert engine.store.load_snapshot() is None  # nothing has happened
    engine.store.close()


async def test_in_virtual_time_all_is_made_durable_at_once(tmp_path: Path) -> None:
    one = host(tmp_path)
    one.hand_in(one.declared.tables[0], Row("a"))
    await one.engine.durable()
    assert [entry.kind for entry in one.store.entries()] == ["events"]


async def test_a_bug_stops_it(tmp_path: Path) -> None:
    engine = Engine(app().declared(), SqliteStore(None), RealClock(), Settings())
    engine.start()

    def broken() -> None:
        raise RuntimeError("a bug")

    engine.at_instant = broken
    with pytest.raises(RuntimeError, match="a bug"):
        await engine.run()
    await engine.close()
    engine.store.close()


async def test_agents_that_wake_themselves_without_end_leave_the_loop_free(tmp_path: Path) -> None:
    made = App("app", max_hops=1_000_000)
    rows = made.table("rows", Row, key=Row.key)

    @made.agent(wakes_on=rows)
    async def again(turn: Turn, row: Row) -> None:
        turn.put(rows, row.but(number=row.number + 1))

    async with serving(made, tmp_path) as engine:
        engine.intake.lines("rows", b'{"key":"a"}\n{"key":"b"}')
        engine.nudge()
        await until(lambda: engine.shard.fold.end > 5_000)
    assert min(row.number for row in engine.shard.fold.context.tables["rows"].rows.values()) > 1_000


async def at_rest() -> None:
    """Returns when an engine that has nothing to do waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_handed_in_while_it_waits_is_followed_at_once(tmp_path: Path) -> None:
    made, woken = App("app"), list[int]()
    rows = made.table("rows", Row, key=Row.key)

    @made.agent(wakes_on=rows)
    async def note(turn: Turn, row: Row) -> None:
        woken.append(row.number)

    async with serving(made, tmp_path) as engine:
        await at_rest()
        engine.intake.lines("rows", b'{"key":"a","number":1}')
        engine.look()
        assert woken == [1]
        engine.nudge()  # now the loop is about to look itself, so `look` leaves it to that
        engine.intake.lines("rows", b'{"key":"a","number":2}')
        engine.look()
        assert woken == [1]
        await until(lambda: woken == [1, 2])


async def test_a_moment_that_comes_of_what_was_handed_in_is_not_missed(tmp_path: Path) -> None:
    made, woken = App("app"), list[str]()
    rows = made.table("rows", Row, key=Row.key)

    @made.agent(wakes_on=rows, quiet=timedelta(milliseconds=20))
    async def note(turn: Turn, row: Row) -> None:
        woken.append(row.key)

    async with serving(made, tmp_path) as engine:
        await at_rest()
        engine.intake.lines("rows", b'{"key":"a"}')
        engine.look()
        assert woken == []
        await until(lambda: woken == ["a"])


async def test_a_bug_that_shows_in_what_is_handed_in_stops_it(tmp_path: Path) -> None:
    engine = Engine(app().declared(), SqliteStore(None), RealClock(), Settings())
    engine.start()
    running = asyncio.create_task(engine.run())
    await at_rest()

    def broken() -> None:
        raise RuntimeError("a bug")

    engine.at_instant = broken
    engine.look()
    with pytest.raises(RuntimeError, match="a bug"):
        await running
    await engine.close()
    engine.store.close()
