"""A decision is invalidated when a later record changes, as of the decision's event time, what it had read: an event
tells of it, with the old and the new values, within a declared horizon; agents wake on it and undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, Arrival, DecisionInvalidated, DeclarationError, Record, Turn
from extrovert.core.log import Invalidated
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

NOON = START


class Price(Record):
    symbol: str
    at: datetime
    value: float
    market: str = "X"


class Order(Record):
    order_id: str
    symbol: str = "ACME"
    how: str = "row"
    at: datetime = NOON


class Filled(Record):
    order_id: str
    value: float


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


class Shop:
    """Fills orders at the price that it reads in the way that the order says."""

    def __init__(self, *, horizon: timedelta | None = timedelta(hours=1)) -> None:
        self.app = App("shop")
        self.prices = self.app.table(
            "prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(hours=2), ahead=None
        )
        self.of_market = self.prices.index(Price.market)
        self.by_value = self.prices.range_index(Price.market, Price.value)
        self.orders = self.app.table("orders", Order, key=Order.order_id)
        self.filled = self.app.table("filled", Filled, key=Filled.order_id)
        self.told: list[DecisionInvalidated] = []
        self.done: list[str] = []

        @self.app.view(over=self.orders)
        def worth(order: Order) -> float:
            price = self.prices.get(order.symbol)
            return 0.0 if price is None else price.value

        @self.app.effect(idempotent=True)
        async def give_back(order_id: str, *, idempotency_key: str = "") -> None:
            self.done.append(f"gave back {order_id}")

        @self.app.effect(idempotent=True, undo=give_back)
        async def buy(order_id: str, *, idempotency_key: str = "") -> None:
            self.done.append(f"bought {order_id}")

        @self.app.agent(wakes_on=self.orders)
        async def fill(turn: Turn, order: Order) -> None:
            turn.put(self.filled, Filled(order.order_id, float(self.read(order, worth))))
            turn.effect(buy, order.order_id)

        if horizon is not None:

            @self.app.agent(wakes_on=self.app.invalidations(horizon=horizon))
            async def repair(turn: Turn, event: DecisionInvalidated) -> None:
                self.told.extend(turn.events)
                turn.undo(event.decision)

    def read(self, order: Order, worth: Any) -> float:
        prices, low, high = self.prices, ("X", 0.0), ("X", 15.0)
        reads: dict[str, Callable[[], Any]] = {
            "row": lambda: prices.get(order.symbol),
            "as_of": lambda: prices.as_of(order.symbol, order.at),
            "index": lambda: self.of_market["X"],
            "count": lambda: self.of_market.count("X"),
            "range": lambda: self.by_value.between(low, high),
            "first": lambda: self.by_value.under("X", limit=1),
            "range count": lambda: self.by_value.count_between(low, high),
            "all": prices.all,
            "size": prices.count,
            "view": lambda: worth[order.order_id],
            "none": lambda: 0,
        }
        found = reads[order.how]()
        return found.value if isinstance(found, Price) else float(found) if isinstance(found, int | float) else 0.0


async def decided(path: Path, *orders: Order, **options: Any) -> tuple[Shop, Host]:
    """Two prices are known, of noon and ten past, and the orders are filled."""
    shop = Shop(**options)
    host = Host(shop.app, path / "log")
    await host.send(shop.prices, Price("ACME", minute(0), 10.0), Price("OTHER", minute(10), 20.0, "Y"))
    await host.send(shop.orders, *orders)
    assert len(host.decisions()) == len(orders)
    return shop, host


def about(shop: Shop) -> list[Any]:
    return sorted(event.about for event in shop.told)


async def test_a_late_row_invalidates_who_had_read_the_one_before_it(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    (event,) = shop.told
    assert (event.about, event.agent) == ("o1", "fill")
    assert event.decision == host.decisions()[0].turn
    (read,) = event.reads
    assert (read.table, read.key, read.as_of) == ("prices", "ACME", minute(10))
    assert (read.old["value"], read.new["value"]) == (10.0, 12.0)
    assert read.through == ["prices/ACME"]


async def test_an_agent_can_wake_on_it_and_undo(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"), Order("o2", how="none"))
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert shop.done == ["bought o1", "bought o2", "gave back o1"]
    await host.send(shop.prices, Price("ACME", minute(5), 13.0))  # once more, though there is nothing left to undo
    assert len(shop.told) == 2
    assert shop.done[3:] == []
    assert host.dead_letters() == []


async def test_news_is_no_correction(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.send(shop.prices, Price("ACME", minute(11), 12.0), Price("NEW", minute(12), 1.0))
    assert shop.told == []


async def test_a_late_row_that_was_not_in_force_any_more_invalidates_nobody(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.send(shop.prices, Price("ACME", minute(-1), 9.0))
    assert shop.told == []


async def test_a_correction_of_the_same_time_invalidates(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.send(shop.prices, Price("ACME", minute(0), 10.5))
    assert about(shop) == ["o1"]


async def test_a_correction_that_changes_nothing_invalidates_nobody(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.send(shop.prices, Price("ACME", minute(0), 10.0))
    assert shop.told == []


async def test_the_absence_of_a_row_can_be_corrected(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1", "LATE"))
    await host.send(shop.prices, Price("LATE", minute(10), 5.0))
    (event,) = shop.told
    assert (event.reads[0].old, event.reads[0].new["value"]) == (None, 5.0)


@pytest.mark.parametrize(
    ("how", "correction", "invalid"),
    [
        ("index", Price("ACME", minute(4), 12.0), True),
        ("index", Price("LATE", minute(4), 12.0), True),
        ("index", Price("ACME", minute(4), 12.0, "Y"), True),
        ("index", Price("OTHER", minute(10), 21.0, "Y"), False),
        ("count", Price("ACME", minute(4), 12.0), False),
        ("count", Price("LATE", minute(4), 12.0), True),
        ("count", Price("ACME", minute(4), 12.0, "Y"), True),
        ("range", Price("ACME", minute(4), 12.0), True),
        ("range", Price("LATE", minute(4), 15.5), False),
        ("range", Price("ACME", minute(4), 15.5), True),
        ("range count", Price("ACME", minute(4), 12.0), False),
        ("range count", Price("ACME", minute(4), 15.5), True),
        ("first", Price("LATE", minute(4), 9.0), True),
        ("first", Price("LATE", minute(4), 11.0), False),
        ("first", Price("ACME", minute(4), 11.0), True),
        ("all", Price("OTHER", minute(10), 21.0), True),
        ("size", Price("OTHER", minute(10), 21.0), False),
        ("size", Price("LATE", minute(4), 1.0), True),
        ("view", Price("ACME", minute(4), 12.0), True),
        ("view", Price("OTHER", minute(10), 21.0), False),
        ("none", Price("ACME", minute(4), 12.0), False),
    ],
)
async def test_what_had_been_read_is_known_by_its_kind(
    tmp_path: Path, how: str, correction: Price, invalid: bool
) -> None:
    shop, host = await decided(tmp_path, Order("o1", how=how))
    await host.send(shop.prices, correction)
    assert about(shop) == ["o1"] * invalid


async def test_a_view_is_followed_to_the_rows_that_it_had_read(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1", how="view"))
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert shop.told[0].reads[0].through == ["worth/o1"]
    assert (shop.told[0].reads[0].table, shop.told[0].reads[0].key) == ("prices", "ACME")


async def test_rows_that_a_view_makes_and_views_over_views_are_followed_too(tmp_path: Path) -> None:
    app = App("made")
    prices = app.table("prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(hours=2))
    orders = app.table("orders", Order, key=Order.order_id)
    told: list[DecisionInvalidated] = []

    @app.view(over=prices, key=Filled.order_id)
    def sides(price: Price) -> Iterator[Filled]:
        yield Filled(f"{price.symbol} bid", price.value - 1)
        yield Filled(f"{price.symbol} ask", price.value + 1)

    @app.view(over=prices)
    def doubled(price: Price) -> float:
        return 2 * price.value

    @app.view(over=doubled)
    def again(value: float) -> float:
        return 2 * value

    @app.agent(wakes_on=orders)
    async def look(turn: Turn, order: Order) -> None:
        sides.get("ACME ask") if order.how == "made" else again.get("ACME")

    @app.agent(wakes_on=app.invalidations(horizon=timedelta(hours=1)))
    async def note(turn: Turn, event: DecisionInvalidated) -> None:
        told.extend(turn.events)

    host = Host(app, tmp_path / "log")
    await host.send(prices, Price("ACME", minute(0), 10.0), Price("OTHER", minute(10), 20.0))
    await host.send(orders, Order("o1", how="made"), Order("o2", how="again"))
    await host.send(prices, Price("OTHER", minute(10), 21.0), Price("ACME", minute(5), 11.0))
    assert [(event.about, event.reads[0].key, event.reads[0].through) for event in told] == [
        ("o1", "ACME", ["sides/ACME ask"]),
        ("o2", "ACME", ["again/ACME"]),
    ]


async def test_a_read_as_of_a_time_has_that_moment(tmp_path: Path) -> None:
    orders = [Order("early", how="as_of", at=minute(3)), Order("late", how="as_of", at=minute(5))]
    shop, host = await decided(tmp_path, *orders)
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert about(shop) == ["late"]
    assert shop.told[0].reads[0].as_of == minute(5)


async def test_only_decisions_before_the_correction_are_invalidated(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("before"))
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    await host.send(shop.orders, Order("after"))
    assert about(shop) == ["before"]
    await host.send(shop.prices, Price("ACME", minute(5), 13.0))
    assert about(shop) == ["after", "before", "before"]


async def test_a_batch_tells_each_decision_once_of_all_that_it_had_read(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1", how="all"), Order("o2"))
    host.hand_in(shop.prices, *(Price(key, minute(4), 3.0) for key in ("ACME", "LATE", "ACME")))
    await host.settle()
    assert {event.about: [read.key for read in event.reads] for event in shop.told} == {
        "o1": ["ACME", "LATE"],
        "o2": ["ACME"],
    }


async def test_a_decision_does_not_invalidate_itself(tmp_path: Path) -> None:
    app = App("self")
    states = app.table("states", Price, key=Price.symbol, order_by=Price.at, history=timedelta(hours=2))
    orders = app.table("orders", Order, key=Order.order_id)
    told: list[DecisionInvalidated] = []

    @app.agent(wakes_on=orders)
    async def write(turn: Turn, order: Order) -> None:
        present = states.get(order.symbol) or Price(order.symbol, NOON, 0.0)
        turn.put(states, present.but(value=present.value + 1))

    @app.agent(wakes_on=app.invalidations(horizon=timedelta(hours=1)))
    async def note(turn: Turn, event: DecisionInvalidated) -> None:
        told.extend(turn.events)

    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1"))
    await host.send(orders, Order("o2"))
    assert told == []
    await host.send(orders, Order("o3"))  # the row keeps its time, so it corrects what o2 had read, and not what o3 had
    assert [event.about for event in told] == ["o2"]


async def test_a_deletion_that_a_decision_had_seen_stands_against_a_late_row(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path)
    await host.advance(3600)
    host.engine.shard.advance(host.clock.now_us())
    host.engine.intake.arrivals("s", [Arrival(0, "prices", None, key="ACME")], 1)
    await host.send(shop.orders, Order("o1"), Order("o2", how="index"))
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert shop.told == []


async def test_it_is_noticed_within_the_horizon_only(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"))
    await host.advance(3599)
    await host.send(shop.orders, Order("o2"))
    await host.advance(1)
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert about(shop) == ["o2"]
    assert [one.key for one in host.fold.corrections.save()] == ["o2"]  # pyright: ignore[reportOptionalMemberAccess]


async def test_it_survives_restarts_and_replay_knows_it(tmp_path: Path) -> None:
    hows = ["row", "as_of", "index", "count", "range", "first", "range count", "all", "size", "view"]
    orders = [Order(how, how=how, at=minute(5)) for how in hows]
    shop, host = await decided(tmp_path, *orders)
    host.engine.keep_snapshot()
    state = picture(host.fold)
    host.crash()
    assert picture(host.fold) == state
    host.hand_in(shop.prices, Price("ACME", minute(4), 9.0, "Y"), Price("LATE", minute(4), 1.0))
    host.flush()
    host.crash()  # before anybody could wake
    await host.settle()
    assert about(shop) == sorted(hows)
    assert picture(replayed(host)) == picture(host.fold)
    assert len(host.bodies(Invalidated)) == len(shop.told)


async def test_nothing_is_kept_where_nobody_wants_to_know(tmp_path: Path) -> None:
    shop, host = await decided(tmp_path, Order("o1"), horizon=None)
    await host.send(shop.prices, Price("ACME", minute(4), 12.0))
    assert host.fold.corrections is None
    assert host.bodies(Invalidated) == []


async def test_to_undo_a_decision_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    app = App("undo")
    orders = app.table("orders", Order, key=Order.order_id)

    @app.agent(wakes_on=orders)
    async def take_back(turn: Turn, order: Order) -> None:
        turn.undo("fill:o1@99")

    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1"))
    (letter,) = host.dead_letters()
    assert "undoes decision `fill:o1@99`, of which nothing is known" in letter.cause


def test_the_horizon_is_checked() -> None:
    app = App("short")
    with pytest.raises(DeclarationError, match="longer than nothing"):
        app.invalidations(horizon=timedelta(0))
    told = app.invalidations(horizon=timedelta(hours=1))
    assert app.invalidations(horizon=timedelta(hours=1)) is told
    with pytest.raises(DeclarationError, match="again with 2:00:00"):
        app.invalidations(horizon=timedelta(hours=2))
    with pytest.raises(DeclarationError, match="no table keeps what its rows were"):
        app.declared()
    app.table("prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(minutes=59))
    with pytest.raises(DeclarationError, match="Table `prices` keeps 0:59:00 of history"):
        app.declared()
    kept = App("kept", retention=timedelta(minutes=30))
    kept.table("prices", Price, key=Price.symbol, order_by=Price.at, history=timedelta(hours=1))
    kept.invalidations(horizon=timedelta(hours=1))
    with pytest.raises(DeclarationError, match="keeps its log for 0:30:00"):
        kept.declared()
