"""A turn's scope: the live context, or a copy, with the turn's own writes on top."""

from __future__ import annotations

from extrovert import App, Record
from extrovert.context.copies import Copies
from extrovert.context.live import LiveContext
from extrovert.context.reads import reading
from extrovert.turns.scope import TurnScope


class Row(Record):
    key: str
    group: int = 0


app = App("app")
rows = app.table("rows", Row, key=Row.key)
by_group = rows.index(Row.group)
ordered = rows.range_index(Row.group)


def context() -> LiveContext:
    live = LiveContext(app.declared().tables, [])
    for offset, key in enumerate("abc", start=1):
        live.tables["rows"].put(key, Row(key, offset % 2), offset)
    return live


def test_each_look_is_a_read_of_the_context() -> None:
    live = context()
    scope = TurnScope(live, "the test")
    with reading(scope):
        assert [row.key for row in by_group[1]] == ["a", "c"]
        rows.get("z")
    assert [(of.name, at, token) for (of, at), token in scope.taken.items()] == [
        ("rows.group", 1, (1, 3)),
        ("rows", "z", 0),
    ]


def test_with_a_copy_it_sees_what_was_true_then() -> None:
    live = context()
    live.copies = Copies(live, 100)
    scope = TurnScope(live, "the test", live.copies.latest)
    live.tables["rows"].put("a", None, 4)
    live.tables["rows"].put("d", Row("d", 1), 5)
    with reading(scope):
        assert [row.key for row in by_group[1]] == ["a", "c"]
        assert [row.key for row in ordered.between()] == ["b", "a", "c"]
        assert [row.key for row in rows.all()] == ["a", "b", "c"]
        assert rows["a"] == Row("a", 1)


def test_a_count_of_what_it_wrote_reads_what_was_there() -> None:
    scope = TurnScope(context(), "the test")
    scope.writes["rows"] = {"a": Row("a", 0), "z": None}
    with reading(scope):
        assert by_group.count(0) == 2
        assert by_group.count(1) == 1
    assert ("rows", "a") in {(of.name, at) for of, at in scope.taken}
