"""In virtual time the same seed gives the same decisions, whatever the machine does, crashes or not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from extrovert import App, Arrival, Thinking, Turn
from extrovert.connectors.replay import Replay
from extrovert.core.ids import chance
from extrovert.core.log import Decided
from extrovert.core.time import to_us
from extrovert.testing.world import START
from extrovert.turns.request import Request
from tests.hosts import Host
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats

BEGIN_US = to_us(START)


def arrivals() -> Iterator[Arrival]:
    """Ten flights are cancelled one after the other, each with two bookings; seats are few and flicker."""
    for number in range(10):
        yield Arrival(BEGIN_US, "flights", Flight(f"F{number}"))
        yield Arrival(BEGIN_US, "seats", Seats(f"F{number}", number % 3))
        for letter in "ab":
            yield Arrival(BEGIN_US, "bookings", Booking(f"B{number}{letter}", f"F{number}"))
    for number in range(9):
        at_us = BEGIN_US + round((number + chance("when", number)) * 700_000)
        yield Arrival(at_us, "flights", Flight(f"F{number}", cancelled=True))


def airline() -> App:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id, source=None)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    to = flights.index(Flight.destination)

    @app.view(over=bookings)
    def stranded(booking: Booking) -> Booking | None:
        return booking if flights[booking.flight_id].cancelled else None

    @app.effect(idempotent=True)
    async def announce(booking_id: str, *, idempotency_key: str = "") -> None: ...

    @app.policy(thinks=Thinking(timedelta(seconds=1)))
    def first(choice: Choice) -> Rebooking:
        return Rebooking(choice.options[0])

    @app.agent(wakes_on=stranded, model=first)
    async def rebook(turn: Turn, booking: Booking) -> None:
        options = [f.flight_id for f in to["ORD"] if not f.cancelled and seats[f.flight_id].left > 0]
        if not options:
            return
        choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
        turn.put(bookings, booking.but(flight_id=choice.flight_id))
        turn.put(seats, Seats(choice.flight_id, seats[choice.flight_id].left - 1))
        turn.effect(announce, booking.booking_id)

    app.source(Replay("tower", arrivals))
    return app


def decisions(host: Host) -> list[tuple[str, int, list[tuple[str, str, bytes]]]]:
    """What was decided, when, in order."""
    return [
        (one.turn.split("@")[0], entry.at_us, [(write.to, write.key, bytes(write.row)) for write in one.writes])
        for entry, one in (
            (entry, msgspec.json.decode(entry.body, type=Decided))
            for entry in host.entries()
            if entry.kind == "decided"
        )
    ]


def log_of(path: Path, seed: int) -> str:
    """The whole log of one run, as text."""
    host = Host(airline(), path, seed=seed)
    asyncio.run(host.settle())
    return "\n".join(f"{e.offset} {e.at_us} {e.body.decode()}" for e in host.entries())


def test_two_runs_write_the_same_log(tmp_path: Path) -> None:
    assert log_of(tmp_path / "1", 5) == log_of(tmp_path / "2", 5)


def test_another_process_with_other_hashes_writes_it_too(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from {__name__} import log_of; print(log_of(Path({str(tmp_path / '3')!r}), 5))"
    root = str(Path(__file__).parents[2])
    env = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, cwd=root)
    assert done.stdout.rstrip("\n") == log_of(tmp_path / "1", 5)


def test_another_seed_writes_another_one(tmp_path: Path) -> None:
    assert log_of(tmp_path / "1", 5) != log_of(tmp_path / "2", 6)


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_do_not_change_what_is_decided(tmp_path: Path, seed: int) -> None:
    calm = Host(airline(), tmp_path / "calm", seed=seed)
    await calm.settle()
    host = Host(airline(), tmp_path / "log", seed=seed)
    for life in range(30):
        await host.advance(0.4 * chance("life", seed, life))
        if chance("durable", seed, life) < 0.7:
            host.flush()
        host.crash()
    await host.settle()
    assert decisions(host) == decisions(calm)


async def test_time_stands_still_while_a_real_call_is_out(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights)
    async def ask(turn: Turn, flight: Flight) -> None:
        await turn.ask("ready?", output=int)

    async def slow(request: Request) -> msgspec.Raw:
        for _ in range(100):
            await asyncio.sleep(0)
        return msgspec.Raw(b"1")

    host = Host(app, tmp_path / "log", {"agent:ask": slow})
    await host.send(flights, Flight("F1"))
    assert {entry.at_us for entry in host.entries()} == {BEGIN_US}


async def test_real_calls_that_end_together_are_answered_in_a_fixed_order(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    out: list[asyncio.Future[None]] = []

    @app.agent(wakes_on=flights)
    async def ask(turn: Turn, flight: Flight) -> None:
        await turn.ask(flight, output=int)

    async def model(request: Request) -> msgspec.Raw:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        out.append(waiting)
        if len(out) == 3:
            for other in reversed(out):
                other.set_result(None)
        await waiting
        return msgspec.Raw(b"1")

    host = Host(app, tmp_path / "log", {"agent:ask": model})
    await host.send(flights, Flight("F3"), Flight("F1"), Flight("F2"))
    assert [one.key for one in host.decisions()] == ["F1", "F2", "F3"]
