"""Refunds of the storm: paid once, to whom they are owed, when a person at the desk has agreed; and the auditor sees
what is wrong with one.

F1 to Boston is cancelled and nothing else flies there: Ana and Bea hold flexible fares, Cem does not. Bea gives up.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.unit.demos.storm.test_auditor import Forgery

from extrovert.connectors.replay import Replay
from extrovert.core.errors import TransientError
from extrovert.core.event import Arrival
from extrovert.core.record import Record
from extrovert.core.time import to_us
from extrovert.demos.storm import app as storm
from extrovert.demos.storm import desk, refund_auditor
from extrovert.demos.storm.desk import Deskful
from extrovert.demos.storm.network import Network, bank, network
from extrovert.demos.storm.receiver import receiving
from extrovert.demos.storm.records import Booking, Cancelled, Customer, Destination, Scheduled
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Settings
from extrovert.stores.sqlite import SqliteStore

NOON = datetime(2013, 2, 8, 12, tzinfo=UTC)


def arrivals() -> Iterator[Arrival]:
    def come(hours: float, stream: str, data: Record | None, key: str = "") -> Arrival:
        return Arrival(to_us(NOON + timedelta(hours=hours)), stream, data, key)

    leaves = NOON + timedelta(hours=3)
    yield come(0, "destinations", Destination("BOS"))
    yield come(0, "flight_events", Scheduled("F1", "XX", 1, "JFK", "BOS", leaves, leaves, 3))
    for name, tier in (("Ana", 1), ("Bea", 1), ("Cem", 3)):
        yield come(0, "customers", Customer(f"C-{name}", name, tier, "JFK"))
        yield come(0, "bookings", Booking(name, f"C-{name}", "F1", "BOS", tier))
    yield come(1, "flight_events", Cancelled("F1"))
    yield come(9.01, "bookings", None, "Bea")  # the desk is looking at it


async def run(directory: Path, port: int | None = None) -> None:
    declared = msgspec.structs.replace(storm.app.declared(), sources=[Replay("storm", arrivals)], strict_shards=True)
    store = SqliteStore(directory / "log.sqlite", durability="os")
    for target, address in ((network, "messages"), (bank, "payments")):
        if port is None:
            target.open(directory / f"{address}.jsonl")
        else:
            target.connect(port, f"/{address}")
    engine = Deskful(declared, store, VirtualClock(), Settings(seed=1))
    engine.start()
    await engine.run(until="idle")
    await engine.close()
    store.close()
    network.close()
    bank.close()


@pytest.fixture(autouse=True)
def an_agreeable_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "AGREES", 1.0)


def payments(directory: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (directory / "payments.jsonl").read_bytes().splitlines()]


@pytest.fixture
def forgery(tmp_path: Path) -> Forgery:
    asyncio.run(run(tmp_path))
    return Forgery(tmp_path)


def test_a_refund_is_paid_once_and_to_none_who_gave_up_meanwhile(forgery: Forgery) -> None:
    assert payments(forgery.directory) == ["Ana 38900"]
    found = refund_auditor.audit(forgery.directory)
    assert (found.refunds, found.wrong) == (1, [])


def test_a_refund_that_the_desk_denies_is_not_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "AGREES", 0.0)
    asyncio.run(run(tmp_path))
    assert payments(tmp_path) == []


def test_over_http_it_is_the_same(tmp_path: Path) -> None:
    with receiving(tmp_path) as port:
        asyncio.run(run(tmp_path, port))
    assert payments(tmp_path) == ["Ana 38900"]
    assert len((tmp_path / "messages.jsonl").read_bytes().splitlines()) == 3
    assert refund_auditor.audit(tmp_path).wrong == []


def test_a_receiver_acts_once_for_a_key_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with receiving(tmp_path) as port:
        sender = Network()
        sender.connect(port, "/payments")
        assert sender.deliver("k", "Ana", "5")
        assert not sender.deliver("k", "Ana", "5")
        sender.connect(port, "/nowhere")
        with pytest.raises(TransientError, match="/nowhere answered 400"):
            sender.deliver("k", "Ana", "5")
    assert payments(tmp_path) == ["5"]
    with pytest.raises(TransientError, match="/nowhere: "):
        sender.deliver("k", "Ana", "5")
    sender.close()


def decided_of(log: Forgery) -> tuple[int, dict[str, object]]:
    return log.decision("refund", "Ana")


def nobody_agreed(log: Forgery) -> None:
    offset, body = decided_of(log)
    log.rewrite(offset, body | {"answers": []})


def it_was_not_owed(log: Forgery) -> None:
    for offset, body in log.entries("events"):
        if body["stream"] == "flight_events" and body["data"][0]["type"] == "Cancelled":
            log.remove(offset)


def it_was_paid_twice(log: Forgery) -> None:
    path = log.directory / "payments.jsonl"
    path.write_bytes(path.read_bytes() * 2)


def it_was_never_paid(log: Forgery) -> None:
    (log.directory / "payments.jsonl").write_bytes(b"")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (nobody_agreed, "nobody had agreed"),
        (it_was_not_owed, "Ana was not owed it"),
        (it_was_paid_twice, "which was not decided"),
        (it_was_never_paid, "it was decided, and never paid"),
    ],
)
def test_the_auditor_sees_what_is_wrong(fault: Callable[[Forgery], None], told: str, forgery: Forgery) -> None:
    fault(forgery)
    command = [sys.executable, "-I", refund_auditor.__file__, str(forgery.directory), "--examples", "3"]
    done = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert done["wrong_refunds"] == 1
    assert told in done["examples"][0]
