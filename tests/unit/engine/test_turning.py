"""Turning without a host: a shard is handed time and answers, and gives out calls."""

from __future__ import annotations

import msgspec

from extrovert import App, Record, Turn
from extrovert.engine.intake import Intake
from extrovert.engine.shard import Options, Shard
from extrovert.engine.turning import Turning
from extrovert.turns.request import Reply


class Row(Record):
    key: str
    number: int = 0


def shard() -> tuple[Shard, Turning, Intake]:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)

    @app.agent(wakes_on=rows, concurrency=2)
    async def think(turn: Turn, row: Row) -> None:
        await turn.ask(f"{row.number // 10}?", output=int)

    one = Shard(app.declared().fold(), Options(recheck_us=100))
    return one, Turning(one), Intake(one)


def kinds(one: Shard) -> list[str]:
    return [entry.kind for entry in one.unwritten]


def test_a_due_wake_becomes_a_turn_that_asks() -> None:
    one, turning, intake = shard()
    intake.lines("rows", b'{"key":"a"}')
    turning.step()
    (call,) = one.calls
    assert (call.turn, call.request.about, call.at_us) == ("think:a@1", "0?", 0)
    assert kinds(one) == ["events", "attempted"]


def test_an_answer_makes_it_go_on() -> None:
    one, turning, intake = shard()
    intake.lines("rows", b'{"key":"a"}')
    turning.step()
    turning.answered(one.calls[0], Reply(msgspec.Raw(b"1")))
    assert kinds(one) == ["events", "attempted", "answered", "decided"]
    assert one.fold.running == {}


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    one, turning, intake = shard()
    intake.lines("rows", b'{"key":"a"}')
    turning.step()
    call = one.calls[0]
    turning.answered(call, Reply(msgspec.Raw(b"1")))
    turning.answered(call, Reply(msgspec.Raw(b"2")))
    turning.ask_failed(call, ValueError("no"))
    assert kinds(one).count("answered") == 1


def test_a_change_is_looked_at_when_the_last_look_is_old_enough() -> None:
    one, turning, intake = shard()
    intake.lines("rows", b'{"key":"a"}')
    turning.step()
    one.advance(50)
    intake.lines("rows", b'{"key":"a","number":10}')
    turning.step()
    assert kinds(one).count("attempted") == 1
    assert turning.next_us() == 100
    one.advance(100)
    turning.step()
    assert kinds(one).count("attempted") == 2
    assert [turn for turn, _ in one.cancelled] == ["think:a@1"]
    assert [call.request.about for call in one.calls] == ["0?", "1?"]


def test_only_so_many_turns_run_at_a_time() -> None:
    one, turning, intake = shard()
    intake.lines("rows", b"\n".join(b'{"key":"k%d"}' % number for number in range(5)))
    turning.step()
    assert len(one.fold.running) == 2
    turning.answered(one.calls[0], Reply(msgspec.Raw(b"1")))
    turning.step()
    assert list(one.fold.running) == ["think:k1@2", "think:k2@3"]


def test_with_nothing_to_do_nothing_is_due() -> None:
    _, turning, _ = shard()
    turning.step()
    assert turning.next_us() is None
