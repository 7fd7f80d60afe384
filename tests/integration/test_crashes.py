"""A real engine process is killed at every boundary, and started again until it is done: nothing is lost, and nothing
is performed twice without the ledger saying so."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from extrovert.stores.sqlite import SqliteStore
from tests.integration.crashing import BOOKINGS, FLIGHTS, SEATS

ROOT = Path(__file__).parents[2]
BOUNDARIES = ["events", "attempted", "answered", "decided", "performing", "effect", "settled", "snapshot"]


class Airline:
    """A data directory, a receiver of effects beside it, and the lives of one engine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.data.mkdir()
        self.done = home / "done"
        self.socket = f"{home}/s"
        self.start_us = time.time_ns() // 1000
        self.receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.receiver", self.socket, str(self.done)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.receiver.stdout is not None
        assert self.receiver.stdout.readline() == "ready\n"

    def close(self) -> None:
        self.receiver.terminate()
        self.receiver.wait()
        assert self.receiver.stdout is not None
        self.receiver.stdout.close()

    def begin(self, kill: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.crashing", str(self.data), self.socket, str(self.start_us)],
            cwd=ROOT,
            env=os.environ | {"EXTROVERT_KILL": kill},
            stderr=subprocess.PIPE,
            text=True,
        )

    def live(self, kill: str = "") -> bool:
        """One life; whether it was ended by a kill."""
        process = self.begin(kill)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
        assert process.returncode in (0, -signal.SIGKILL), errors
        return process.returncode != 0

    def log(self) -> list[dict[str, Any]]:
        store = SqliteStore(self.data / "log.sqlite")
        bodies = [json.loads(entry.body) for entry in store.entries()]
        store.close()
        return bodies

    def acts(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.done.read_text().splitlines()]


@pytest.fixture
def airline(tmp_path_factory: pytest.TempPathFactory) -> Generator[Airline]:
    made = Airline(tmp_path_factory.mktemp("a"))
    yield made
    made.close()


def nothing_is_lost(airline: Airline) -> None:
    log = airline.log()
    events = [data for body in log if body["kind"] == "events" for data in body["data"]]
    assert len(events) == 2 * FLIGHTS + BOOKINGS + 2
    decided = [body for body in log if body["kind"] == "decided"]
    assert Counter((body["agent"], body["key"]) for body in decided) == {
        (agent, f"B{number}"): 1 for agent in ("rebook", "tell") for number in range(BOOKINGS)
    }
    assert [body for body in log if body["kind"] in ("dead", "failed", "ended")] == []
    seats = {f"F{number}": SEATS if number > 1 else 0 for number in range(FLIGHTS)}
    places: dict[str, str] = {}
    for body in decided:
        for write in body.get("writes", ()):
            if write["to"] == "seats":
                assert write["row"]["left"] == seats[write["key"]] - 1 >= 0
                seats[write["key"]] -= 1
            else:
                places[write["key"]] = write["row"]["flight_id"]
    assert len(places) == BOOKINGS
    assert sum(seats.values()) == (FLIGHTS - 2) * SEATS - BOOKINGS


def nothing_is_performed_twice_without_saying_so(airline: Airline) -> None:
    log = airline.log()
    intents = {
        f"{body['turn']}/{intent['slot']}": intent["effect"]
        for body in log
        if body["kind"] == "decided"
        for intent in body.get("effects", ())
    }
    states: dict[str, list[str]] = {key: [] for key in intents}
    for body in log:
        for move in body["moves"] if body["kind"] == "effects" else ():
            states[move["key"]].append(move["state"])
    done = Counter(act["key"] for act in airline.acts())
    assert set(done) <= set(intents)
    for key, effect in intents.items():
        unknown = states[key].count("unknown")
        if effect == "notify":
            assert 1 <= done[key] <= 1 + unknown
            assert states[key][-1] == "settled"
        elif effect == "ticket":
            assert done[key] == 1
            assert states[key][-1] == "settled"
        else:
            assert states[key] in (["performing", "settled"], ["performing", "unknown"])
            assert done[key] == 1 if states[key][-1] == "settled" else done[key] <= 1
    assert len(intents) == 3 * BOOKINGS


def test_without_a_crash_all_is_done_once(airline: Airline) -> None:
    assert not airline.live()
    nothing_is_lost(airline)
    nothing_is_performed_twice_without_saying_so(airline)
    assert set(Counter(act["key"] for act in airline.acts()).values()) == {1}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_a_boundary(airline: Airline, when: str, boundary: str) -> None:
    assert airline.live(f"{when}:{boundary}:1")
    for nth in (2, 3):
        airline.live(f"{when}:{boundary}:{nth}")
    assert not airline.live()
    nothing_is_lost(airline)
    nothing_is_performed_twice_without_saying_so(airline)


def test_kills_at_any_moment(airline: Airline) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(6):
        process = airline.begin()
        try:
            process.communicate(timeout=chance.uniform(0.15, 0.45))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert not airline.live()
    nothing_is_lost(airline)
    nothing_is_performed_twice_without_saying_so(airline)
