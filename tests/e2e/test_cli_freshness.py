"""`extrovert freshness`: when sources were last heard and whom that holds up, whether the app runs or not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.command import PATIENCE_S, Home, records

RATES = """
from datetime import timedelta

from extrovert import App, Record, Turn

app = App("rates")


class Rate(Record):
    currency: str
    euros: float


class Order(Record):
    order_id: str
    currency: str


rates = app.table("rates", Rate, key=Rate.currency, source=app.stream("rates", Rate, key=Rate.currency))
orders = app.table("orders", Order, key=Order.order_id)
priced = app.table("priced", Order, key=Order.order_id)


@app.agent(wakes_on=orders, fresh_within=timedelta(seconds=1))
async def price(turn: Turn, order: Order) -> None:
    rates[order.currency]
    turn.put(priced, order)


@app.agent(wakes_on=orders, fresh_within=timedelta(seconds=1), stale="refuse")
async def hurry(turn: Turn, order: Order) -> None:
    rates[order.currency]
"""


@pytest.fixture
def desk(home: Home) -> Home:
    (home.path / "airline.py").write_text(RATES)
    return home


def asked(home: Home, wanted: Any) -> list[dict[str, Any]]:
    """What `extrovert freshness` tells, as soon as it is what is wanted."""
    until = time.monotonic() + PATIENCE_S
    while not wanted(found := home("freshness", "--json").documents):
        assert time.monotonic() < until, found
    return found


def held(found: list[dict[str, Any]]) -> list[str]:
    return [one["turn"] for one in found if "turn" in one]


def nobody_held(found: list[dict[str, Any]]) -> bool:
    return not held(found)


def test_it_tells_how_old_the_context_is_and_whom_that_holds_up(desk: Home) -> None:
    with desk.running():
        found = asked(desk, bool)
        assert found[0] == {
            "stream": "rates", "sources": [], "followed_by": ["rates"], "heard_at": None, "age_ms": None, "held": 0
        }  # fmt: skip
        desk("send", "orders", "-", given=records({"order_id": "o-1", "currency": "usd"}))
        stream, price, hurry, turn = asked(desk, held)
        assert (stream["held"], turn["turn"], turn["silent"]) == (1, "price:o-1@1", ["rates"])
        assert (price["agent"], price["fresh_within_ms"], price["stale"], price["held"]) == ("price", 1000, "wait", 1)
        assert (hurry["agent"], hurry["stale"], hurry["held"]) == ("hurry", "refuse", 0)
        told = desk("freshness").out
        assert "stream  source  followed by  last heard (UTC)  age  holds" in told
        assert "price:o-1@1" in told
        assert "never" in told

        desk("send", "rates", "-", given=records({"currency": "usd", "euros": 0.9}))
        found = asked(desk, nobody_held)
        assert 0 <= found[0]["age_ms"] < PATIENCE_S * 1000
        why = desk("explain", "price:o-1").out
        assert "Its reads hang on rates, heard " in why
        assert "held until it hears of rates" in why
        assert "its sources were heard again" in why
        why = desk("explain", "hurry:o-1").out
        assert "Ended without a decision, since what it read was too old," in why
        assert "stream `rates` was never heard, and 1 s are allowed" in why
    (stream, *_) = desk("freshness", "--app", "airline.py", "--json").documents  # as its log tells
    assert stream["heard_at"] is not None
