"""Deadlines of turns, without a host."""

from __future__ import annotations

from datetime import timedelta

from extrovert import App, Record, Turn
from extrovert.engine.intake import Intake
from extrovert.engine.shard import Options, Shard
from extrovert.engine.turning import Turning
from tests.holding import held


class Row(Record):
    key: str


def test_turns_that_have_ended_take_no_room_while_an_older_one_thinks() -> None:
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)

    @app.agent(wakes_on=rows, deadline=timedelta(days=1))
    async def look(turn: Turn, row: Row) -> None:
        if row.key == "slow":
            await turn.ask("?", output=int)

    shard = Shard(app.declared().fold(), Options())
    turning, intake = Turning(shard), Intake(shard)
    intake.lines("rows", b'{"key":"slow"}')
    before = 0
    turning.step()
    for number in range(2_000):
        shard.advance(1 + number)
        intake.lines("rows", b'{"key":"a"}')
        turning.step()
        shard.unwritten.clear()
        if number == 999:
            before = held(turning, without=(shard,)).objects
    assert held(turning, without=(shard,)).objects < before + 50
