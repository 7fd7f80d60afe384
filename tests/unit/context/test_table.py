"""Tables by themselves: rows, versions, listeners, batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record
from extrovert.context.live import LiveContext
from extrovert.context.table import TableState, field_name


class Row(Record):
    key: str
    value: int = 0


def table() -> TableState:
    app = App("app")
    app.table("rows", Row, key=Row.key)
    return LiveContext(app.declared().tables, []).tables["rows"]


def test_a_row_has_the_version_that_wrote_it() -> None:
    rows = table()
    rows.put("a", Row("a"), 5)
    assert rows.look("a") == (Row("a"), 5)
    assert rows.look("b") == (None, 0)
    rows.put("a", None, 6)
    assert rows.look("a") == (None, 0)
    assert rows.whole.look(None) == ((), 6)


def test_what_is_not_there_is_not_deleted() -> None:
    rows = table()
    heard: list[Any] = []
    rows.listeners.append(lambda keys, values: heard.append(keys))
    rows.put("a", None, 5)
    assert heard == []
    assert rows.whole.version == 0


def test_the_whole_table_comes_in_order_of_its_keys() -> None:
    rows = table()
    for key in "cab":
        rows.put(key, Row(key), 1)
    assert [row.key for row in rows.whole.look(None)[0]] == ["a", "b", "c"]


@pytest.mark.parametrize("size", [1, 3, 4, 50])
def test_listeners_hear_of_each_row(size: int) -> None:
    rows = table()
    heard: list[tuple[Any, Any]] = []

    def listen(keys: Sequence[Any], values: Sequence[Any]) -> None:
        heard.extend(zip(keys, values, strict=True))

    rows.listeners.append(listen)
    keys = [f"k{number % 7}" for number in range(size)]
    batch = [Row(key, number) for number, key in enumerate(keys)]
    rows.put_many(keys, batch, range(1, 1 + len(keys)))
    assert heard == list(zip(keys, batch, strict=True))
    assert rows.whole.version == size


def test_a_field_is_named_by_its_attribute_or_by_text() -> None:
    assert field_name("Table `rows`", Row, Row.value) == "value"
    assert field_name("Table `rows`", Row, "value") == "value"
    with pytest.raises(
        DeclarationError, match=r"Table `rows`: `Row` has no field `colour`\. Its fields are: key, value\."
    ):
        field_name("Table `rows`", Row, "colour")
    with pytest.raises(DeclarationError, match="has no field `17`"):
        field_name("Table `rows`", Row, 17)
