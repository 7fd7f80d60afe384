"""What comes in and is no good becomes a dead letter with its cause; what is good beside it is applied."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from extrovert import App, Arrival, DeclarationError, Record, Turn
from extrovert.connectors.replay import Replay
from extrovert.core.keys import MAX_KEY
from extrovert.core.log import Dead
from extrovert.core.time import to_us
from extrovert.engine.intake import MAX_LINE
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.airline import Flight


class Departure(Record):
    flight_id: str
    gate: Annotated[int, msgspec.Meta(ge=1, le=99)]
    at: datetime | None = None


app = App("airline")
departures = app.table("departures", Departure, key=Departure.flight_id)

BAD = {
    "truncated": (b'{"flight_id":"F1","gate"', "Input data was truncated"),
    "malformed": (b"{'flight_id': 'F1'}", "JSON is malformed: object keys must be strings (byte 1)"),
    "not a record": (b"17", "Expected `object`, got `int`"),
    "null": (b"null", "Expected `object`, got `null`"),
    "a field missing": (b'{"flight_id":"F1"}', "Object missing required field `gate`"),
    "mistyped": (b'{"flight_id":"F1","gate":"one"}', "Expected `int`, got `str` - at `$.gate`"),
    "out of range": (b'{"flight_id":"F1","gate":100}', "Expected `int` <= 99 - at `$.gate`"),
    "two on a line": (
        b'{"flight_id":"F1","gate":1} {"flight_id":"F2","gate":1}',
        "JSON is malformed: trailing characters (byte 29)",
    ),
    "no UTF-8": (b'{"flight_id":"F\xff","gate":1}', "not UTF-8: invalid start byte at byte 15"),
    "an empty key": (
        b'{"flight_id":"","gate":1}',
        f"the key `flight_id` must be a whole number or 1 to {MAX_KEY} characters of text",
    ),
    "a time without a zone": (
        b'{"flight_id":"F1","gate":1,"at":"2026-01-01T12:00:00"}',
        "`at` is 2026-01-01T12:00:00, without a time zone; add Z or an offset",
    ),
    "too deep": (b'{"flight_id":"F1","gate":1,"x":%b}' % (b"[" * 5000 + b"]" * 5000), ""),  # each Python has its limit
}


def good(number: int) -> bytes:
    return b'{"flight_id":"G%d","gate":%d}' % (number, number)


@pytest.mark.parametrize("name", sorted(BAD))
async def test_a_bad_line_is_kept_with_its_cause_and_its_number(world: World, name: str) -> None:
    line, cause = BAD[name]
    report = world.engine.intake.lines("departures", b"\n".join([good(1), line, good(2)]), source="desk")
    assert report.accepted == 2
    assert [number for number, _ in report.rejected] == [2]
    (letter,) = world.dead_letters()
    assert cause in letter.cause
    assert (letter.stream, letter.source, letter.line) == ("departures", "desk", 2)
    raw = letter.raw.encode() if letter.encoding == "utf-8" else b64decode(letter.raw)
    assert raw == line
    assert {row.flight_id for row in departures.all()} == {"G1", "G2"}


async def test_a_line_that_is_too_long_is_refused(world: World) -> None:
    line = b'{"flight_id":"F1","gate":1,"remark":"%b"}' % (b"x" * MAX_LINE)
    report = world.engine.intake.lines("departures", good(1) + b"\n" + line)
    assert report.accepted == 1
    assert report.rejected == [(2, f"the line is {len(line):,} bytes long; at most 1,048,576 are taken")]


async def test_a_key_that_is_too_long_is_refused(world: World) -> None:
    key = b"F" * (MAX_KEY + 1)
    report = world.engine.intake.lines("departures", b'{"flight_id":"%b","gate":1}' % key)
    assert report.accepted == 0


async def test_a_record_that_is_spread_over_lines_is_no_record(world: World) -> None:
    """It must not pass for one because another line holds two: the log keeps lines as they came."""
    text = b'{"flight_id":"F1","gate":1} {"flight_id":"F2","gate":2}\n{"flight_id":"F3",\n"gate":3}'
    report = world.engine.intake.lines("departures", text)
    assert report.accepted == 0
    assert [number for number, _ in report.rejected] == [1, 2, 3]


async def test_blank_lines_count_and_are_passed_over(world: World) -> None:
    report = world.engine.intake.lines("departures", b"\n" + good(1) + b"\n\n  \n" + b"no\n" + good(2) + b"\n\n")
    assert report.accepted == 2
    assert [number for number, _ in report.rejected] == [5]


async def test_good_lines_are_applied_in_order_around_the_bad_ones(world: World) -> None:
    lines = [b'{"flight_id":"F1","gate":%d}' % gate for gate in (1, 2, 100, 3, 101, 4)]
    world.engine.intake.lines("departures", b"\n".join(lines))
    assert departures["F1"].gate == 4
    world.engine.writing.flush()
    assert [entry.kind for entry in world.store.entries()] == ["events", "dead", "events", "dead", "events"]


async def test_lines_with_carriage_returns_are_taken(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    assert host.engine.intake.lines("departures", good(1) + b"\r\n" + good(2) + b"\r\n").accepted == 2
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_hundred_bad_lines_are_each_kept(world: World) -> None:
    lines = [bad for bad, _ in BAD.values()] * 10
    mixed = [line for number, bad in enumerate(lines) for line in (bad, good(number % 99 + 1))]
    report = world.engine.intake.lines("departures", b"\n".join(mixed))
    assert report.accepted == len(lines)
    assert len(world.dead_letters()) == len(lines)
    assert [number for number, _ in report.rejected] == list(range(1, 2 * len(lines), 2))


async def test_what_a_fold_cannot_take_stays_in_the_log_and_is_a_dead_letter(tmp_path: Path) -> None:
    app = App("airline")
    delays = app.stream("delays", Flight, key=Flight.flight_id)

    def fold(row: Flight | None, event: Flight) -> Flight | None:
        if event.delay_minutes < 0:
            raise ValueError("time does not go back")
        if event.delay_minutes == 99:
            return event.but(flight_id="another")
        return event

    flights = app.table("flights", Flight, key=Flight.flight_id, source=delays, fold=fold)
    host = Host(app, tmp_path / "log")
    host.hand_in(delays, Flight("F1"), Flight("F2", delay_minutes=-5), Flight("F3", delay_minutes=99), Flight("F4"))
    letters = host.dead_letters()
    assert [(letter.event, json.loads(letter.raw)["flight_id"]) for letter in letters] == [(2, "F2"), (3, "F3")]
    assert letters[0].cause == "table `flights`: ValueError: time does not go back"
    assert "its fold made Flight(flight_id='another'" in letters[1].cause
    assert list(host.fold.context.tables["flights"].rows) == ["F1", "F4"]
    assert host.row(flights, "F2") is None
    assert picture(replayed(host)) == picture(host.fold)


async def test_what_a_turn_emits_and_a_fold_cannot_take_is_a_dead_letter_too(tmp_path: Path) -> None:
    app = App("airline")
    delays = app.stream("delays", Flight, key=Flight.flight_id)
    wishes = app.stream("wishes", Flight, key=Flight.flight_id)

    def fold(row: Flight | None, event: Flight) -> Flight | None:
        if event.delay_minutes < 0:
            raise ValueError("time does not go back")
        return event

    app.table("flights", Flight, key=Flight.flight_id, source=delays, fold=fold)

    @app.agent(wakes_on=wishes)
    async def wish(turn: Turn, flight: Flight) -> None:
        turn.emit(delays, Flight("F1"))
        turn.emit(delays, flight)

    host = Host(app, tmp_path / "log")
    await host.send(wishes, Flight("F2", delay_minutes=-5))
    (letter,) = host.dead_letters()
    assert letter == Dead(
        "delays",
        "table `flights`: ValueError: time does not go back",
        raw='{"flight_id":"F2","destination":"ORD","delay_minutes":-5,"cancelled":false}',
        event=4,
    )
    assert list(host.fold.context.tables["flights"].rows) == ["F1"]
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_source_that_hands_over_something_else_is_heard_out(tmp_path: Path) -> None:
    app = App("airline")
    departures = app.table("departures", Departure, key=Departure.flight_id)
    begin_us = to_us(START)
    arrivals = [
        Arrival(begin_us, "departures", Departure("F1", 1)),
        Arrival(begin_us, "departures", Departure("", 1)),
        Arrival(begin_us, "departures", msgspec.structs.replace(Departure("F2", 1), at=datetime(2026, 1, 1))),  # noqa: DTZ001
        Arrival(begin_us, "departures", Departure("F3", 1)),
    ]
    app.source(Replay("desk", lambda: iter(arrivals)))
    host = Host(app, tmp_path / "log")
    await host.settle()
    assert list(host.fold.context.tables["departures"].rows) == ["F1", "F3"]
    assert [letter.source for letter in host.dead_letters()] == ["desk", "desk"]
    assert host.fold.positions == {"desk": 4}
    assert host.row(departures, "F1") == Departure("F1", 1)


def test_a_stream_that_is_not_there_is_named_with_those_that_are() -> None:
    with World(app) as world, pytest.raises(DeclarationError, match=r"no stream `flights`. This app has: departures."):
        world.engine.intake.lines("flights", b"{}")
