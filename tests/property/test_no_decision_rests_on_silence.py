"""Law: whatever comes when, and wherever an engine dies, no decision rests on what is older than its agent allows, and
every wake is answered as soon as its sources are heard."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extrovert import App, Record, Turn
from extrovert.core.log import Attempted, Decided, Events, Heard
from extrovert.engine.loop import Engine
from tests.hosts import Host, Rule, body, replayed
from tests.picture import picture

LIMIT_S = 3
LIMIT_US = LIMIT_S * 1_000_000


class Rate(Record):
    currency: str
    euros: int


class Order(Record):
    order_id: str
    number: int


app = App("desk")
rates = app.table("rates", Rate, key=Rate.currency, source=app.stream("rates", Rate, key=Rate.currency))
fees = app.table("fees", Rate, key=Rate.currency, source=app.stream("fees", Rate, key=Rate.currency))
orders = app.table("orders", Order, key=Order.order_id)
priced = app.table("priced", Order, key=Order.order_id)


@app.policy
def close(about: str) -> int:
    return len(about)


@app.view(over=orders)
def price_of(order: Order) -> str:
    rate = rates.get("usd")
    return f"{order.number} at {0 if rate is None else rate.euros}"


@app.agent(wakes_on=orders, model=close, fresh_within=timedelta(seconds=LIMIT_S))
async def price(turn: Turn, order: Order) -> None:
    await turn.ask(price_of[order.order_id], output=int)
    if order.number % 2:
        fees.get("usd")
    turn.put(priced, order)


_steps = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.001, 1, 2, 4])),
    st.tuples(st.just("event"), st.sampled_from([rates, fees])),
    st.tuples(st.just("beat"), st.sampled_from([rates, fees])),
    st.tuples(st.just("order"), st.integers(0, 3)),
    st.tuples(st.just("crash"), st.sampled_from([False, True])),
)


async def lived(steps: list[tuple[str, Any]], thinks: float) -> None:
    host = Host(app, None, {"policy:close": Rule(7, thinks)})
    for number, (what, how) in enumerate(steps):
        if what == "wait":
            await host.advance(how)
        elif what == "event":
            host.hand_in(how, Rate("usd", number))
        elif what == "beat":
            host.engine.heartbeat(how)
        elif what == "order":
            host.hand_in(orders, Order(f"o{how % 2}", number))
        else:
            host.flush()
            if how:
                host.engine.keep_snapshot()
            host.engine = Engine(host.declared, host.store, host.clock, host.settings)
            host.engine.start()
        await host.advance(0)
    for _ in range(3):  # a turn may come to read the fees only when it has been let go on once
        host.engine.heartbeat(rates, fees)
        await host.advance(LIMIT_S)
    assert not host.fold.running
    assert host.fold.context.tables["priced"].rows == host.fold.context.tables["orders"].rows
    assert picture(host.fold) == picture(replayed(host))
    check(host)


def check(host: Host) -> None:
    """What each question and decision rested on, from the log alone: when each stream was heard before it."""
    heard: dict[str, int] = {}
    for entry in host.entries():
        said = body(entry)
        if isinstance(said, Events) and said.stream != "orders":
            heard[said.stream] = entry.at_us
        elif isinstance(said, Heard):
            heard |= said.heard
        elif isinstance(said, Attempted) and said.asks:
            assert entry.at_us - heard["rates"] <= LIMIT_US
        elif isinstance(said, Decided):
            assert "rates" in said.heard
            for stream, age_us in said.heard.items():
                assert age_us is not None
                assert age_us <= entry.at_us - heard[stream] <= LIMIT_US


@given(st.lists(_steps, max_size=14), st.sampled_from([0, 0.5, 2]))
def test_no_decision_rests_on_silence(steps: list[tuple[str, Any]], thinks: float) -> None:
    asyncio.run(lived(steps, thinks))
