"""What a table remembers of its rows is bounded by what can be read, not by what was written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from extrovert import App, Record
from extrovert.context.history import HistoryState
from extrovert.core.time import from_us, to_us
from tests.holding import held

START_US = to_us(datetime.fromisoformat("2026-01-01T00:00:00Z"))


class Price(Record):
    item: str
    at: datetime
    euros: int


class Witness:
    order: tuple[int, ...] = (0,)


class Prices:
    """A table with an hour of history, without a host."""

    def __init__(self, **options: Any) -> None:
        app = App("shop")
        app.table("prices", Price, key=Price.item, order_by=Price.at, history=timedelta(hours=1), ahead=None, **options)
        self.context = app.declared().fold().context
        self.context.clock_is(START_US)
        self.table = self.context.tables["prices"]
        assert self.table.history is not None
        self.history: HistoryState = self.table.history
        self.offset = 0

    def put(self, item: str, second: int, euros: int | None) -> None:
        self.offset += 1
        at = from_us(START_US + second * 1_000_000)
        self.table.put(item, None if euros is None else Price(item, at, euros), self.offset)

    def saved(self) -> int:
        """How much is held when all has been saved."""
        self.table.take_written()
        self.history.written.clear()
        return held(self.history, without=(self.context, self.table)).objects


def test_a_row_that_is_written_over_and_over_at_one_time_takes_no_more_room() -> None:
    prices = Prices()
    prices.put("tea", 0, 1)
    prices.put("tea", 1, 2)
    before = prices.saved()
    for euros in range(1_000):
        prices.put("tea", 1, euros)
    assert prices.saved() < before + 50


def test_a_row_that_changes_all_the_time_takes_as_much_room_as_its_versions() -> None:
    prices = Prices()
    for second in range(10_000):
        prices.put("tea", second, second)
    assert len(prices.history.versions["tea"]) == 3601
    assert prices.saved() < 3601 * 5  # a version is a tuple, two numbers, a row and its moment


def test_keys_that_come_and_go_leave_nothing() -> None:
    prices = Prices(ttl=timedelta(minutes=10))
    counts: list[int] = []
    for second in range(20_000):
        prices.put(f"item-{second}", second, second)
        if second % 2:
            prices.put(f"item-{second}", second, None)
        prices.context.clock_is(START_US + second * 1_000_000)
        prices.table.expire(prices.offset)
        if second % 5_000 == 4_999:
            counts.append(prices.saved())
    assert max(counts[1:]) <= counts[1] + 50


def test_moments_that_are_looked_at_no_more_take_no_room_while_the_prices_stand_still() -> None:
    prices = Prices()
    prices.put("tea", 0, 1)
    witness = Witness()
    before = prices.saved()
    for second in range(1_000):
        selector = ("tea", START_US + second * 1_000_000)
        prices.history.watch(selector, witness)
        prices.history.unwatch(selector, witness)
    assert prices.saved() < before + 400


def test_moments_that_are_looked_at_still_are_told_when_the_history_has_gone_on() -> None:
    prices = Prices()
    prices.put("tea", 0, 1)
    left, stays = Witness(), Witness()
    stays.order = (1,)
    prices.history.watch(("tea", START_US), stays)
    for second in range(1_000):
        prices.history.watch(("tea", START_US + second), left)
        if second:
            prices.history.unwatch(("tea", START_US + second), left)
    prices.put("tea", 3601, 2)
    assert set(prices.context.touched) == {stays, left}
