"""Windows at work, and when they are saved and taken up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from extrovert import App, Record, Session, Tumbling
from extrovert import aggregates as agg
from extrovert.context.live import LiveContext
from extrovert.context.windowing import WindowState
from extrovert.core.time import from_us
from tests.property.windows import BEGIN_US, Reading, Running

SECOND = 1_000_000


def reading(sensor: str, at_s: float) -> Reading:
    return Reading(sensor, from_us(BEGIN_US + int(at_s * SECOND)), 0, "hall")


def test_a_session_that_grew_while_it_was_open_closes_at_its_end_with_a_snapshot_or_without() -> None:
    spans, idle_after = Session(timedelta(seconds=5)), timedelta(seconds=3)
    straight = Running(spans=spans, idle_after=idle_after)
    straight.feed([reading("cold", 0), reading("cold", 4), reading("warm", 4)])
    broken = straight.again()
    for running in (straight, broken):
        running.wait(4 * SECOND)  # silent for longer than what is allowed, and its first end has gone by
        assert [row.closed for row in running.rows()] == [False, False]
        assert running.state.mark.reached_us == BEGIN_US + 4 * SECOND
        running.wait(2 * SECOND)
        assert [row.closed for row in running.rows()] == [True, True]
    assert straight.state.save() == broken.state.save()


class Sale(Record):
    shop: str
    at: datetime
    euros: int


class Takings(Record):
    shop: str
    starts_at: datetime
    ends_at: datetime
    euros: int


def add(sum_: int, sale: Sale) -> int:
    return sum_ + sale.euros


def nothing() -> int:
    return 0


def not_negative(euros: int) -> int:
    if euros < 0:
        raise ValueError("less than nothing")
    return euros


class Shops:
    """Takings of each minute, of which those below nothing cannot be told."""

    def __init__(self) -> None:
        app = App("shops")
        sales = app.stream("sales", Sale, key=Sale.shop)
        window = app.window(
            sales,
            Takings,
            spans=Tumbling(timedelta(minutes=1)),
            at=Sale.at,
            euros=agg.own(nothing, add, result=not_negative),
            lateness=timedelta(minutes=1),
            keep=timedelta(minutes=5),
            ahead=None,
        )
        self.name = window.name
        self.context: LiveContext = app.declared().fold().context
        self.context.clock_is(BEGIN_US)
        state = self.context.operators[window.name]
        assert isinstance(state, WindowState)
        self.state = state

    def feed(self, offset: int, sales: Sequence[tuple[str, int, int]]) -> None:
        records = [Sale(shop, from_us(BEGIN_US + at_s * SECOND), euros) for shop, at_s, euros in sales]
        keys = [sale.shop for sale in records]
        self.context.fold("sales", keys, records, range(offset, offset + len(sales)))

    def again(self) -> Shops:
        other = Shops()
        rows = self.context.tables[self.name]
        for key, row in rows.rows.items():
            other.context.tables[self.name].put(key, row, rows.versions[key])
        other.state.load(self.state.save())
        return other


def test_a_row_that_could_never_be_made_leaves_quarantine_when_its_window_is_dropped_with_a_snapshot_or_without() -> (
    None
):
    straight = Shops()
    straight.feed(1, [("a", 0, -1), ("b", 0, 1), ("b", 200, 1)])
    assert list(straight.state.quarantine) == ["a@2026-01-01T00:00:00Z"]
    broken = straight.again().again()
    for shops in (straight, broken):
        shops.feed(4, [("b", 400, 1)])
        assert shops.state.quarantine == {}
    assert straight.state.save() == broken.state.save()
