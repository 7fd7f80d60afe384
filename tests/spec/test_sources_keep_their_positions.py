"""Sources keep their positions in the log: a restart neither loses nor repeats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Arrival, Record
from extrovert.connectors.replay import Replay
from extrovert.core.log import Events
from extrovert.core.time import to_us
from extrovert.testing.world import START
from tests.hosts import Host
from tests.spec.airline import Flight

BEGIN_US = to_us(START)
app = App("airline")
events = app.stream("events", Flight, key=Flight.flight_id)
flights = app.table("flights", Flight, key=Flight.flight_id, source=events)


def announced() -> Iterator[Arrival]:
    """Twenty delays of four flights, a second apart; the fifth is no good, and the ninth deletes a flight."""
    for number in range(20):
        flight_id = "" if number == 4 else f"F{number % 4}"
        data = None if number == 8 else Flight(flight_id, delay_minutes=number)
        yield Arrival(BEGIN_US + number * 1_000_000, "events", data, flight_id)


app.source(Replay("tower", announced))


def delays(host: Host) -> list[int]:
    """What came in, in order of the log; a deletion is -1."""
    found: list[int] = []
    for batch in host.bodies(Events):
        assert batch.source == "tower"
        records = [msgspec.json.decode(raw, type=Flight | None) for raw in batch.data]
        found += [-1 if record is None else record.delay_minutes for record in records]
    return found


ALL = [0, 1, 2, 3, 5, 6, 7, -1, *range(9, 20)]


async def test_each_event_comes_once_and_in_order(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    await host.settle()
    assert delays(host) == ALL


@pytest.mark.parametrize("after", range(0, 20, 3))
@pytest.mark.parametrize("durable", [True, False])
async def test_a_crash_neither_loses_nor_repeats(tmp_path: Path, after: int, durable: bool) -> None:
    host = Host(app, tmp_path / "log")
    await host.advance(after)
    if durable:
        host.flush()
    host.crash()
    await host.settle()
    assert delays(host) == ALL
    assert host.fold.positions == {"tower": 20}


async def test_a_clean_stop_neither_loses_nor_repeats(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    for _ in range(5):
        await host.advance(3)
        await host.stop()
        host.begin()
    await host.settle()
    assert delays(host) == ALL


async def test_a_bad_event_counts_as_read_though_it_is_alone(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    await host.advance(4.5)
    assert host.fold.positions == {"tower": 5}
    assert [letter.cause for letter in host.dead_letters()] == [
        "the key `flight_id` must be a whole number or 1 to 512 characters of text"
    ]
    host.crash()
    await host.settle()
    assert len(host.dead_letters()) == 1


async def test_a_deletion_deletes_its_row(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    await host.advance(8.5)
    assert host.row(flights, "F0") is None
    await host.settle()
    assert host.row(flights, "F0") == Flight("F0", delay_minutes=16)


async def test_a_record_that_the_log_could_not_give_back_is_a_dead_letter(tmp_path: Path) -> None:
    class Heat(Record):
        place: str
        celsius: float

    made = App("heat")
    heats = made.table("heats", Heat, key=Heat.place)
    wrong: Any = "hot"
    arrivals = [Heat("a", 1.0), Heat("b", float("nan")), Heat("c", wrong), Heat("d", 2.0)]
    made.source(Replay("probe", lambda: iter([Arrival(to_us(START), "heats", heat) for heat in arrivals])))
    host = Host(made, tmp_path / "log")
    await host.settle()
    assert sorted(host.fold.context.tables[heats.name].rows) == ["a", "d"]
    assert [letter.cause for letter in host.dead_letters()] == [
        "not a record of this stream: Expected `float`, got `null` - at `$.celsius`",
        "not a record of this stream: Expected `float`, got `str` - at `$.celsius`",
    ]
    host.crash()
    assert sorted(host.fold.context.tables[heats.name].rows) == ["a", "d"]
