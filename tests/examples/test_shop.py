"""A shop that never offers what is sold out: `examples/shop.py`, and beside it `examples/shop_beside.py`.

The made-up stock, customers and refreshes of the example run in virtual time; a customer of the tests' own comes to it.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from examples.shop import Click, Product, Words, clicks, page, products, sell
from examples.shop_beside import copies, counts

from examples import shop_beside
from extrovert.testing import World

app = shop_beside.app
SECOND = timedelta(seconds=1)


def change(world: World, sku: str, **fields: Any) -> None:
    """The warehouse tells of a change; no time passes."""
    world.hand_in("products", products[sku].but(**fields, at=world.now))


async def click(world: World, words: str) -> None:
    await world.send(clicks, Click("ann", words, world.now))


async def pianos(world: World) -> None:
    """Ann looks for a piano, of which there are two, and gets an offer of the first."""
    for sku, color in ("p1", "black"), ("p2", "white"):
        world.hand_in("products", Product(sku, f"{color} piano", "eighty-eight keys", 5000.0, 2, world.now))
    await click(world, "black piano")
    assert sees() == "p1"


def sees() -> str | None:
    offer = page.get("ann")
    return offer and offer.choice.sku


async def test_an_offer_follows_the_clicks_of_a_session(world: World) -> None:
    await pianos(world)
    assert page["ann"].text == "The black piano, yours for 5000.00 euros."
    for words in "white", "a white one", "white piano":
        await click(world, words)
    assert sees() == "p2"


async def test_it_is_found_by_what_it_means(world: World) -> None:
    await world.advance(SECOND)  # the vectors come
    await click(world, "bike")  # no product says so
    assert str(sees()).endswith("-bicycle")


async def test_what_is_sold_out_vanishes_in_the_same_step(world: World) -> None:
    await pianos(world)
    change(world, "p1", stock=0)
    assert sees() is None  # nobody has written another one yet
    await world.settle()
    assert sees() == "p2"


async def test_a_sale_that_is_not_the_last_disturbs_nobody(world: World) -> None:
    await pianos(world)
    change(world, "p1", stock=1)
    assert sees() == "p1"
    await world.settle()
    assert len([one for one in world.decisions(sell) if one.id.startswith("sell:ann@")]) == 1


async def test_an_offer_is_written_anew_when_its_price_changes(world: World) -> None:
    await pianos(world)
    change(world, "p1", euros=4500.0)
    assert sees() is None
    await world.settle()
    assert page["ann"].text == "The black piano, yours for 4500.00 euros."


async def test_what_sells_out_while_the_agent_writes_is_never_offered(world: World) -> None:
    await pianos(world)
    change(world, "p1", euros=4500.0)
    await world.advance(timedelta(milliseconds=1))  # it writes
    change(world, "p1", stock=0)
    decision = await world.decision(sell, "ann")
    assert decision.attempts == 3  # woken, disturbed, answered
    assert [write.row.choice.sku for write in decision.writes] == ["p2"]


async def test_a_model_that_names_another_price_is_refused(world: World) -> None:
    await pianos(world)
    script = world.answer(sell, Words("p1", "For you, 1.00 euro!"), Words("yacht", "?"), Words("p1", "It is 4500.00."))
    change(world, "p1", euros=4500.0)
    await world.settle()
    assert len([wish for wish in script.asked if "black piano" in wish.words]) == 3
    assert page["ann"].text == "It is 4500.00."


async def test_the_live_shop_offers_nothing_sold_out_and_a_refreshed_index_does(world: World) -> None:
    await click(world, "red lamp")
    await world.advance(timedelta(minutes=6))

    live, refreshed = counts["live"], counts["refreshed"]
    assert live.shown > 200
    assert live.sold_out == 0
    assert refreshed.shown > 200
    assert refreshed.sold_out > 10
    assert audited(world) == Counter(
        {"live": live.shown, "refreshed": refreshed.shown, "refreshed sold out": refreshed.sold_out}
    )
    assert said(world)[-1].startswith("sold out when shown: 0 of ")
    assert sees() is None  # ann's session is over
    assert copies.count() == products.count()
    assert world.dead_letters() == []


def said(world: World) -> list[str]:
    return [arguments[0] for name, arguments in world.performed if name == "say"]


def audited(world: World) -> Counter[str]:
    """What was shown and what of it was sold out, counted from the log alone: what the warehouse had said by then."""
    world.engine.writing.flush()
    stock: dict[str, int] = {}
    found: Counter[str] = Counter()
    for entry in world.store.entries():
        body: dict[str, Any] = json.loads(entry.body)
        if entry.kind == "events" and body["stream"] == "products":
            stock |= {row["sku"]: row["stock"] for row in body["data"]}
        if entry.kind == "decided":
            for shown in (emit["data"] for emit in body.get("emits", []) if emit["to"] == "shown"):
                found[shown["shop"]] += 1
                if stock[shown["sku"]] == 0:
                    found[f"{shown['shop']} sold out"] += 1
    return found


def test_the_catalogue_is_made_up_the_same_each_time() -> None:
    from examples.shop_data import warehouse

    batch = warehouse.read(None)
    assert batch is not None
    assert batch == warehouse.read(None)
    assert Product.__struct_fields__ == tuple(json.loads(batch.text.splitlines()[0]))
