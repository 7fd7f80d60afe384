"""Late and corrected events of the storm: each decision that they invalidate is told of and put right, over a crash
too; and the auditor, which works it out for itself, sees what is missed.

- F1 to Boston leaves at 11:55, which is heard of at 12:08. At noon it is announced four hours late: Ana and Bob are
  moved to F2, though they sit in F1.
- E1 to Chicago is cancelled at 12:33: Dee and Don are moved to X1, which has left at 12:31, as is heard at 12:41. Dee
  takes the one seat of X2, Don waits.
- G1 to Miami is announced four hours late at noon: Eve is moved to G2, Gil keeps his seat. At 12:10 the announcement
  is corrected: it leaves at 12:40.
- H1 to Denver leaves at 12:20, which is heard of at 12:25, and nobody has decided anything by it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.demos.storm.test_auditor import Forgery, Json, at, thoughtful, wrong

from extrovert.connectors.replay import Replay
from extrovert.core.event import Arrival
from extrovert.core.record import Record
from extrovert.core.time import to_us
from extrovert.demos.storm import app as storm
from extrovert.demos.storm import correction_auditor
from extrovert.demos.storm.network import network
from extrovert.demos.storm.records import (
    Booking,
    Cancelled,
    Customer,
    Delayed,
    Departed,
    Destination,
    FlightEvent,
    Scheduled,
)
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore

FLIGHTS = (  # flight, destination, departs, arrives, seats
    ("F1", "BOS", "10:00", "12:00", 2),
    ("F2", "BOS", "13:00", "15:00", 2),
    ("E1", "ORD", "15:00", "18:00", 2),
    ("X1", "ORD", "12:00", "15:00", 2),
    ("X2", "ORD", "16:00", "19:00", 1),
    ("G1", "MIA", "10:00", "13:00", 2),
    ("G2", "MIA", "13:30", "16:30", 1),
    ("H1", "DEN", "12:20", "16:00", 1),
)
PASSENGERS = (("Ana", "F1"), ("Bob", "F1"), ("Dee", "E1"), ("Eve", "G1"), ("Gil", "G1"), ("Don", "E1"))
HEARD: tuple[tuple[str, FlightEvent], ...] = (
    ("12:00", Delayed("F1", at("12:00"), at("14:00"), at("16:00"))),
    ("12:00", Delayed("G1", at("12:00"), at("14:00"), at("17:00"))),
    ("12:08", Departed("F1", at("11:55"))),
    ("12:10", Delayed("G1", at("12:00"), at("12:40"), at("15:40"))),
    ("12:25", Departed("H1", at("12:20"))),
    ("12:30", Delayed("X1", at("12:30"), at("13:00"), at("16:00"))),
    ("12:33", Cancelled("E1")),
    ("12:40", Departed("G1", at("12:40"))),
    ("12:41", Departed("X1", at("12:31"))),
    ("13:00", Departed("F2", at("13:00"))),
    ("13:30", Departed("G2", at("13:30"))),
    ("16:00", Departed("X2", at("16:00"))),
)
AFTER_F1 = to_us(at("12:07"))


def arrivals() -> Iterator[Arrival]:
    def come(time: str, stream: str, data: Record) -> Arrival:
        return Arrival(to_us(at(time)), stream, data)

    bound = {flight: destination for flight, destination, *_ in FLIGHTS}
    for code in dict.fromkeys(bound.values()):
        yield come("09:00", "destinations", Destination(code))
    for number, (flight, destination, departs, arrives, seats) in enumerate(FLIGHTS):
        scheduled = Scheduled(flight, "XX", number, "JFK", destination, at(departs), at(arrives), seats)
        yield come("09:00", "flight_events", scheduled)
    for tier, (name, flight) in enumerate(PASSENGERS, start=1):
        yield come("09:00", "customers", Customer(f"C-{name}", name, tier, "JFK"))
        yield come("09:00", "bookings", Booking(name, f"C-{name}", flight, bound[flight], tier))
    for time, event in HEARD:
        yield come(time, "flight_events", event)


async def run(directory: Path, *, crash_at_us: int | None = None, **settings: object) -> None:
    """Runs the small storm until nothing is due; with a crash, an engine begins it and another goes on."""
    source = Replay("storm", arrivals)
    declared = msgspec.structs.replace(storm.app.declared(), sources=[source], answerers=thoughtful, strict_shards=True)
    network.open(directory / "messages.jsonl")
    for until in ("idle",) if crash_at_us is None else (crash_at_us, "idle"):
        store = SqliteStore(directory / "log.sqlite", durability="os")
        engine = Engine(declared, store, VirtualClock(), Settings(seed=1, **settings))  # pyright: ignore[reportArgumentType]
        engine.start()
        await engine.run(until=until)  # pyright: ignore[reportArgumentType]
        if until == "idle":
            await engine.close()
        store.close()
    network.close()


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("corrected")
    asyncio.run(run(directory))
    return directory


@pytest.fixture
def forgery(a_run: Path, tmp_path: Path) -> Forgery:
    return Forgery(shutil.copytree(a_run, tmp_path / "forged"))


def booked(log: Forgery) -> dict[str, list[tuple[str, str]]]:
    """Where each passenger was put, one decision after another."""
    found: dict[str, list[tuple[str, str]]] = {}
    for _, body in log.entries("decided"):
        for write in body.get("writes", ()):
            found.setdefault(write["key"], []).append((write["row"]["flight_id"], write["row"]["status"]))
    return found


def counted(directory: Path) -> dict[str, int]:
    return {row: count for row, count in correction_auditor.audit(directory).counts.items() if count}


ALL = {"late_events": 3, "corrected_events": 1, "invalidated": 6}


def test_what_was_decided_by_what_was_not_so_is_put_right(forgery: Forgery) -> None:
    assert booked(forgery) == {
        "Ana": [("F2", "booked"), ("F1", "flown")],
        "Bob": [("F2", "booked"), ("F1", "flown")],
        "Dee": [("X1", "booked"), ("X1", "missed"), ("X2", "booked")],
        "Don": [("X1", "booked"), ("X1", "missed"), ("X1", "waiting")],
        "Eve": [("G2", "booked"), ("G1", "booked")],
        "Gil": [("G1", "late"), ("G1", "booked")],
    }
    assert forgery.entries("dead") == []


def test_who_misses_a_flight_is_told_what_comes_of_it(forgery: Forgery) -> None:
    texts = [json.loads(line)["text"] for line in forgery.messages()]
    assert [text for text in texts if text.startswith("D")][2:] == [
        "Dee: you have a seat on X2 to ORD, leaving at 16:00 UTC.",
        "Don: X1 will not take you to ORD, and no seat is free. We keep looking.",
    ]


def test_who_keeps_or_gets_back_the_first_seat_is_told(forgery: Forgery) -> None:
    texts = [json.loads(line)["text"] for line in forgery.messages()]
    assert [text for text in texts if "12:40" in text] == [
        "Eve: you have a seat on G1 to MIA, leaving at 12:40 UTC.",
        "Gil: G1 is expected to leave at 12:40 UTC. You keep your seat.",
    ]


def test_nothing_is_missed_and_each_decision_is_told_of(a_run: Path) -> None:
    assert wrong(a_run) == {}
    assert counted(a_run) == ALL


def test_it_is_the_same_over_a_crash_between_a_decision_and_what_is_heard_late(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, crash_at_us=AFTER_F1))
    assert wrong(tmp_path) == {}
    assert counted(tmp_path) == ALL


def test_agents_that_read_a_copy_are_told_too(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, validate=False, refresh_us=300_000_000))
    found = counted(tmp_path)
    assert found["invalidated"] > 0
    assert "corrections_missed" not in found


# ---- what the auditor sees

Fault = Callable[[Forgery], None]


def told_of(log: Forgery, name: str) -> tuple[int, Json]:
    return next(pair for pair in log.entries("invalidated") if pair[1]["key"] == name)


def it_was_not_told(log: Forgery) -> None:
    log.remove(told_of(log, "Ana")[0])


def another_was_told(log: Forgery) -> None:
    offset, body = told_of(log, "Ana")
    log.rewrite(offset, body | {"turn": log.decision("rebook", "Eve")[1]["turn"]})


def of_another_row(log: Forgery) -> None:
    offset, body = told_of(log, "Gil")
    body["rows"][0]["new"]["departs_at"] = "2013-02-08T12:50:00Z"
    log.rewrite(offset, body)


def as_of_another_time(log: Forgery) -> None:
    offset, body = told_of(log, "Ana")
    body["rows"][0]["as_of_us"] -= 1
    log.rewrite(offset, body)


def of_what_is_no_correction(log: Forgery) -> None:
    """X1 has left when it was heard, so that Dee and Don were right to be moved to it."""
    for offset, body in log.entries("events"):
        for event in body["data"]:
            if event and event.get("departed_at") == "2013-02-08T12:31:00Z":
                event["departed_at"] = "2013-02-08T12:41:00Z"
        log.rewrite(offset, body)


def nobody_saw_to_it(log: Forgery) -> None:
    log.remove(log.decision("put_right", "Gil")[0])


@pytest.mark.parametrize(
    ("fault", "missed"),
    [
        (it_was_not_told, 1),
        (another_was_told, 2),
        (of_another_row, 1),
        (as_of_another_time, 2),
        (of_what_is_no_correction, 2),
        (nobody_saw_to_it, 1),
    ],
)
def test_the_auditor_sees_a_correction_that_was_missed_or_is_none(fault: Fault, missed: int, forgery: Forgery) -> None:
    fault(forgery)
    assert counted(forgery.directory)["corrections_missed"] == missed


def test_the_auditor_sees_who_sits_in_a_plane_and_is_said_not_to(forgery: Forgery) -> None:
    forgery.remove(forgery.decision("put_right", "Ana")[0])
    assert counted(forgery.directory) == ALL | {"corrections_missed": 1, "left_behind": 1}


def test_the_auditor_sees_who_is_said_to_sit_in_a_plane_and_does_not(forgery: Forgery) -> None:
    forgery.remove(forgery.decision("put_right", "Dee")[0], forgery.decision("rebook", "Dee", -1)[0])
    assert counted(forgery.directory) == ALL | {"corrections_missed": 1, "left_behind": 1}


def test_the_auditor_sees_a_read_of_the_past_that_was_not_what_was_known(forgery: Forgery) -> None:
    offset, body = forgery.decision("rebook", "Dee")
    next(note for note in body["reads"] if note["kind"] == "as_of")["version"] = 1
    forgery.rewrite(offset, body)
    assert counted(forgery.directory) == ALL | {"stale_as_of": 1}


def test_it_prints_one_json_object(a_run: Path) -> None:
    command = [sys.executable, "-I", correction_auditor.__file__, str(a_run), "--examples", "3"]
    done = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert done == dict.fromkeys(correction_auditor.ROWS, 0) | ALL | {"examples": []}
