"""An agent on a view or a table may take the old value beside the new: what the last ended turn of its key saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from extrovert import App, DeclarationError, Record, Turn
from extrovert.testing import World
from tests.hosts import Host, Rule, replayed
from tests.picture import picture


class Stock(Record):
    sku: str
    left: int


app = App("shop")
stock = app.table("stock", Stock, key=Stock.sku)
told: list[tuple[str, int | None, int | None]] = []


@app.view(over=stock)
def dozens(item: Stock) -> int | None:
    return item.left // 12 or None


@app.agent(wakes_on=stock, model="policy:anything")
async def on_row(turn: Turn, new: Stock, old: Stock | None) -> None:
    await turn.ask("ready?", output=int)
    told.append(("row", old.left if old else None, new.left))


@app.agent(wakes_on=dozens, model="policy:anything")
async def on_value(turn: Turn, new: int | None, old: int | None) -> None:
    await turn.ask("ready?", output=int)
    told.append(("value", old, new))


@app.policy
def anything(question: object) -> int:
    return 1


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    told.clear()


def rows() -> list[tuple[int | None, int | None]]:
    return [(old, new) for kind, old, new in told if kind == "row"]


def values() -> list[tuple[int | None, int | None]]:
    return [(old, new) for kind, old, new in told if kind == "value"]


async def test_the_first_turn_has_no_old_value_and_the_next_has_what_the_first_saw(world: World) -> None:
    await world.send(stock, Stock("lamp", 30))
    await world.send(stock, Stock("lamp", 35))
    await world.send(stock, Stock("lamp", 5))
    assert rows() == [(None, 30), (30, 35), (35, 5)]
    assert values() == [(None, 2), (2, None)]


async def test_what_came_between_two_turns_is_passed_by(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log", {"policy:anything": Rule(1, thinks=2)})
    for left in (30, 50, 70):
        host.hand_in(stock, Stock("lamp", left))
    await host.advance(1)
    host.hand_in(stock, Stock("lamp", 90))
    await host.advance(5)
    host.hand_in(stock, Stock("lamp", 95))
    await host.advance(5)
    assert rows() == [(None, 90), (90, 95)]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_it_is_known_after_a_crash(tmp_path: Path, snapshot: bool) -> None:
    host = Host(app, tmp_path / "log", {"policy:anything": Rule(1)})
    await host.send(stock, Stock("lamp", 30))
    if snapshot:
        host.engine.keep_snapshot()
    host.flush()
    state = picture(host.fold)
    assert state["wakes"]["on_row"]["olds"] == {"lamp": b'{"sku":"lamp","left":30}'}
    host.crash()
    assert picture(host.fold) == state == picture(replayed(host))
    await host.send(stock, Stock("lamp", 40))
    assert rows() == [(None, 30), (30, 40)]


async def test_a_turn_that_failed_for_good_has_seen_the_value_too(world: World) -> None:
    script = world.answer(on_row, "no number", "no number", "no number", "no number", 1)
    await world.send(stock, Stock("lamp", 30))
    assert len(script.asked) == 4
    assert len(world.dead_letters()) == 1
    await world.send(stock, Stock("lamp", 40))
    assert rows() == [(30, 40)]


def test_what_makes_no_sense_is_refused_when_it_is_declared() -> None:
    other = App("other")
    table = other.table("stock", Stock, key=Stock.sku)
    events = other.stream("events", Stock, key=Stock.sku)

    async def needs_it(turn: Turn, new: Stock, old: Stock) -> None: ...

    async def on_event(turn: Turn, new: Stock, old: Stock | None) -> None: ...

    with pytest.raises(DeclarationError, match="`old` must accept None"):
        other.agent(wakes_on=table)(needs_it)  # pyright: ignore[reportArgumentType]

    async def of_another_type(turn: Turn, new: Stock, old: int | None) -> None: ...

    with pytest.raises(DeclarationError, match="its type must be `Stock "):
        other.agent(wakes_on=table)(of_another_type)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DeclarationError, match="wakes on a stream"):
        other.agent(wakes_on=events)(on_event)
