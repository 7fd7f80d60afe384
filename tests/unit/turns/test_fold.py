"""The fold of the log: what does not fit is refused, and nothing else happens than what an entry says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from extrovert import App, CorruptionError, Record, Turn
from extrovert.core.log import Answered, Attempted, Dead, Entry, Events, Retried, Wake
from extrovert.turns.fold import Fold


class Row(Record):
    key: str
    value: int = 0


def fold() -> Fold:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    events = app.stream("events", Row, key=Row.key)

    @app.agent(wakes_on=rows)
    async def on_row(turn: Turn, row: Row) -> None: ...

    @app.agent(wakes_on=events)
    async def on_event(turn: Turn, event: Row) -> None: ...

    return app.declared().fold()


def entry(offset: int, body: Any, count: int = 1, at_us: int = 0) -> Entry:
    return Entry(offset, at_us, str(body.__struct_config__.tag), count, msgspec.json.encode(body))


ROW = Events("rows", [msgspec.Raw(b'{"key":"a","value":1}')])


def test_an_entry_moves_the_end_and_the_time() -> None:
    state = fold()
    state.replay(entry(1, ROW, at_us=50))
    assert (state.end, state.at_us) == (2, 50)
    assert state.context.tables["rows"].rows == {"a": Row("a", 1)}


def test_an_entry_without_records_moves_them_too() -> None:
    state = fold()
    state.replay(entry(1, Events("rows", [], "tower", 7)))
    assert (state.end, state.positions) == (2, {"tower": 7})


def test_an_event_wakes_who_waits_for_it() -> None:
    state = fold()
    state.replay(entry(1, Events("events", [msgspec.Raw(b'{"key":"a"}'), msgspec.Raw(b'{"key":"b"}')]), 2))
    assert {key: wake.offset for key, wake in state.books["on_event"].due.items()} == {"a": 1, "b": 2}
    assert state.books["on_row"].due == {}


def test_a_deletion_wakes_nobody_on_a_stream() -> None:
    state = fold()
    state.replay(entry(1, Events("events", [msgspec.Raw(b"null")], keys=["a"])))
    assert state.books["on_event"].due == {}


@pytest.mark.parametrize(
    "body",
    [
        Events("flights", [msgspec.Raw(b"{}")]),
        Events("rows", [msgspec.Raw(b'{"key":7}')]),
        Answered("nobody:a@1", "cafe", 0, msgspec.Raw(b"1")),
        Attempted("nobody:a@1", "nobody", "a", 1, "woken", wake=Wake("rows", 1, 0)),
        Retried(1, "nobody", "a"),
    ],
    ids=lambda body: type(body).__name__,
)
def test_what_does_not_fit_the_app_is_refused(body: Any) -> None:
    with pytest.raises(CorruptionError, match=r"Entry 1 \(\w+\) does not fit this app"):
        fold().replay(entry(1, body))


def test_a_body_that_is_no_body_is_refused() -> None:
    with pytest.raises(CorruptionError, match="does not fit this app"):
        fold().replay(Entry(1, 0, "events", 1, b'{"kind":"rumour"}'))


def test_a_gap_is_refused() -> None:
    with pytest.raises(CorruptionError, match="The log goes on at offset 5, but 1 was expected"):
        fold().replay(entry(5, ROW))


def test_a_turn_that_never_began_is_refused() -> None:
    with pytest.raises(CorruptionError, match="Turn on_row:a@1 goes on in the log but never began"):
        fold().replay(entry(1, Attempted("on_row:a@1", "on_row", "a", 2, "answered")))


def test_a_dead_letter_changes_nothing() -> None:
    state = fold()
    state.replay(entry(1, Dead("rows", "no good")))
    state.replay(entry(2, Retried(1)))
    assert state.end == 3
    assert state.books["on_row"].due == {}
