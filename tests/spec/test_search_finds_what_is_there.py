"""A search finds rows by their text as they are now; what was updated or deleted is never found as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, Hit, Record, Turn, TurnError
from extrovert.testing import World
from tests.hosts import Host, Rule
from tests.spec.airline import Choice

app = App("shop")


class Product(Record):
    sku: str
    title: str
    body: str | None = None
    shop: str = "east"
    stock: int = 1


class Wish(Record):
    customer: str
    text: str


class Offer(Record):
    customer: str
    sku: str


products = app.table("products", Product, key=Product.sku)
wishes = app.table("wishes", Wish, key=Wish.customer)
offers = app.table("offers", Offer, key=Offer.customer)
by_shop = products.index(Product.shop)
catalogue = app.search("catalogue", over=products, text=[Product.title, Product.body])


@app.view(over=wishes)
def wished(wish: Wish) -> list[str]:
    return [hit.key for hit in catalogue.search(wish.text, where=in_stock)]


def in_stock(product: Product) -> bool:
    return product.stock > 0


LAMP = Product("lamp", "A red lamp", "for the desk")
TABLE = Product("table", "A red table", "with four legs", "west")
CHAIR = Product("chair", "A chair", "with red legs and a red seat")


def found(text: str, limit: int = 10, where: Mapping[Any, Any] | Callable[[Product], bool] | None = None) -> list[str]:
    return [hit.key for hit in catalogue.search(text, limit=limit, where=where)]


async def test_rows_are_found_by_their_words(world: World) -> None:
    await world.send(products, LAMP, TABLE, CHAIR)
    [hit] = catalogue.search("desk lamp")
    assert hit == Hit(LAMP, hit.score, "lamp")
    assert hit.score > 0


async def test_case_accents_composed_or_not_and_punctuation_make_no_difference(world: World) -> None:
    await world.send(products, Product("p1", "Café-Tisch, STRASSE"))
    for text in ("cafe\u0301", "CAFÉ", "tisch!", "straße"):
        assert found(text) == ["p1"]


async def test_the_best_come_first_and_of_equal_ones_the_smallest_key(world: World) -> None:
    await world.send(products, *(Product(sku, "blue vase") for sku in "cab"), Product("d", "blue vase blue"))
    assert found("blue") == ["d", "a", "b", "c"]
    assert found("blue", limit=2) == ["d", "a"]


async def test_what_has_none_of_the_words_is_not_found(world: World) -> None:
    await world.send(products, LAMP)
    assert found("sofa") == []
    assert found("") == []


async def test_an_updated_row_is_found_by_its_new_text_alone(world: World) -> None:
    await world.send(products, LAMP)
    await world.send(products, LAMP.but(title="A green lantern"))
    assert found("red") == []
    assert catalogue.search("lantern")[0].row.title == "A green lantern"


async def test_a_row_changed_elsewhere_is_found_as_it_is_now(world: World) -> None:
    await world.send(products, LAMP)
    await world.send(products, LAMP.but(stock=7))
    assert catalogue.search("lamp")[0].row.stock == 7


async def test_a_deleted_row_is_not_found() -> None:
    app = App("shop")
    products = app.table("products", Product, key=Product.sku)
    orders = app.stream("orders", Offer, key=Offer.customer)
    catalogue = app.search("catalogue", over=products, text=Product.title)

    @app.agent(wakes_on=orders)
    async def delist(turn: Turn, order: Offer) -> None:
        turn.delete(products, order.sku)

    with World(app) as world:
        await world.send(products, LAMP, TABLE)
        await world.send(orders, Offer("c1", "lamp"))
        assert [hit.key for hit in catalogue.search("red lamp")] == ["table"]


async def test_a_filter_on_fields_looks_at_the_present_row(world: World) -> None:
    await world.send(products, LAMP, TABLE, CHAIR)
    assert found("red", where={Product.shop: "west"}) == ["table"]
    assert found("red", where={Product.shop: "east", Product.stock: 1}) == ["chair", "lamp"]
    await world.send(products, TABLE.but(shop="east"))
    assert found("red", where={Product.shop: "west"}) == []


async def test_what_is_sold_out_vanishes_at_once(world: World) -> None:
    await world.send(products, LAMP, TABLE)
    assert found("red", where=in_stock) == ["lamp", "table"]
    world.hand_in("products", LAMP.but(stock=0))
    assert found("red", where=in_stock) == ["table"]
    assert found("red", where=lambda product: product.stock == 0) == ["lamp"]


async def test_a_view_follows_what_it_searched_for(world: World) -> None:
    await world.send(wishes, Wish("c1", "red lamp"))
    assert wished["c1"] == []
    await world.send(products, LAMP, TABLE)
    assert wished["c1"] == ["lamp", "table"]
    await world.send(products, LAMP.but(stock=0))
    assert wished["c1"] == ["table"]
    await world.send(products, TABLE.but(title="A blue table"))
    assert wished["c1"] == []


def shop(limit: int = 1) -> App:
    """Offers each customer what fits best and is in stock, and sells it."""
    app = App("shop")
    products = app.table("products", Product, key=Product.sku, turns_own=[Product.stock])
    wishes = app.table("wishes", Wish, key=Wish.customer)
    offers = app.table("offers", Offer, key=Offer.customer)
    catalogue = app.search("catalogue", over=products, text=[Product.title, Product.body])

    @app.policy
    def first(choice: Choice) -> str:
        return choice.options[0]

    @app.agent(wakes_on=wishes, model=first)
    async def offer(turn: Turn, wish: Wish) -> None:
        hits = catalogue.search(wish.text, limit=limit, where=in_stock)
        sku = await turn.ask(Choice(wish.customer, [hit.key for hit in hits]), output=str)
        turn.put(offers, Offer(wish.customer, sku))
        product = products[sku]
        turn.put(products, product.but(stock=product.stock - 1))

    return app


async def test_a_decision_on_a_hit_that_was_sold_meanwhile_is_made_again(tmp_path: Path) -> None:
    rule = Rule(lambda choice: choice.options[0], thinks=timedelta(seconds=1))
    host = Host(shop(), tmp_path / "log.sqlite", {"policy:first": rule})
    tables = {table.name: table for table in host.declared.tables}
    await host.send(tables["products"], LAMP, TABLE)
    host.hand_in(tables["wishes"], Wish("c1", "red lamp"), Wish("c2", "red lamp"))
    await host.settle()
    assert {offer.customer: offer.sku for offer in host.fold.context.tables["offers"].rows.values()} == {
        "c1": "lamp",
        "c2": "table",
    }
    assert [choice.options for choice in rule.asked] == [["lamp"], ["lamp"], ["table"]]
    await host.stop()


async def test_a_change_that_leaves_the_hits_alone_asks_nothing_anew(tmp_path: Path) -> None:
    rule = Rule(lambda choice: choice.options[0], thinks=timedelta(seconds=1))
    host = Host(shop(), tmp_path / "log.sqlite", {"policy:first": rule})
    tables = {table.name: table for table in host.declared.tables}
    await host.send(tables["products"], LAMP, TABLE)
    host.hand_in(tables["wishes"], Wish("c1", "red lamp"))
    await host.advance(0.5)
    await host.send(tables["products"], CHAIR, TABLE.but(title="A red red table"))
    assert [choice.options for choice in rule.asked] == [["lamp"]]
    [decision] = host.decisions()
    assert decision.changed == []
    await host.stop()


async def test_the_ledger_says_what_was_searched_for(tmp_path: Path) -> None:
    host = Host(shop(), tmp_path / "log.sqlite")
    tables = {table.name: table for table in host.declared.tables}
    await host.send(tables["products"], TABLE, LAMP)
    await host.send(tables["wishes"], Wish("c1", "red lamp"))
    [decision] = host.decisions()
    note = next(note for note in decision.reads if note.kind == "search")
    assert (note.of, note.version) == ("catalogue", 2)
    assert note.at == {"text": "red lamp", "limit": 1, "condition": "in_stock"}
    await host.stop()


async def test_a_turn_finds_the_rows_that_it_wrote_as_it_wrote_them() -> None:
    app = App("shop")
    products = app.table("products", Product, key=Product.sku)
    wishes = app.table("wishes", Wish, key=Wish.customer)
    catalogue = app.search("catalogue", over=products, text=Product.title)
    seen: list[list[str]] = []

    @app.agent(wakes_on=wishes)
    async def move(turn: Turn, wish: Wish) -> None:
        turn.put(products, LAMP.but(title="A green lamp"))
        turn.put(products, Product("sofa", "A red sofa"))
        turn.delete(products, "table")
        seen.append([hit.key for hit in catalogue.search(wish.text, limit=2)])

    with World(app) as world:
        await world.send(products, LAMP, TABLE, CHAIR.but(title="Red"))
        await world.send(wishes, Wish("c1", "red"))
        assert seen == [["chair", "sofa"]]


async def test_a_condition_that_raises_fails_its_reader_and_nothing_else(world: World) -> None:
    await world.send(products, LAMP)
    with pytest.raises(ZeroDivisionError):
        found("red", where=lambda product: product.stock // 0 > 1)


async def test_a_condition_looks_at_its_row_alone(world: World) -> None:
    await world.send(products, LAMP)
    with pytest.raises(TurnError, match="outside a view"):
        found("red", where=lambda product: product.sku in products)


async def test_what_is_asked_wrongly_says_so(world: World) -> None:
    with pytest.raises(TurnError, match="limit=0; it must be from 1 to 1000"):
        found("red", limit=0)
    with pytest.raises(TurnError, match="where= with `color`, which its rows do not have"):
        found("red", where={"color": "red"})
    with pytest.raises(TurnError, match="cannot be looked up"):
        found("red", where={Product.shop: ["east"]})


def test_only_text_can_be_searched() -> None:
    app = App("shop")
    products = app.table("products", Product, key=Product.sku)
    with pytest.raises(DeclarationError, match=r"its field `stock` is no text. Name fields of type `str`"):
        app.search("catalogue", over=products, text=[Product.title, Product.stock])
    with pytest.raises(DeclarationError, match="has no field `color`"):
        app.search("catalogue", over=products, text="color")
    with pytest.raises(DeclarationError, match="names no field"):
        app.search("catalogue", over=products, text=[])


async def test_a_search_is_there_again_after_a_restart(tmp_path: Path) -> None:
    host = Host(shop(), tmp_path / "log.sqlite")
    tables = {table.name: table for table in host.declared.tables}
    await host.send(tables["products"], LAMP, TABLE)
    host.engine.keep_snapshot()
    await host.send(tables["products"], CHAIR, LAMP.but(title="A green lamp"))
    before = found_in(host)
    await host.stop()
    host.begin()
    assert found_in(host) == before == ["chair", "table"]
    await host.stop()


def found_in(host: Host) -> list[str]:
    from extrovert.context.query import Query
    from extrovert.context.search_state import SearchState

    state = host.fold.context.operators["catalogue"]
    assert isinstance(state, SearchState)
    return [hit.key for hit in state.find(Query("red", 10), {})]
