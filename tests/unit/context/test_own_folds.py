from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from extrovert import App, Record
from extrovert.context.live import LiveContext


class Sale(Record):
    shop: str
    amount: int


class Takings(Record):
    shop: str
    total: int
    sales: int


def take(row: Takings | None, sale: Sale) -> Takings | None:
    if sale.amount == 0:
        return None
    if sale.amount < 0:
        raise ValueError("a sale brings money")
    return Takings(sale.shop, sale.amount + (row.total if row else 0), 1 + (row.sales if row else 0))


def folded(amounts: Sequence[tuple[str, int]]) -> tuple[LiveContext, list[tuple[int, str]], list[Any]]:
    """The context after one batch of sales, what could not be folded, and the keys that listeners were told of."""
    app = App("shops")
    sales = app.stream("sales", Sale, key=Sale.shop)
    app.table("takings", Takings, key=Takings.shop, source=sales, fold=take)
    declared = app.declared()
    context = LiveContext(declared.tables, declared.views)
    told: list[Any] = []
    context.tables["takings"].listeners.append(lambda keys, _rows: told.append(list(keys)))
    records = [Sale(shop, amount) for shop, amount in amounts]
    failures = context.fold("sales", [sale.shop for sale in records], records, range(1, 1 + len(records)))
    return context, failures, told


def test_each_event_of_a_batch_is_folded_onto_what_the_ones_before_it_made() -> None:
    context, failures, told = folded([("a", 1), ("b", 10), ("a", 2), ("a", 3), ("b", 20)])
    table = context.tables["takings"]
    assert table.rows == {"a": Takings("a", 6, 3), "b": Takings("b", 30, 2)}
    assert table.versions == {"a": 4, "b": 5}
    assert failures == []
    assert told == [["a", "b", "a", "a", "b"]], "all at once"


def test_an_event_that_cannot_be_folded_leaves_those_around_it_alone() -> None:
    context, failures, _ = folded([("a", 1), ("b", 10), ("a", -1), ("a", 3), ("b", 20)])
    assert context.tables["takings"].rows == {"a": Takings("a", 4, 2), "b": Takings("b", 30, 2)}
    assert failures == [(2, "table `takings`: ValueError: a sale brings money")]


def test_a_deletion_in_the_midst_begins_the_row_anew() -> None:
    context, failures, _ = folded([("a", 1), ("b", 10), ("a", 0), ("a", 3), ("b", 20)])
    assert context.tables["takings"].rows == {"a": Takings("a", 3, 1), "b": Takings("b", 30, 2)}
    assert failures == []
