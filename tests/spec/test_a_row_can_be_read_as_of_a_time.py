"""A table with an order in time keeps history: a row can be read as of a time, and late events correct it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, BeforeHistory, DeclarationError, Record, Turn
from extrovert.surfaces.story import find, tell
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Price(Record):
    symbol: str
    value: int
    at: datetime


class Order(Record):
    order_id: str
    symbol: str
    placed_at: datetime


class Paid(Record):
    order_id: str
    value: int


app = App("market")
prices = app.table("prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(hours=1))
orders = app.table("orders", Order, key=Order.order_id)
quotes = app.table("quotes", Price, key=Price.symbol, order_by=Price.at)
by_value = prices.index(Price.value)
checks = app.stream("checks", Order, key=Order.order_id)
evaluated: list[str] = []
attempts: list[int | None] = []


@app.view(over=orders)
def paid(order: Order) -> Paid | None:
    evaluated.append(order.order_id)
    price = prices.as_of(order.symbol, order.placed_at)
    return None if price is None else Paid(order.order_id, price.value)


@app.agent(wakes_on=checks)
async def check(turn: Turn, order: Order) -> None:
    """Reads a price as of a time, and thinks."""
    price = prices.as_of(order.symbol, order.placed_at)
    attempts.append(None if price is None else price.value)
    await turn.ask("right?", output=int)


@app.agent(wakes_on=app.stream("corrections", Price, key=Price.symbol))
async def correct(turn: Turn, price: Price) -> None:
    turn.put(prices, price)
    for minute in range(5):
        found = prices.as_of(price.symbol, at(minute))
        attempts.append(None if found is None else found.value)


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def price(value: int, minute: float, symbol: str = "ACME") -> Price:
    return Price(symbol, value, at(minute))


def as_of(*minutes: float) -> list[int | None]:
    found = [prices.as_of("ACME", at(minute)) for minute in minutes]
    return [None if row is None else row.value for row in found]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    evaluated.clear()
    attempts.clear()


async def test_a_row_is_read_as_it_was(world: World) -> None:
    await world.send(prices, price(10, 1), price(20, 2), price(30, 3))
    assert as_of(0.9, 1, 1.9, 2, 2.5, 3, 59) == [None, 10, 10, 20, 20, 30, 30]
    assert prices.as_of("OTHER", at(2)) is None


async def test_a_late_row_enters_history_and_does_not_replace_the_present_one(world: World) -> None:
    await world.send(prices, price(10, 1), price(30, 3))
    await world.send(prices, price(20, 2))
    assert prices["ACME"].value == 30
    assert by_value[20] == ()
    assert as_of(1, 2, 3) == [10, 20, 30]


async def test_of_equal_times_the_later_one_counts(world: World) -> None:
    await world.send(prices, price(10, 1), price(11, 1), price(20, 2))
    await world.send(prices, price(12, 1))
    assert as_of(1, 2) == [12, 20]
    await world.send(prices, price(21, 2))
    assert prices["ACME"].value == 21


async def test_an_order_alone_keeps_late_rows_out(world: World) -> None:
    await world.send(quotes, price(10, 2), price(20, 1))
    assert quotes["ACME"].value == 10
    with pytest.raises(DeclarationError, match=r"Table `quotes` keeps no history.*order_by=.*history="):
        quotes.as_of("ACME", at(1))


async def test_a_view_that_read_as_of_is_corrected_by_a_late_row(world: World) -> None:
    await world.send(prices, price(10, 1), price(30, 3))
    await world.send(orders, Order("O1", "ACME", at(2.5)))
    assert paid["O1"] == Paid("O1", 10)
    await world.send(prices, price(20, 2))
    assert paid["O1"] == Paid("O1", 20)


async def test_a_view_is_left_alone_by_what_does_not_change_its_answer(world: World) -> None:
    await world.send(prices, price(10, 1), price(30, 3))
    await world.send(orders, Order("O1", "ACME", at(2.5)), Order("O2", "OTHER", at(2.5)))
    evaluated.clear()
    await world.send(prices, price(40, 4), price(5, 0.5), price(29, 2.8), price(30, 2.6))
    assert evaluated == []
    await world.send(prices, price(20, 2, "OTHER"))
    assert evaluated == ["O2"]


async def test_a_waiting_turn_is_run_again_by_a_correction_and_not_by_later_rows(world: World) -> None:
    await world.send(prices, price(10, 1))
    world.answer(check, 1, thinks=SECOND)
    world.hand_in("checks", Order("O1", "ACME", at(2.5)))
    await world.advance(SECOND / 4)
    assert attempts == [10]
    world.hand_in("prices", price(30, 3))
    await world.advance(SECOND / 4)
    assert attempts == [10]
    world.hand_in("prices", price(20, 2))
    await world.advance(SECOND / 4)
    assert attempts == [10, 20]


async def test_a_read_as_of_a_time_is_in_the_ledger_with_where_it_came_from(world: World) -> None:
    await world.send(prices, price(10, 1), price(30, 3))
    world.answer(check, 1)
    await world.send(checks, Order("O1", "ACME", at(2.5)))
    decision = await world.decision(check, "O1")
    assert [(read.kind, read.of, read.at[0], read.version) for read in decision.reads] == [
        ("as_of", "prices", "ACME", 1)
    ]
    world.engine.writing.flush()
    story = tell(world.store, find(world.store, decision.id))
    change = story.reads[0].change
    assert change is not None
    assert change.by == "event on `prices`"


async def test_a_turn_reads_back_what_it_wrote_into_the_past(world: World) -> None:
    await world.send(prices, price(10, 1), price(30, 3))
    world.hand_in("corrections", price(20, 2))
    await world.settle()
    assert attempts == [None, 10, 20, 30, 30]
    assert as_of(0, 1, 2, 3, 4) == attempts
    assert prices["ACME"].value == 30


async def test_a_read_before_the_history_that_is_kept_says_so(world: World) -> None:
    await world.send(prices, price(10, 1), price(20, 2), price(90, 90, "OTHER"))
    assert as_of(30) == [20]
    with pytest.raises(
        BeforeHistory, match=r"before the history that table `prices` keeps: 1:00:00 back from its newest"
    ):
        prices.as_of("ACME", at(29))


async def test_a_view_that_read_what_is_not_kept_any_more_is_told(world: World) -> None:
    await world.send(prices, price(10, 1))
    await world.send(orders, Order("O1", "ACME", at(2)))
    await world.send(prices, price(20, 62))
    assert paid["O1"] == Paid("O1", 10)
    await world.send(prices, price(30, 62.1))
    assert paid.get("O1") is None
    state = world.engine.shard.fold.context.views["paid"]
    assert "BeforeHistory" in state.quarantine["O1"]


async def test_what_no_read_can_see_is_dropped(world: World) -> None:
    for minute in range(300):
        await world.send(prices, price(minute, minute), price(minute, minute, "OTHER" if minute < 100 else "THIRD"))
    history = world.engine.shard.fold.context.tables["prices"].history
    assert history is not None
    assert {key: len(versions) for key, versions in history.versions.items()} == {"ACME": 61, "OTHER": 1, "THIRD": 61}


async def test_a_row_from_before_the_history_is_still_the_row_of_a_new_key(world: World) -> None:
    await world.send(prices, price(90, 90, "OTHER"), price(10, 1), price(9, 0))
    assert prices["ACME"].value == 10
    assert as_of(30, 90) == [10, 10]


async def test_a_deletion_is_as_of_the_engine_time(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    table = host.fold.context.tables["prices"]
    host.hand_in(prices, price(10, 1))
    await host.advance(300)
    delete(host, "ACME")
    assert table.rows == {}
    assert [moment(host, minute) for minute in (1, 4.9, 5)] == [10, 10, None]
    host.hand_in(prices, price(20, 4))
    assert table.rows == {}
    assert moment(host, 4.5) == 20
    host.hand_in(prices, price(60, 6))
    assert table.rows["ACME"].value == 60


async def test_a_deletion_is_never_before_the_row_that_it_deletes(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(prices, price(10, 1))
    delete(host, "ACME")
    assert host.fold.context.tables["prices"].rows == {}
    assert [moment(host, minute) for minute in (0.5, 1)] == [None, None]


async def test_history_survives_a_restart_from_a_snapshot(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(prices, price(10, 1), price(30, 3), price(20, 2), price(5, 50, "OTHER"))
    host.hand_in(orders, Order("O1", "ACME", at(2.5)))
    await host.advance(300)
    delete(host, "ACME")
    host.engine.keep_snapshot()
    host.hand_in(prices, price(25, 2.2))
    host.flush()
    before = picture(host.fold)
    assert picture(replayed(host)) == before
    host.crash()
    assert picture(host.fold) == before
    assert [moment(host, minute) for minute in (1, 2, 2.5, 3, 6)] == [10, 20, 25, 30, None]
    assert host.fold.context.views["paid"].values["O1"] == Paid("O1", 25)


def delete(host: Host, key: str) -> None:
    """A tombstone on the prices' stream."""
    from extrovert import Arrival

    shard = host.engine.shard
    shard.advance(host.clock.now_us())
    host.engine.intake.arrivals("test", [Arrival(shard.now_us, "prices", None, key)], 1)


def moment(host: Host, minute: float) -> Any:
    history = host.fold.context.tables["prices"].history
    assert history is not None
    row = history.look(("ACME", (at(minute) - datetime.fromtimestamp(0, START.tzinfo)) // timedelta(microseconds=1)))[0]
    return None if row is None else row.value


def test_what_is_declared_about_time_must_make_sense() -> None:
    def declare(**options: Any) -> None:
        App("market").table("prices", Price, key=Price.symbol, **options)

    with pytest.raises(DeclarationError, match="keeps history, but of which time"):
        declare(history=MINUTE)
    with pytest.raises(DeclarationError, match=r"order_by= names `value`, which must be a `datetime`"):
        declare(order_by=Price.value)
    with pytest.raises(DeclarationError, match="ttl= must be longer than nothing"):
        declare(ttl=timedelta(0))
    with pytest.raises(DeclarationError, match="a late event would be folded onto a row that came after it"):
        declare(order_by=Price.at, turns_own=[Price.value])
    with pytest.raises(DeclarationError, match="`Price` has no field `when`"):
        declare(order_by="when")
