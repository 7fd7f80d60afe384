"""Copies of the live context: when they are made, and what they hold."""

from __future__ import annotations

from extrovert import App, Record
from extrovert.context.copies import Copies
from extrovert.context.live import LiveContext


class Row(Record):
    key: str
    value: int = 0


def context() -> LiveContext:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    rows.range_index(Row.value)
    live = LiveContext(app.declared().tables, [])
    live.copies = Copies(live, 100)
    return live


def test_a_copy_is_made_at_multiples_of_the_interval() -> None:
    copies = context().copies
    assert copies is not None
    first = copies.at(99)
    assert first.at_us == 0
    assert copies.at(100).at_us == 100
    assert copies.at(350).at_us == 300
    assert copies.at(399) is copies.at(300)


def test_it_holds_what_was_true_when_it_was_due_though_nobody_looked_then() -> None:
    live = context()
    rows = live.tables["rows"]
    rows.put("a", Row("a", 1), 1)
    live.passed(120, 1)
    rows.put("a", Row("a", 2), 2)
    assert live.copies is not None
    assert live.copies.at(130).look(rows, "a") == (Row("a", 1), 1)
    live.clock_is(200)
    assert live.copies.at(200).look(rows, "a") == (Row("a", 2), 2)


def test_it_reads_the_clock_as_it_was() -> None:
    live = context()
    live.clock_is(150)
    assert live.copies is not None
    copy = live.copies.at(150)
    live.clock_is(190)
    assert copy.look(live.expiry, 120) == (True, True)
    assert copy.look(live.expiry, 100) == (False, False)
