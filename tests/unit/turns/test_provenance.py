"""Where the lines of a prompt come from: what of the turn's reads has the same content, however the turn got it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from extrovert import App, Prompt, Record, Section, Turn
from extrovert.core.log import Attempted, Lines
from extrovert.testing import World


class Row(Record):
    key: str
    group: int = 0
    text: str = ""


class Pair(Record):
    left: Row
    right: Row


class Timed(Record):
    key: str
    at: datetime


NOON = datetime(2025, 12, 1, 12, 0, 11, tzinfo=UTC)
LONG = "a text that is long enough"


class Desk:
    """An agent that asks what a test wants to be asked."""

    def __init__(self, about: Callable[[Desk, Turn, Any], Prompt]) -> None:
        self.app = app = App("desk")
        self.rows = app.table("rows", Row, key=Row.key)
        self.by_group = self.rows.index(Row.group)
        self.ordered = self.rows.range_index(Row.group)
        self.found = app.search("found", over=self.rows, text=Row.text)
        self.timed = app.table("timed", Timed, key=Timed.key, order_by=Timed.at, history=timedelta(days=1))
        self.news = app.stream("news", Row, key=Row.key)

        @app.view(over=self.rows)
        def paired(row: Row) -> Pair:
            return Pair(row, self.rows.get("other") or row)

        self.paired = paired
        model = app.model("m", "openai:m")

        @app.agent(wakes_on=self.news, model=model)
        async def think(turn: Turn, news: Row) -> None:
            await turn.ask(about(self, turn, news), output=str)

        self.think = think

    async def lines(self) -> list[tuple[str, str]]:
        """The lines of the prompt with a source, each as its text and `of/at@version through`."""
        with World(self.app) as world:
            world.answer(self.think, "yes")
            await world.send(self.rows, Row("a", 1, LONG), Row("b", 1, "red"), Row("other", 2, "blue"))
            await world.send(self.timed, Timed("t", NOON))
            await world.send(self.news, Row("n", 7, "heard"))
            world.engine.writing.flush()
            entries = [entry for entry in world.store.entries() if entry.kind == "attempted"]
        (sent,) = msgspec.json.decode(entries[0].body, type=Attempted).asks
        text = msgspec.json.decode(sent.request, type=str).split("\n")
        return [("|".join(text[one.first - 1 : one.last]), said(one)) for one in sent.lines]


def said(one: Lines) -> str:
    return f"{one.of}/{one.at}@{one.version} {one.through}".strip()


async def origins(*, of: Callable[[Desk, Turn, Any], Any], **options: Any) -> list[str]:
    desk = Desk(lambda desk, turn, news: Prompt("?", Section("It", of(desk, turn, news), **options)))
    return [source for _, source in await desk.lines()]


async def test_rows_are_told_by_table_key_and_version() -> None:
    assert await origins(of=lambda desk, turn, news: desk.rows["a"]) == ["rows/a@1"]
    assert await origins(of=lambda desk, turn, news: desk.rows.all()) == ["rows/a@1", "rows/b@2", "rows/other@3"]


async def test_what_found_them_is_told_too() -> None:
    by_group, ordered = "rows.group", "rows.group"
    assert await origins(of=lambda desk, turn, news: desk.by_group[1]) == [
        f"rows/a@1 {by_group}",
        f"rows/b@2 {by_group}",
    ]
    assert await origins(of=lambda desk, turn, news: desk.ordered.under(2)) == [f"rows/other@3 {ordered}"]
    assert await origins(of=lambda desk, turn, news: desk.found.search("blue")) == ["rows/other@3 found"]
    assert await origins(of=lambda desk, turn, news: desk.timed.as_of("t", NOON)) == ["timed/t@4 as_of"]


async def test_a_part_of_a_views_value_is_told_by_its_field() -> None:
    assert await origins(of=lambda desk, turn, news: desk.paired["a"]) == ["paired/a@3"]
    assert await origins(of=lambda desk, turn, news: desk.paired["a"].right) == ["paired/a@3 .right"]


async def test_of_several_ways_the_row_that_was_read_itself_is_told() -> None:
    def both(desk: Desk, turn: Turn, news: Any) -> Any:
        found = desk.paired["a"].right, desk.by_group[2]
        return [found[0], desk.rows["other"]]

    assert await origins(of=both) == ["rows/other@3", "rows/other@3"]


async def test_an_event_is_told_by_its_stream_and_offset() -> None:
    assert await origins(of=lambda desk, turn, news: news) == ["news/n@5"]


async def test_what_the_turn_wrote_or_computed_says_so() -> None:
    def wrote(desk: Desk, turn: Turn, news: Any) -> Any:
        row = desk.rows["a"].but(group=9)
        turn.put(desk.rows, row)
        return [desk.rows["a"], Row("z")]

    assert await origins(of=wrote) == ["rows/a@0 its own write", "/None@0"]


async def test_a_long_text_is_told_by_its_field_and_a_short_one_is_computed() -> None:
    assert await origins(of=lambda desk, turn, news: [row.text for row in desk.by_group[1]]) == [
        "rows/a@1 rows.group.text",
        "/None@0",
    ]


async def test_all_lines_of_a_record_are_told_at_once() -> None:
    desk = Desk(lambda desk, turn, news: Prompt("?", Section("It", desk.rows["b"])))
    assert await desk.lines() == [('key: "b"|group: 1|text: "red"', "rows/b@2")]


async def test_a_row_is_as_of_its_last_change_or_its_event_time() -> None:
    desk = Desk(
        lambda desk, turn, news: Prompt(
            "?", Section("A", desk.rows.all()), Section("B", desk.timed["t"]), Section("C", [desk.rows["a"], Row("z")])
        )
    )
    lines = [text for text, _ in await desk.lines()]
    assert lines[1] == '["b",1,"red","2026-01-01T00:00Z"]'
    assert lines[4:] == ['["a",1,"' + LONG + '","2026-01-01T00:00Z"]', '["z",0,"",null]']
