"""The world of a user's tests."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extrovert import App, ExtrovertError, PermanentError, Record, Turn
from extrovert.testing import World
from extrovert.testing.world import START, Written

SECOND = timedelta(seconds=1)
app = App("app")


class Row(Record):
    key: str
    number: int = 0


rows = app.table("rows", Row, key=Row.key)
sums = app.table("sums", Row, key=Row.key)
told = app.stream("told", Row, key=Row.key)


@app.effect
async def send(text: str) -> None:
    raise AssertionError("a test performs nothing")


@app.policy
def one(question: str) -> int:
    return 1


@app.agent(wakes_on=rows, model=one)
async def add(turn: Turn, row: Row) -> None:
    number = await turn.ask(f"add what to {row.number}?", output=int)
    turn.put(sums, Row(row.key, row.number + number))
    turn.emit(told, Row(row.key, number))
    turn.effect(send, f"{row.key}: {number}")


async def test_it_settles_after_what_is_sent(world: World) -> None:
    report = await world.send(rows, Row("a", 5))
    assert report.accepted == 1
    assert sums["a"] == Row("a", 6)


async def test_a_decision_is_shown_with_its_rows_events_and_effects(world: World) -> None:
    await world.send(rows, Row("a", 5))
    decision = await world.decision(add, "a")
    assert decision.writes == [Written("sums", "a", Row("a", 6))]
    assert decision.emits == [("told", Row("a", 1))]
    assert decision.effects == [("send", ["a: 1"])]
    assert (decision.attempts, decision.reruns) == (2, 0)
    assert ("rows", "a") in {(read.of, read.at) for read in decision.reads}


async def test_effects_are_kept_and_not_performed(world: World) -> None:
    await world.send(rows, Row("a"), Row("b"))
    assert world.performed == [("send", ["a: 1"]), ("send", ["b: 1"])]


async def test_answers_can_be_scripted(world: World) -> None:
    def count(asked: str) -> int:
        return len(asked)

    script = world.answer(add, 10, PermanentError("no"), count)
    for key in "abcd":
        await world.send(rows, Row(key))
    assert [sums.get(key) for key in "abcd"] == [Row("a", 10), None, Row("c", 14), Row("d", 14)]
    assert script.asked == ["add what to 0?"] * 4


async def test_a_script_can_take_its_time(world: World) -> None:
    world.answer(add, 10, thinks=3 * SECOND)
    world.hand_in("rows", Row("a"))
    await world.advance(2 * SECOND)
    assert sums.get("a") is None
    assert world.now == START + 2 * SECOND
    await world.settle()
    assert sums["a"] == Row("a", 10)
    assert world.now >= START + 3 * SECOND


async def test_the_latest_decision_is_the_one(world: World) -> None:
    await world.send(rows, Row("a"))
    await world.send(rows, Row("a", 7))
    assert len(world.decisions(add)) == 2
    assert (await world.decision(add, "a")).writes == [Written("sums", "a", Row("a", 8))]


async def test_a_key_that_begins_alike_is_another_one(world: World) -> None:
    await world.send(rows, Row("a@1"))
    with pytest.raises(ExtrovertError, match="Agent `add` has decided nothing about `a`"):
        await world.decision(add, "a")


async def test_where_there_is_no_decision_it_says_why(world: World) -> None:
    with pytest.raises(ExtrovertError, match=r"has decided nothing about `a`\. It has had no turn\."):
        await world.decision(add, "a")
    world.answer(add, PermanentError("no"))
    await world.send(rows, Row("a"))
    with pytest.raises(ExtrovertError, match=r"add:a@1 ended as failed Dead letter: failed: PermanentError: no"):
        await world.decision(add, "a")


def test_what_was_in_force_before_is_not_after() -> None:
    with World(app):
        assert rows.get("a") is None
    with pytest.raises(ExtrovertError):
        rows.get("a")


@pytest.fixture
def other() -> int:
    return 17


async def test_other_fixtures_can_be_used_beside_it(other: int, world: World) -> None:
    await world.send(rows, Row("a", other))
    assert sums["a"].number == 18
