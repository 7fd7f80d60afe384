"""Indexes by themselves: buckets, and intervals of ordered entries."""

from __future__ import annotations

import random

from extrovert import App, Record
from extrovert.context.interval import Interval
from extrovert.context.live import LiveContext
from extrovert.context.ordered import Ordered
from extrovert.context.range_index import keys_in


class Row(Record):
    key: int
    group: int
    value: int = 0


class Witness:
    order = (0,)


def context() -> LiveContext:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    rows.index(Row.group)
    rows.range_index(Row.group, Row.value)
    return LiveContext(app.declared().tables, [])


def test_an_interval_holds_what_begins_with_its_ends() -> None:
    interval = Interval(((1,), (2, 5), None))
    held = [(1, 0, 9), (1, 9, 9), (2, 5, 9)]
    assert [entry for entry in [(0, 9, 9), *held, (2, 6, 9), (3, 0, 9)] if interval.holds(entry)] == held


def test_an_open_interval_holds_all() -> None:
    assert Interval((None, None, None)).holds((1, 2, 3))
    assert Interval(((), (), 3)).holds((1, 2, 3))


def test_an_interval_is_widened_where_it_has_a_limit() -> None:
    assert Interval(((1,), None, 2)).widened(3).limit == 5
    assert Interval(((1,), None, None)).widened(3).limit is None


def test_keys_in_an_interval_come_in_order_up_to_its_limit() -> None:
    entries = Ordered()
    for entry in [(1, 5, "b"), (1, 6, "a"), (2, 0, "d"), (2, 1, "c")]:
        entries.add(entry)
    assert keys_in(entries, Interval(((1, 6), (2,), None))) == ["a", "d", "c"]
    assert keys_in(entries, Interval(((1, 6), (2,), 2))) == ["a", "d"]
    assert keys_in(entries, Interval(((3,), None, None))) == []


def test_entries_are_in_order_however_they_came() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    draw = random.Random(seed)
    live = context()
    table, index = live.tables["rows"], live.ranges["rows.group<value"]
    for size in (1, 3, 600, 5, 12, 1):
        for _ in range(size):
            key = draw.randrange(500)
            row = None if draw.random() < 0.2 else Row(key, draw.randrange(5), draw.randrange(50))
            table.put(key, row, 1)
        assert list(index.entries) == sorted((row.group, row.value, key) for key, row in table.rows.items())


def test_who_watches_an_interval_is_told_of_what_is_in_it() -> None:
    live = context()
    table, index = live.tables["rows"], live.ranges["rows.group<value"]
    near, wide = Witness(), Witness()
    index.watch(Interval(((1,), (1, 5), None)), near)
    index.watch(Interval((None, (1,), None)), wide)
    table.put(1, Row(1, 1, 9), 1)
    assert live.take_touched() == [wide]
    table.put(1, Row(1, 1, 5), 2)
    assert set(live.take_touched()) == {near, wide}
    table.put(2, Row(2, 2, 0), 3)
    assert live.take_touched() == []
    index.unwatch(Interval(((1,), (1, 5), None)), near)
    index.unwatch(Interval((None, (1,), None)), wide)
    index.unwatch(Interval((None, None, None)), wide)
    assert not index.watched
    table.put(1, None, 4)
    assert live.take_touched() == []


def test_an_empty_bucket_is_gone() -> None:
    live = context()
    live.tables["rows"].put(1, Row(1, 7), 1)
    live.tables["rows"].put(1, Row(1, 8), 2)
    assert list(live.indexes["rows.group"].buckets) == [8]
