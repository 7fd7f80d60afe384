"""An event that a turn emits for later is delivered exactly then, whatever happens to the engine meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from extrovert import App, Record, Turn
from extrovert.core.time import to_us
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture


class Order(Record):
    order_id: str
    minutes: int = 10


class Reminder(Record):
    order_id: str
    number: int = 0


app = App("shop")
orders = app.stream("orders", Order, key=Order.order_id)
reminders = app.stream("reminders", Reminder, key=Reminder.order_id)
reminded = app.table("reminded", Reminder, key=Reminder.order_id, source=reminders)
answered = app.table("answered", Reminder, key=Reminder.order_id)


@app.agent(wakes_on=orders)
async def remind(turn: Turn, order: Order) -> None:
    later = turn.now() + timedelta(minutes=order.minutes)
    turn.emit(reminders, Reminder(order.order_id, 1), at=later)
    turn.emit(reminders, Reminder(order.order_id, 2), at=later)
    turn.emit(reminders, Reminder(order.order_id, 0))


@app.agent(wakes_on=reminders)
async def answer(turn: Turn, reminder: Reminder) -> None:
    turn.put(answered, Reminder(reminder.order_id, sum(event.number for event in turn.events)))


async def test_it_is_delivered_at_its_moment_and_in_the_order_of_emission(world: World) -> None:
    await world.send(orders, Order("O1"))
    assert reminded["O1"].number == 0
    await world.advance(timedelta(minutes=10) - timedelta(microseconds=1))
    assert reminded["O1"].number == 0
    await world.advance(timedelta(microseconds=1))
    assert reminded["O1"].number == 2
    assert answered["O1"].number == 3
    assert world.decisions(answer)[-1].id == "answer:O1@7"


async def test_the_earlier_one_comes_first(world: World) -> None:
    await world.send(orders, Order("O1", 20), Order("O2", 5))
    await world.advance(timedelta(minutes=5))
    assert (reminded["O1"].number, reminded["O2"].number) == (0, 2)
    await world.advance(timedelta(minutes=15))
    assert reminded["O1"].number == 2


async def test_a_moment_that_is_over_is_now(world: World) -> None:
    await world.send(orders, Order("O1", -5))
    assert reminded["O1"].number == 0  # the last one emitted
    assert answered["O1"].number == 3


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("away", [0, 3600])
async def test_it_survives_a_restart(tmp_path: Path, snapshot: bool, away: int) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("O1"), Order("O2", 20))
    await host.advance(60)
    host.flush()
    assert [one.due_us for one in host.decisions()[0].emits] == [to_us(START) + 600_000_000] * 2 + [None]
    if snapshot:
        host.engine.keep_snapshot()
    host.crash(away)
    await host.engine.run(until=to_us(START) + (3_660_000_000 if away else 600_000_000))
    assert host.row(reminded, "O1") == Reminder("O1", 2)
    assert host.row(reminded, "O2") == Reminder("O2", 2 if away else 0)
    assert picture(replayed(host)) == picture(host.fold)
    host.flush()
    host.crash()
    await host.settle()
    assert [one.agent for one in host.decisions()] == ["remind"] * 2 + ["answer"] * 4
    assert host.row(answered, "O2") == Reminder("O2", 3)


async def test_a_moment_without_a_zone_is_an_error_of_the_turn() -> None:
    app = App("shop")
    orders = app.stream("orders", Order, key=Order.order_id)

    @app.agent(wakes_on=orders)
    async def wrong(turn: Turn, order: Order) -> None:
        turn.emit(orders, order, at=datetime(2026, 1, 1))  # noqa: DTZ001

    with World(app) as world:
        await world.send(orders, Order("O1"))
        (letter,) = world.dead_letters()
        assert "emitted to stream `orders` with at=: 2026-01-01T00:00:00 has no time zone" in letter.cause
