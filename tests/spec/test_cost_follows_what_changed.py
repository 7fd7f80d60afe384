"""What a change costs grows with what hangs on it, not with what is stored: counted in evaluations and in rows."""

from __future__ import annotations

from collections import Counter

import pytest

from extrovert import App, Record
from extrovert.testing import World


class Product(Record):
    sku: str
    category: str
    price: int


class Basket(Record):
    basket_id: str
    skus: list[str]


class Line(Record):
    line_id: str
    sku: str
    price: int


class Shop:
    """Products, baskets of three of them, a view that makes a row per product in a basket, and views over these."""

    def __init__(self) -> None:
        self.app = App("shop")
        self.evaluated: Counter[str] = Counter()
        products = self.products = self.app.table("products", Product, key=Product.sku)
        baskets = self.baskets = self.app.table("baskets", Basket, key=Basket.basket_id)
        of_category = products.index(Product.category)

        @self.app.view(over=baskets, key=Line.line_id)
        def lines(basket: Basket) -> list[Line]:
            self.evaluated["lines"] += 1
            found = [product for sku in basket.skus if (product := products.get(sku))]
            return [Line(f"{basket.basket_id}/{one.sku}", one.sku, one.price) for one in found]

        of_sku = lines.index(Line.sku)

        @self.app.view(over=lines)
        def dear(line: Line) -> bool:
            self.evaluated["dear"] += 1
            return line.price > 100

        @self.app.view(over=dear)
        def cheap(dear: bool) -> bool:
            self.evaluated["cheap"] += 1
            return not dear

        @self.app.view(over=products)
        def wanted(product: Product) -> int:
            self.evaluated["wanted"] += 1
            return sum(line.price for line in of_sku[product.sku])

        @self.app.view(over=products)
        def peers(product: Product) -> int:
            self.evaluated["peers"] += 1
            return of_category.count(product.category)

        self.wanted = wanted

    async def fill(self, world: World, size: int) -> None:
        """So many products, in categories of five, and as many baskets, each with three."""
        await world.send(self.products, *(Product(f"P{n}", f"C{n // 5}", n % 90) for n in range(size)))
        baskets = (Basket(f"B{n}", [f"P{(n + step) % size}" for step in range(3)]) for n in range(size))
        await world.send(self.baskets, *baskets)
        self.evaluated.clear()


@pytest.mark.parametrize("size", [30, 3_000])
async def test_a_changed_row_costs_those_that_hang_on_it_however_many_there_are(size: int) -> None:
    shop = Shop()
    with World(shop.app) as world:
        await shop.fill(world, size)
        await world.send(shop.products, Product("P7", "C1", 500))
        # three baskets hold it: a line of each changes, is dear now, and so not cheap; no other product has changed
        assert shop.evaluated == {"lines": 3, "dear": 3, "cheap": 3, "wanted": 1, "peers": 1}
        assert shop.wanted["P7"] == 1500


@pytest.mark.parametrize("size", [30, 3_000])
async def test_what_is_equal_by_value_costs_nothing_behind_it(size: int) -> None:
    shop = Shop()
    with World(shop.app) as world:
        await shop.fill(world, size)
        await world.send(shop.baskets, Basket("B7", ["P9", "P8", "P7"]))  # the same lines in another order
        assert shop.evaluated == {"lines": 1}


@pytest.mark.parametrize("size", [30, 3_000])
async def test_what_nobody_reads_costs_no_evaluation(size: int) -> None:
    shop = Shop()
    with World(shop.app) as world:
        await shop.fill(world, size)
        await world.send(shop.products, Product("new", "another", 1))
        assert shop.evaluated == {"wanted": 1, "peers": 1}
