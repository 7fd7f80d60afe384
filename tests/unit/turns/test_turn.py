"""What a turn may change, and what it says where it may not."""

from __future__ import annotations

from typing import Any

import pytest

from extrovert import App, Record, Turn, TurnError
from extrovert.context.live import LiveContext
from extrovert.context.reads import reading
from extrovert.turns.scope import TurnScope


class Row(Record):
    key: str
    value: float = 0


app = App("app")
rows = app.table("rows", Row, key=Row.key)
events = app.stream("events", Row, key=Row.key)


@app.effect
async def send(text: str) -> None: ...


@app.agent(wakes_on=rows)
async def agent(turn: Turn, row: Row) -> None:
    """What it is told to do."""


@pytest.fixture
def turn() -> Turn:
    scope = TurnScope(LiveContext(app.declared().tables, []), "the test")
    return Turn("agent:k@1", agent, "k", scope, events=[], started_us=5, seed=0, answers={}, refusals={})


def test_it_knows_who_and_what_it_is(turn: Turn) -> None:
    assert (turn.id, turn.agent, turn.key) == ("agent:k@1", "agent", "k")
    assert turn.instructions == "What it is told to do."


@pytest.mark.parametrize("row", [Row("k", float("nan")), Row("k", float("inf")), Row(17), Row("k", "x"), "k", None])  # pyright: ignore[reportArgumentType]
def test_what_would_not_come_back_from_the_log_is_an_error_where_it_is_put(turn: Turn, row: Any) -> None:
    with pytest.raises(TurnError, match="Agent `agent` gave table `rows` a record that it cannot hold"):
        turn.put(rows, row)
    with pytest.raises(TurnError, match="Agent `agent` gave stream `events` a record that it cannot hold"):
        turn.emit(events, row)
    assert turn.staged.emitted == []


def test_effects_are_kept_with_their_arguments(turn: Turn) -> None:
    turn.effect(send, "hello")
    assert [(one.effect.name, one.args) for one in turn.staged.intended] == [("send", b'["hello"]')]


def test_an_effects_arguments_are_given_in_order(turn: Turn) -> None:
    with pytest.raises(TurnError, match="Effect `send` was given named arguments; give them in order"):
        turn.effect(send, text="hello")


def test_what_json_cannot_hold_is_no_argument(turn: Turn) -> None:
    with pytest.raises(TypeError, match="unsupported"):
        turn.effect(send, object())  # pyright: ignore[reportArgumentType]


def test_its_chance_hangs_on_the_seed_and_the_turn(turn: Turn) -> None:
    scope = TurnScope(LiveContext([], []), "the test")
    same = Turn("agent:k@1", agent, "k", scope, events=[], started_us=9, seed=0, answers={}, refusals={})
    other = Turn("agent:k@2", agent, "k", scope, events=[], started_us=5, seed=0, answers={}, refusals={})
    draws = [turn.chance(), turn.chance()]
    assert [same.chance(), same.chance()] == draws
    assert other.chance() not in draws


def test_a_deleted_row_is_gone_for_the_turn(turn: Turn) -> None:
    turn.put(rows, Row("k"))
    turn.delete(rows, "k")
    with reading(turn._scope):  # pyright: ignore[reportPrivateUsage]
        assert rows.get("k") is None
