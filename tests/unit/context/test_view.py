"""Views by themselves: what is evaluated, in which order, and how often."""

from __future__ import annotations

from extrovert import App, Record
from extrovert.context.live import LiveContext


class Row(Record):
    key: str
    value: int = 0


evaluated: list[str] = []


def context() -> LiveContext:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)

    @app.view(over=rows)
    def base(row: Row) -> int:
        evaluated.append(f"base {row.key}")
        return row.value // 10

    @app.view(over=rows)
    def stacked(row: Row) -> int | None:
        evaluated.append(f"stacked {row.key}")
        return sum(base.get(key) or 0 for key in ("a", "b"))

    declared = app.declared()
    return LiveContext(declared.tables, declared.views)


def put(live: LiveContext, offset: int, *rows: Row) -> None:
    evaluated.clear()
    live.offset = offset
    live.fold("rows", [row.key for row in rows], list(rows), range(offset, offset + len(rows)))
    live.settle()


def test_a_view_that_reads_another_comes_after_it() -> None:
    live = context()
    put(live, 1, Row("a", 10), Row("b", 20))
    assert live.views["stacked"].values == {"a": 3, "b": 3}
    put(live, 3, Row("b", 30))
    assert evaluated[0] == "base b"
    assert sorted(evaluated[1:]) == ["stacked a", "stacked b"]


def test_it_is_left_alone_where_the_other_comes_to_the_same_value() -> None:
    live = context()
    put(live, 1, Row("a", 10), Row("b", 20))
    put(live, 3, Row("b", 25))
    assert sorted(evaluated) == ["base b", "stacked b"]  # the second only since its own row changed
    assert live.views["base"].look("b") == (2, 2)


def test_a_value_has_the_version_of_the_change_that_brought_it() -> None:
    live = context()
    put(live, 1, Row("a", 10), Row("b", 20))
    put(live, 7, Row("b", 30))
    assert live.views["stacked"].look("a") == (4, 7)
    assert live.views["base"].look("z") == (None, 0)


def test_a_value_goes_with_its_row() -> None:
    live = context()
    put(live, 1, Row("a", 10), Row("b", 20))
    live.offset = 9
    live.tables["rows"].put("b", None, 9)
    live.settle()
    assert live.views["stacked"].values == {"a": 1}
    assert list(live.views["base"].nodes) == ["a"]


class Prickly:
    """Compares with nothing."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    __hash__ = None  # type: ignore[assignment]


def test_values_that_cannot_be_compared_are_quarantined() -> None:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)

    @app.view(over=rows)
    def prickly(row: Row) -> object:
        return Prickly() if row.value else "smooth"

    declared = app.declared()
    live = LiveContext(declared.tables, declared.views)
    view = live.views["prickly"]
    put(live, 1, Row("a", 1), Row("b", 0))
    assert view.values == {"b": "smooth"}
    put(live, 3, Row("b", 1))
    assert view.values == {}
    assert set(view.quarantine) == {"a", "b"}
    assert view.quarantine["b"] == "its values cannot be compared: RuntimeError: do not compare me"
    put(live, 4, Row("b", 0))
    assert (view.values, set(view.quarantine)) == ({"b": "smooth"}, {"a"})
