"""An event whose time cannot be believed is a dead letter with its cause, and changes nothing for any other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record, Session, Sliding, Tumbling, Turn, TurnError, when
from extrovert import aggregates as agg
from extrovert.core.time import to_us
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

MINUTE = timedelta(minutes=1)


class Reading(Record):
    sensor: str
    at: datetime
    value: int = 0


class Row(Record):
    sensor: str
    starts_at: datetime
    ends_at: datetime
    most: int


class Pair(Record):
    sensor: str
    values: tuple[int, int]


def house() -> tuple[App, Any]:
    app = App("house")
    readings = app.stream("readings", Reading, key=Reading.sensor)
    ordered: dict[str, Any] = {"key": Reading.sensor, "source": readings, "order_by": Reading.at}
    app.table("history", Reading, history=timedelta(days=7), **ordered)
    app.table("mortal", Reading, ttl=timedelta(days=7), **ordered)
    app.table("latest", Reading, **ordered)
    spans = {"tumbling": Tumbling(MINUTE), "sliding": Sliding(3 * MINUTE, MINUTE), "session": Session(MINUTE)}
    for name, one in spans.items():
        app.window(readings, Row, name=name, at=Reading.at, spans=one, most=agg.max(Reading.value))
    app.pattern(
        "pairs",
        Pair,
        key=Pair.sensor,
        on=[readings],
        match=when(Reading).then(Reading).within(MINUTE),
        make=lambda one, other: Pair(one.sensor, (one.value, other.value)),
        at=Reading.at,
        disorder=timedelta(seconds=5),
    )
    return app, readings


FUTURE = ["2026-01-03T00:00:01Z", "9998-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-12:00"]
ALL = {"table `history`", "table `mortal`", "table `latest`", "window `tumbling`", "window `sliding`",
       "window `session`", "pattern `pairs`"}  # fmt: skip


@pytest.mark.parametrize("wrong", FUTURE)
async def test_a_time_from_the_far_future_moves_nothing(wrong: str) -> None:
    lives: list[Host] = []
    for came in ([], [f'{{"sensor":"s2","at":"{wrong}","value":9}}']):
        app, readings = house()
        host = Host(app, None)
        host.hand_in(readings, Reading("s1", START, 1))
        if came:
            host.engine.intake.lines("readings", "\n".join(came).encode())
        host.hand_in(readings, Reading("s1", START + timedelta(seconds=9), 2), Reading("s2", START, 3))
        history = host.fold.context.tables["history"].history
        assert history is not None
        assert history.look(("s1", to_us(START)))[0] == Reading("s1", START, 1)
        await host.advance(600)
        lives.append(host)
    without, given = lives
    letters = given.dead_letters()
    assert {" ".join(letter.cause.split(":")[0].split()[:2]) for letter in letters} == ALL
    assert all("ahead" in letter.cause or "9998" in letter.cause for letter in letters)
    for name, table in without.fold.context.tables.items():
        assert given.fold.context.tables[name].rows == table.rows, name
    assert picture(replayed(given)) == picture(given.fold)


@pytest.mark.parametrize(
    "early",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_time_long_ago_stops_nothing(early: str, first: bool) -> None:
    app, readings = house()
    host = Host(app, None)
    line = f'{{"sensor":"s2","at":"{early}","value":9}}'.encode()
    if first:
        host.engine.intake.lines("readings", line)
    host.hand_in(readings, Reading("s1", START, 1))
    if not first:
        host.engine.intake.lines("readings", line)
    host.hand_in(readings, Reading("s1", START + timedelta(seconds=1), 2), Reading("s2", START, 3))
    await host.advance(600)
    tables = host.fold.context.tables
    assert tables["tumbling"].rows["s1@2026-01-01T00:00:00Z"].most == 2
    assert tables["tumbling"].rows["s2@2026-01-01T00:00:00Z"].most == 3
    assert tables["latest"].rows["s2"].value == 3
    assert picture(replayed(host)) == picture(host.fold)
    host.fold.context.operators["tumbling"].save()


async def test_what_a_turn_writes_is_held_to_the_same_rule() -> None:
    app = App("house")
    wishes = app.stream("wishes", Reading, key=Reading.sensor)
    kept = app.table("kept", Reading, key=Reading.sensor, order_by=Reading.at, history=timedelta(days=7))
    told: list[str] = []

    @app.agent(wakes_on=wishes)
    async def keep(turn: Turn, wish: Reading) -> None:
        """Keeps what came, if it can."""
        try:
            turn.put(kept, wish)
        except TurnError as error:
            told.append(str(error))

    host = Host(app, None)
    await host.send(wishes, Reading("s1", START + timedelta(days=2)), Reading("s2", START))
    assert list(host.fold.context.tables["kept"].rows) == ["s2"]
    assert len(told) == 1
    assert "further ahead of the engine's than ahead= lets in" in told[0]


async def test_whoever_knows_better_lets_them_in() -> None:
    app = App("house")
    kept = app.table("kept", Reading, key=Reading.sensor, order_by=Reading.at, ahead=None)
    host = Host(app, None)
    await host.send(kept, Reading("s1", START + timedelta(days=2000)))
    assert list(host.fold.context.tables["kept"].rows) == ["s1"]
    with pytest.raises(DeclarationError, match="ahead= is less than nothing"):
        app.table("more", Reading, key=Reading.sensor, order_by=Reading.at, ahead=timedelta(seconds=-1))


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "Infinity", "9223372036854775808", "1" + "0" * 400])
async def test_a_number_beyond_all_bounds_is_a_dead_letter_and_stops_nothing(value: str) -> None:
    app, readings = house()
    host = Host(app, None)
    host.engine.intake.lines("readings", f'{{"sensor":"s1","at":"2026-01-01T00:00:00Z","value":{value}}}'.encode())
    await host.send(readings, Reading("s1", START, 1))
    assert host.dead_letters()
    assert host.fold.context.tables["tumbling"].rows["s1@2026-01-01T00:00:00Z"].most == 1
    assert picture(replayed(host)) == picture(host.fold)
