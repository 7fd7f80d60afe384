"""The auditor finds nothing wrong with a small storm, and each fault that is planted in its log, in the right row.

The storm, with one second of thought for each answer:

- F1 to Boston is cancelled: Ana takes the last seat of F2, Ben that of F3, and Cem waits until Dee of F2 gives up.
- F4 to Chicago is late: Flo takes the one seat of F5, Gus keeps his, and flies late.
- F6 to Miami is cancelled: Hal waits for good. F7 to Denver is cancelled: Ina is moved to F8, and gives up before she
  is told. F9 to Seattle leaves on another day, with Jon. F0 has left, with nobody.
"""

from __future__ import annotations

import ast
import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert.connectors.replay import Replay
from extrovert.core.event import Arrival
from extrovert.core.record import Record
from extrovert.core.time import to_us
from extrovert.demos.storm import app as storm
from extrovert.demos.storm import auditor
from extrovert.demos.storm.network import network
from extrovert.demos.storm.records import (
    Arrived,
    Booking,
    Cancelled,
    Customer,
    Delayed,
    Departed,
    Destination,
    Scheduled,
)
from extrovert.demos.storm.summary import Audit
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.models.policy import PolicyModel
from extrovert.stores.sqlite import SqliteStore
from extrovert.turns.declare import Policy, Thinking

Json = dict[str, Any]
PROGRAM = Path(auditor.__file__)
FLIGHTS = (  # flight, destination, origin, departs, arrives, seats
    ("F0", "SEA", "JFK", "12:30", "18:00", 2),
    ("F1", "BOS", "JFK", "15:00", "16:00", 3),
    ("F2", "BOS", "JFK", "16:00", "17:00", 2),
    ("F3", "BOS", "EWR", "17:00", "18:00", 2),
    ("F4", "ORD", "JFK", "15:00", "17:00", 2),
    ("F5", "ORD", "JFK", "16:00", "18:00", 1),
    ("F6", "MIA", "JFK", "15:00", "18:00", 2),
    ("F7", "DEN", "JFK", "15:00", "18:00", 1),
    ("F8", "DEN", "JFK", "16:00", "19:00", 1),
    ("F9", "SEA", "JFK", "47:00", "53:00", 2),
)
PASSENGERS = (  # name, flight, tier
    ("Ana", "F1", 1),
    ("Ben", "F1", 2),
    ("Cem", "F1", 3),
    ("Dee", "F2", 3),
    ("Eva", "F3", 3),
    ("Flo", "F4", 1),
    ("Gus", "F4", 2),
    ("Hal", "F6", 3),
    ("Ina", "F7", 3),
    ("Jon", "F9", 3),
)


def at(time: str) -> datetime:
    """The time of day, in hours that may go past midnight."""
    hours, minutes = time.split(":")
    return datetime(2013, 2, 8, tzinfo=UTC) + timedelta(hours=int(hours), minutes=float(minutes))


def arrivals() -> Iterator[Arrival]:
    def come(time: str, stream: str, data: Record | None, key: str = "") -> Arrival:
        return Arrival(to_us(at(time)), stream, data, key)

    bound = {flight: destination for flight, destination, *_ in FLIGHTS}
    for code in dict.fromkeys(bound.values()):
        yield come("12:00", "destinations", Destination(code))
    for number, (flight, destination, origin, departs, arrives, seats) in enumerate(FLIGHTS):
        scheduled = Scheduled(flight, "XX", number, origin, destination, at(departs), at(arrives), seats)
        yield come("12:00", "flight_events", scheduled)
    for name, flight, tier in PASSENGERS:
        yield come("12:00", "customers", Customer(f"C-{name}", name, tier, "JFK"))
        yield come("12:00", "bookings", Booking(name, f"C-{name}", flight, bound[flight], tier))
    yield come("12:30", "flight_events", Departed("F0", at("12:30")))
    yield come("12:30", "customers", Customer("C-Hal", "Hal", 3, "JFK"))  # once more, the same
    for flight in ("F1", "F6", "F7"):
        yield come("13:00", "flight_events", Cancelled(flight))
    yield come("13:00.025", "bookings", None, "Ina")
    yield come("14:00", "flight_events", Delayed("F4", at("14:00"), at("18:30"), at("20:30")))
    yield come("14:10", "bookings", None, "Dee")
    for time, flight in (("16:00", "F2"), ("16:00", "F5"), ("16:00", "F8"), ("17:00", "F3"), ("17:30", "F4")):
        yield come(time, "flight_events", Departed(flight, at(time)))
    yield come("19:00", "flight_events", Arrived("F8", at("19:00"), diverted=False))


def thoughtful(seed: int) -> dict[str, Any]:
    """The app's policies, which think for exactly a second."""
    second = Thinking(timedelta(seconds=1), sigma=0)
    policies: tuple[Policy[Any], ...] = (storm.earliest, storm.wording)
    found = {
        f"policy:{one.name}": PolicyModel(
            Policy(one.name, one.function, facts=one.facts, sees_refusals=False, thinks=second), seed
        )
        for one in policies
    }
    return found | {"model:writer": found["policy:wording"], "policy:form": PolicyModel(storm.form, seed)}


async def run(directory: Path, settings: Settings) -> None:
    """Runs the small storm in virtual time until nothing is due."""
    source = Replay("storm", arrivals)
    declared = msgspec.structs.replace(storm.app.declared(), sources=[source], answerers=thoughtful, strict_shards=True)
    store = SqliteStore(directory / "log.sqlite", durability="os")
    network.open(directory / "messages.jsonl")
    engine = Engine(declared, store, VirtualClock(), settings)
    engine.start()
    await engine.run(until="idle")
    await engine.close()
    store.close()
    network.close()


class Forgery:
    """A run's directory whose log can be changed behind the engine's back."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _log(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.directory / "log.sqlite", isolation_level=None)) as log:
            return log.execute(statement, values).fetchall()

    def entries(self, kind: str) -> list[tuple[int, Json]]:
        """The offsets and bodies of one kind."""
        found = self._log("SELECT offset, body FROM log WHERE kind = ? ORDER BY offset", kind)
        return [(offset, json.loads(body)) for offset, body in found]

    def decision(self, agent: str, key: str, number: int = 0) -> tuple[int, Json]:
        found = [
            (offset, body) for offset, body in self.entries("decided") if (body["agent"], body["key"]) == (agent, key)
        ]
        return found[number]

    def attempt(self, decision: Json) -> tuple[int, Json]:
        """The attempt whose ask the decision used the answer to."""
        answers = dict(self.entries("answered"))
        wanted = answers[decision["answers"][0]]["hash"]
        attempts = [(offset, body) for offset, body in self.entries("attempted") if offset in decision["trail"]]
        return next(pair for pair in attempts if any(ask["hash"] == wanted for ask in pair[1].get("asks", ())))

    def rewrite(self, offset: int, body: Json) -> None:
        self._log("UPDATE log SET body = ? WHERE offset = ?", json.dumps(body, separators=(",", ":")).encode(), offset)

    def remove(self, *offsets: int) -> None:
        for offset in offsets:
            self._log("DELETE FROM log WHERE offset = ?", offset)

    def append(self, body: Json) -> None:
        """An entry at the end of the log."""
        self._log(
            "INSERT INTO log (offset, count, at_us, kind, wall_us, body) "
            "SELECT max(offset) + 100, 1, max(at_us), ?, 0, ? FROM log",
            body["kind"],
            json.dumps(body).encode(),
        )

    def step(self, key: str, state: str, *instead: Json) -> None:
        """Puts others in the place of the step that brought an effect to `state`."""
        for offset, body in self.entries("effects"):
            moves = [
                (instead if one.items() >= {"key": key, "state": state}.items() else (one,)) for one in body["moves"]
            ]
            self.rewrite(offset, {**body, "moves": [{"key": key, **one} for some in moves for one in some]})

    def messages(self) -> list[bytes]:
        return (self.directory / "messages.jsonl").read_bytes().splitlines(keepends=True)

    def deliver(self, lines: list[bytes]) -> None:
        (self.directory / "messages.jsonl").write_bytes(b"".join(lines))


def wrong(directory: Path) -> dict[str, int]:
    """What the auditor counts, without the rows that are zero."""
    return {row: count for row, count in auditor.audit(directory).counts.items() if count}


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("storm")
    asyncio.run(run(directory, Settings(seed=1)))
    return directory


@pytest.fixture
def forgery(a_run: Path, tmp_path: Path) -> Forgery:
    return Forgery(shutil.copytree(a_run, tmp_path / "forged"))


def test_the_small_storm_is_as_described(forgery: Forgery) -> None:
    booked: dict[str, tuple[str, str]] = {}
    for _, body in forgery.entries("decided"):
        for write in body.get("writes", ()):
            booked[write["key"]] = write["row"]["flight_id"], write["row"]["status"]
    assert booked == {
        "Ana": ("F2", "booked"),
        "Ben": ("F3", "booked"),
        "Cem": ("F2", "booked"),
        "Flo": ("F5", "booked"),
        "Gus": ("F4", "flown"),
        "Hal": ("F6", "waiting"),
        "Ina": ("F8", "booked"),
    }
    told = sorted(json.loads(line)["to"] for line in forgery.messages())
    assert told == ["C-Ana", "C-Ben", "C-Cem", "C-Cem", "C-Flo", "C-Gus", "C-Hal"]


def test_a_live_run_has_nothing_wrong(a_run: Path) -> None:
    assert wrong(a_run) == {}


def test_a_run_on_a_copy_has(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, Settings(seed=1, validate=False, refresh_us=300_000_000)))
    found = wrong(tmp_path)
    assert found["oversold_seats"] == 2  # Ana, Ben and Cem all take the last seat of F2
    assert found["stale_decisions"] > 0


# ---- decisions on what was not true

Fault = Callable[[Forgery], None]


def reading(kind: str, of: str, at: Any, version: Any) -> Fault:
    """The decision to call Cem, who is the only one to wait for a flight to Boston, has one read more."""

    def plant(log: Forgery) -> None:
        offset, body = log.decision("usher", "BOS")
        body["reads"].append({"kind": kind, "of": of, "at": at, "version": version})
        log.rewrite(offset, body)

    return plant


def noting(agent: str, key: str, of: str, version: Callable[[int], int]) -> Fault:
    """Another version in a note of what a decision read."""

    def plant(log: Forgery) -> None:
        offset, body = log.decision(agent, key)
        note = next(one for one in body["reads"] if one["of"] == of)
        note["version"] = version(note["version"])
        log.rewrite(offset, body)

    return plant


def asking(agent: str, name: str, value: Any) -> Fault:
    """Another fact in what was asked for Flo; what followed from it stays as it was."""

    def plant(log: Forgery) -> None:
        offset, body = log.attempt(log.decision(agent, "Flo")[1])
        body["asks"][0]["request"][name] = value
        log.rewrite(offset, body)

    return plant


def offering(name: str, value: Any) -> Fault:
    """Something else in the option that Flo was offered."""

    def plant(log: Forgery) -> None:
        offset, body = log.attempt(log.decision("rebook", "Flo")[1])
        body["asks"][0]["request"]["options"][0][name] = value
        log.rewrite(offset, body)

    return plant


def a_row_as_it_was_before(log: Forgery) -> None:
    offset, body = log.decision("rebook", "Cem", -1)
    next(one for one in body["reads"] if one["of"] == "bookings")["version"] = log.decision("rebook", "Cem")[0]
    log.rewrite(offset, body)


def the_answer_of_another_turn(log: Forgery) -> None:
    offset, body = log.decision("rebook", "Flo")
    body["answers"] = log.decision("rebook", "Ana")[1]["answers"]
    log.rewrite(offset, body)


def a_seat_overlooked(log: Forgery) -> None:
    """F3 has one seat more, so that there was an option for Cem when he was told to wait."""
    offset, body = next(pair for pair in log.entries("events") if pair[1]["stream"] == "flight_events")
    for event in body["data"]:
        event["seats"] += event["flight_id"] == "F3"
    log.rewrite(offset, body)


def a_call_for_no_seat(log: Forgery) -> None:
    offset, body = log.decision("usher", "BOS")
    row = log.decision("rebook", "Hal")[1]["writes"][0]["row"]
    body["writes"].append({"to": "bookings", "key": "Hal", "row": {**row, "status": "called"}})
    log.rewrite(offset, body)


STALE: dict[str, Fault] = {
    "a row as it was before": a_row_as_it_was_before,
    "a row that was absent": noting("tell", "Hal", "customers", lambda version: 0),
    "a version that never was": noting("tell", "Hal", "bookings", lambda version: version + 1),
    "another number of passengers": noting(
        "rebook", "Ana", "bookings.destination+flight_id", lambda version: version + 1
    ),
    "another number by two fields": reading("count", "bookings.destination+status", ["BOS", "waiting"], 2),
    "a row missed in an index": reading("index", "flights.destination", "BOS", 1),
    "a row missed in a range": reading("range", "bookings.destination<status<tier", [["BOS"], None, 1], 1),
    "an hour that had passed": reading("before", "clock", to_us(at("14:00")), True),
    "an hour still to come": reading("before", "clock", to_us(at("15:00")), False),
    "another passenger": asking("rebook", "booking_id", "Gus"),
    "another tier": asking("rebook", "tier", 3),
    "another preference": asking("rebook", "prefers", "EWR"),
    "another reason": asking("rebook", "reason", "cancelled"),
    "no options": asking("rebook", "options", []),
    "another flight": offering("flight_id", "F4"),
    "another departure": offering("departs_at", "2013-02-08T16:01:00Z"),
    "another arrival": offering("arrives_at", "2013-02-08T18:01:00Z"),
    "another name": asking("tell", "name", "Gus"),
    "another kind of news": asking("tell", "kind", "late"),
    "news of another flight": asking("tell", "flight_id", "F4"),
    "news of another place": asking("tell", "destination", "BOS"),
    "news of another time": asking("tell", "departs_at", "2013-02-08T16:01:00Z"),
    "the answer of another turn": the_answer_of_another_turn,
    "a seat overlooked": a_seat_overlooked,
    "a call for no seat": a_call_for_no_seat,
}


@pytest.mark.parametrize("fault", STALE)
def test_a_decision_on_what_was_not_true_is_stale(fault: str, forgery: Forgery) -> None:
    STALE[fault](forgery)
    assert wrong(forgery.directory) == {"stale_decisions": 1}


@pytest.mark.parametrize(
    "read",
    [
        ("count", "bookings.destination+status", ["BOS", "waiting"], 1),
        ("index", "flights.origin", "LGA", 0),
        ("range", "bookings.destination<status<tier", [["BOS", "late"], ["BOS", "late"], None], 0),
        ("before", "clock", to_us(at("14:00")), False),
        ("before", "clock", to_us(at("15:00")), True),
        ("view", "weather_at", "JFK", 1),
    ],
)
def test_a_read_that_is_still_true_is_not_stale(read: tuple[str, str, Any, Any], forgery: Forgery) -> None:
    reading(*read)(forgery)
    assert wrong(forgery.directory) == {}


def test_an_older_version_of_the_same_content_is_not_stale(forgery: Forgery) -> None:
    first = next(offset for offset, body in forgery.entries("events") if body["data"][0].get("name") == "Hal")
    noting("tell", "Hal", "customers", lambda version: first)(forgery)
    assert wrong(forgery.directory) == {}


def test_a_decision_counts_once(forgery: Forgery) -> None:
    for fault in ("another tier", "another arrival", "another reason"):
        STALE[fault](forgery)
    noting("rebook", "Flo", "customers", lambda version: version + 1)(forgery)
    assert wrong(forgery.directory) == {"stale_decisions": 1}


# ---- seats and flights


def flights_of(log: Forgery) -> tuple[int, Json]:
    """The entry with which all flights come."""
    return next(pair for pair in log.entries("events") if pair[1]["stream"] == "flight_events")


def move_ina(log: Forgery, flight: str) -> None:
    """Ina is moved elsewhere. She gives up before she is told, so nothing else hangs on it."""
    offset, body = log.decision("rebook", "Ina")
    body["writes"][0]["row"]["flight_id"] = flight
    log.rewrite(offset, body)


def test_a_passenger_moved_to_a_full_flight_is_an_oversold_seat(forgery: Forgery) -> None:
    move_ina(forgery, "F9")
    assert wrong(forgery.directory) == {}
    move_ina(forgery, "F2")
    assert wrong(forgery.directory) == {"oversold_seats": 1}


def test_the_largest_excess_of_each_flight_counts(forgery: Forgery) -> None:
    offset, body = flights_of(forgery)
    for event in body["data"]:
        event["seats"] -= {"F4": 2, "F9": 2}.get(event["flight_id"], 0)
    forgery.rewrite(offset, body)
    assert wrong(forgery.directory) == {"oversold_seats": 2 + 1}


@pytest.mark.parametrize(
    "flight", [pytest.param("F6", id="cancelled"), pytest.param("F7", id="the same"), pytest.param("F0", id="departed")]
)
def test_a_passenger_moved_to_a_dead_flight_is_counted(flight: str, forgery: Forgery) -> None:
    move_ina(forgery, flight)
    assert wrong(forgery.directory) == {"moved_to_dead_flight": 1}


def test_a_flight_that_does_not_exist_is_dead_and_has_no_seats(forgery: Forgery) -> None:
    move_ina(forgery, "F99")
    assert wrong(forgery.directory) == {"moved_to_dead_flight": 1, "oversold_seats": 1}


# ---- messages and effects


def message(log: Forgery, change: Callable[[list[Any]], None]) -> None:
    """Changes what the decision to tell Flo sends: (customer, booking, words, news)."""
    offset, body = log.decision("tell", "Flo")
    change(body["effects"][0]["args"])
    log.rewrite(offset, body)


@pytest.mark.parametrize(
    "news",
    [
        {"departs_at": "2013-02-08T16:01:00Z"},
        {"flight_id": "F4", "departs_at": "2013-02-08T17:30:00Z"},
        {"flight_id": "F99"},
        {"kind": "waiting", "departs_at": None},
        {"departs_at": None},
    ],
)
def test_a_message_with_other_news_is_untrue(news: Json, forgery: Forgery) -> None:
    message(forgery, lambda arguments: arguments[3].update(news))
    assert wrong(forgery.directory) == {"untrue_messages": 1}


def test_a_message_about_a_flight_that_is_cancelled_by_then_is_untrue(forgery: Forgery) -> None:
    offset, body = forgery.decision("tell", "Hal")
    body["effects"][0]["args"][3] |= {"kind": "rebooked", "departs_at": "2013-02-08T15:00:00Z"}
    forgery.rewrite(offset, body)
    assert wrong(forgery.directory) == {"untrue_messages": 1}


@pytest.mark.parametrize("name", ["to", "text", "key"])
def test_a_message_that_is_not_what_was_decided_is_untrue(name: str, forgery: Forgery) -> None:
    lines = forgery.messages()
    forged = {**json.loads(lines[0]), name: "something else"}
    forgery.deliver([json.dumps(forged).encode() + b"\n", *lines[1:]])
    lost = {"lost_wakes": 1} if name == "key" else {}  # nothing was delivered under the key that was decided
    assert wrong(forgery.directory) == {"untrue_messages": 1, **lost}


def sent_to_flo(log: Forgery) -> str:
    """The key of the message to Flo."""
    return f"{log.decision('tell', 'Flo')[1]['turn']}/0"


SETTLED, PERFORMING, UNKNOWN, FAILED = ({"state": name} for name in ("settled", "performing", "unknown", "failed"))
TO_BE_RETRIED = {"state": "failed", "retry_at_us": 1}


def test_an_effect_that_is_settled_twice_is_a_duplicate(forgery: Forgery) -> None:
    forgery.append({"kind": "effects", "moves": [{"key": sent_to_flo(forgery), **SETTLED}]})
    assert wrong(forgery.directory) == {"duplicate_effects": 1}


@pytest.mark.parametrize("steps", [(PERFORMING,), (FAILED, PERFORMING), (SETTLED, PERFORMING)])
def test_an_effect_that_is_performed_twice_is_a_duplicate(steps: tuple[Json, ...], forgery: Forgery) -> None:
    forgery.step(sent_to_flo(forgery), "performing", PERFORMING, *steps)
    assert wrong(forgery.directory) == {"duplicate_effects": 1}


@pytest.mark.parametrize("because", [UNKNOWN, TO_BE_RETRIED])
def test_an_effect_that_is_performed_again_for_a_reason_is_none(because: Json, forgery: Forgery) -> None:
    forgery.step(sent_to_flo(forgery), "performing", PERFORMING, because, PERFORMING)
    assert wrong(forgery.directory) == {}


def test_a_message_that_is_delivered_twice_is_a_duplicate(forgery: Forgery) -> None:
    lines = forgery.messages()
    forgery.deliver([*lines, lines[0], lines[0]])
    assert wrong(forgery.directory) == {"duplicate_effects": 1}


def test_an_outcome_that_is_told_by_two_decisions_is_a_duplicate(forgery: Forgery) -> None:
    offset, body = forgery.decision("rebook", "Cem", -1)
    body["writes"][0]["row"]["moves"] = body["emits"][0]["data"]["move"] = 1
    forgery.rewrite(offset, body)
    assert wrong(forgery.directory) == {"duplicate_effects": 1}


# ---- what nobody saw to


def test_an_outcome_that_nobody_told_is_a_lost_wake(forgery: Forgery) -> None:
    key = sent_to_flo(forgery)
    forgery.deliver([line for line in forgery.messages() if json.loads(line)["key"] != key])
    forgery.remove(forgery.decision("tell", "Flo")[0])
    assert wrong(forgery.directory) == {"lost_wakes": 1}


def test_an_outcome_whose_turn_ended_without_a_decision_is_not_lost(forgery: Forgery) -> None:
    offset, body = forgery.decision("tell", "Ina")
    ended = {name: body[name] for name in ("turn", "agent", "key", "wake", "attempt")}
    forgery.remove(offset)
    forgery.append({"kind": "ended", **ended, "outcome": "failed"})
    assert wrong(forgery.directory) == {}


@pytest.mark.parametrize("steps", [(), (UNKNOWN,), (FAILED,), (TO_BE_RETRIED,)])
def test_an_effect_that_was_never_settled_is_lost(steps: tuple[Json, ...], forgery: Forgery) -> None:
    forgery.step(sent_to_flo(forgery), "settled", *steps)
    assert wrong(forgery.directory) == {"lost_wakes": 1}


def test_a_message_that_is_said_to_be_settled_but_was_not_delivered_is_lost(forgery: Forgery) -> None:
    forgery.deliver(forgery.messages()[1:])
    assert wrong(forgery.directory) == {"lost_wakes": 1}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "Cancelled", "flight_id": "F9"},
        {
            "type": "Delayed",
            "flight_id": "F9",
            "announced_at": "2013-02-09T23:00:00Z",
            "departs_at": "2013-02-10T02:00:00Z",
            "arrives_at": "2013-02-10T08:00:00Z",
        },
    ],
)
def test_a_passenger_whose_trouble_nobody_saw_is_lost(event: Json, forgery: Forgery) -> None:
    forgery.append({"kind": "events", "stream": "flight_events", "data": [event]})
    assert wrong(forgery.directory) == {"lost_wakes": 1}


def test_a_passenger_who_is_still_late_when_the_flight_has_left_is_lost(forgery: Forgery) -> None:
    forgery.remove(forgery.decision("rebook", "Gus", -1)[0])
    assert wrong(forgery.directory) == {"lost_wakes": 1}


@pytest.mark.parametrize("status", ["waiting", "called"])
def test_a_passenger_who_waits_while_a_seat_stands_empty_is_lost(status: str, forgery: Forgery) -> None:
    offset, body = forgery.decision("rebook", "Hal")
    body["writes"][0]["row"]["status"] = status
    forgery.rewrite(offset, body)
    assert wrong(forgery.directory) == {}
    late_one = {"flight_id": "F10", "origin": "EWR", "destination": "MIA", "seats": 1}
    times = {"departs_at": "2013-02-12T12:00:00Z", "arrives_at": "2013-02-12T15:00:00Z"}
    event = {"type": "Scheduled", "carrier": "XX", "number": 10, **late_one, **times}
    forgery.append({"kind": "events", "stream": "flight_events", "data": [event]})
    assert wrong(forgery.directory) == {"lost_wakes": 1}


# ---- the program


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the auditor as its users do."""
    command = [sys.executable, "-I", str(PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_prints_one_json_object(a_run: Path) -> None:
    done = program(str(a_run), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == dict.fromkeys(auditor.ROWS, 0)
    others = ["wrong_refunds", "corrections_missed", "left_behind", "overspent"]
    assert [*json.loads(done.stdout), *others] == list(Audit.__struct_fields__)


def test_it_shows_examples_that_a_person_can_look_up(forgery: Forgery) -> None:
    STALE["another tier"](forgery)
    offset, body = forgery.decision("rebook", "Flo")
    text = f"{offset} {body['turn']}: tier 3, but it was 1"
    done = program(str(forgery.directory), "--json", "--examples", "3")
    assert (done.returncode, json.loads(done.stdout)["examples"]["stale_decisions"]) == (0, [text])
    table = program(str(forgery.directory), "--examples", "3").stdout.splitlines()
    assert [line.split()[:3] for line in table[:1]] == [["stale", "decisions", "1"]]
    assert table[1].strip() == text
    assert len(table) == len(auditor.ROWS) + 1


def test_a_directory_without_a_log_cannot_be_audited(tmp_path: Path) -> None:
    done = program(str(tmp_path))
    assert done.returncode == 2
    assert "log.sqlite" in done.stderr


@pytest.mark.parametrize("content", [b"", b"something else " * 1000])
def test_a_foreign_file_cannot_be_audited(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "log.sqlite").write_bytes(content)
    assert program(str(tmp_path)).returncode == 2


def test_a_log_of_another_format_cannot_be_audited(forgery: Forgery) -> None:
    with closing(sqlite3.connect(forgery.directory / "log.sqlite", isolation_level=None)) as log:
        log.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    done = program(str(forgery.directory))
    assert (done.returncode, "format" in done.stderr) == (2, True)


def test_it_changes_nothing(forgery: Forgery) -> None:
    before = {file.name: file.read_bytes() for file in forgery.directory.iterdir()}
    program(str(forgery.directory))
    after = {file.name: file.read_bytes() for file in forgery.directory.iterdir()}
    assert after == before


def test_it_imports_only_what_python_has() -> None:
    imported: set[str] = set()
    for one in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
        if isinstance(one, ast.Import):
            imported.update(alias.name for alias in one.names)
        elif isinstance(one, ast.ImportFrom):
            assert one.level == 0
            imported.add(one.module or "")
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == set()


def test_its_own_idea_of_the_rules_is_that_of_the_app() -> None:
    assert auditor.MOST_OPTIONS == storm.MOST_OPTIONS
    assert timedelta(microseconds=auditor.CLOSES_US) == storm.CLOSES
    assert timedelta(microseconds=auditor.TOO_LATE_US) == storm.TOO_LATE
    assert frozenset(auditor.TURNS_OWN) == storm.bookings.turns_own
