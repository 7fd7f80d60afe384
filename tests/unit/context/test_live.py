"""The live context as a whole: batches, changes by value, who is told, and in which order."""

from __future__ import annotations

from typing import Any

from extrovert import App, Record
from extrovert.context.live import LiveContext
from extrovert.context.reads import Readable


class Row(Record):
    key: str
    value: int = 0


class Witness:
    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def order(self) -> tuple[Any, ...]:
        return (self.number,)


def context() -> LiveContext:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    rows.index(Row.value)
    rows.range_index(Row.value)

    @app.view(over=rows)
    def double(row: Row) -> int | None:
        return row.value * 2 or None

    declared = app.declared()
    return LiveContext(declared.tables, declared.views)


def put(live: LiveContext, *rows: Row) -> None:
    first = live.offset + 1
    live.fold("rows", [row.key for row in rows], list(rows), range(first, first + len(rows)))
    live.settle()


def test_everything_that_can_be_read_has_a_name() -> None:
    names = [(of.kind, of.name) for of in context().readables()]
    assert names == [("row", "rows"), ("index", "rows.value"), ("range", "rows.value"), ("view", "double")]


def test_watchers_are_told_in_their_order_and_once() -> None:
    live = context()
    table: Readable = live.tables["rows"]
    for number in (3, 1, 2):
        table.watch("a", Witness(number))
    put(live, Row("a", 1))
    put(live, Row("a", 2))
    assert [watcher.order for watcher in live.take_touched()] == [(1,), (2,), (3,)]
    assert live.take_touched() == []


def test_changes_are_by_value_with_what_was_before() -> None:
    live = context()
    put(live, Row("a", 1), Row("b", 0))
    assert live.take_changes() == {("double", "a"): None}
    put(live, Row("a", 2))
    put(live, Row("a", 1), Row("b", 5))
    assert live.take_changes() == {("double", "a"): 2, ("double", "b"): None}


def test_a_batch_in_which_a_key_comes_twice_ends_with_the_last() -> None:
    for size in (2, 12):
        live = context()
        put(live, *(Row("a", number % 4) for number in range(1, size)), Row("a", 7))
        assert live.tables["rows"].rows == {"a": Row("a", 7)}
        assert live.tables["rows"].versions == {"a": size}
        assert live.indexes["rows.value"].look(7)[0] == (Row("a", 7),)
        assert live.indexes["rows.value"].look(3) == ((), 0)
        assert live.views["double"].values == {"a": 14}


def test_a_moment_that_has_come_touches_who_waits_for_it() -> None:
    live = context()
    early, late = Witness(10), Witness(20)
    live.expiry.watch(10, early)
    live.expiry.watch(20, late)
    live.passed(10, 1)
    assert live.take_touched() == [early]
    live.passed(25, 2)
    assert live.take_touched() == [late]
    live.clock_is(5)
    assert live.expiry.now_us == 25
