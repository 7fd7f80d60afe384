"""A real engine in a process of its own, which kills itself at a boundary that it is told.

`python -m tests.integration.crashing DATA SOCKET`. The boundary is in EXTROVERT_KILL, as `before:decided:2`: before the
log takes its second decision. Besides the kinds of entries there are `performing` and `settled` (steps of effects),
`effect` (the act itself) and `snapshot`. It runs until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from extrovert import App, Arrival, Record, Refuse, Thinking, Turn
from extrovert.connectors.replay import Replay
from extrovert.core.log import Entry
from extrovert.core.ports import SavedPlace
from extrovert.engine.clock import RealClock
from extrovert.engine.hosting import LOG, locked
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore

__all__ = ["BOOKINGS", "FLIGHTS", "SEATS", "app"]

FLIGHTS, SEATS, BOOKINGS = 5, 4, 8
app = App("airline")
receiver = [""]


class Flight(Record):
    flight_id: str
    cancelled: bool = False


class Seats(Record):
    flight_id: str
    left: int


class Booking(Record):
    booking_id: str
    flight_id: str


class Choice(Record):
    booking_id: str
    options: list[str]


class Moved(Record):
    booking_id: str
    flight_id: str


class Power:
    """Ends the process at the boundary that it was told."""

    def __init__(self, told: str) -> None:
        self.when, self.what, nth = (told or "never:never:0").split(":")
        self.left = int(nth)

    def at(self, when: str, *whats: str) -> None:
        if when == self.when and self.what in whats:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


power = Power(os.environ.get("EXTROVERT_KILL", ""))


class Store(SqliteStore):
    """The real store, beside a switch."""

    def append(self, entries: Sequence[Entry]) -> None:
        whats = {entry.kind for entry in entries}
        for entry in entries:
            if entry.kind == "effects":
                whats |= {move["state"] for move in json.loads(entry.body)["moves"]}
        power.at("before", *whats)
        super().append(entries)
        power.at("after", *whats)

    def save_snapshot(self, offset: int, state: bytes, places: Sequence[SavedPlace]) -> None:
        power.at("before", "snapshot")
        super().save_snapshot(offset, state, places)
        power.at("after", "snapshot")


async def ask_outside(request: dict[str, str]) -> bool:
    reader, writer = await asyncio.open_unix_connection(receiver[0])
    writer.write(json.dumps(request).encode() + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer


async def act(effect: str, about: str, key: str) -> None:
    power.at("before", "effect")
    await ask_outside({"effect": effect, "about": about, "key": key})
    power.at("after", "effect")


async def look_up(key: str) -> bool | None:
    return await ask_outside({"lookup": key}) or None


# ---- the app

flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
moved = app.stream("moved", Moved, key=Moved.booking_id)


@app.view(over=bookings)
def stranded(booking: Booking) -> Booking | None:
    return booking if flights[booking.flight_id].cancelled else None


@app.effect(idempotent=True)
async def notify(about: str, *, idempotency_key: str = "") -> None:
    await act("notify", about, idempotency_key)


@app.effect(reconcile=look_up)
async def ticket(about: str, *, idempotency_key: str = "") -> None:
    await act("ticket", about, idempotency_key)


@app.effect
async def charge(about: str, *, idempotency_key: str = "") -> None:
    await act("charge", about, idempotency_key)


@app.policy(thinks=Thinking(timedelta(milliseconds=3)))
def first(choice: Choice) -> str:
    return choice.options[0]


@app.agent(wakes_on=stranded, model=first)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [flight.flight_id for flight in flights.all() if not flight.cancelled and seats[flight.flight_id].left]
    flight_id = await turn.ask(Choice(booking.booking_id, options), output=str)
    left = seats[flight_id].left
    if left == 0:
        raise Refuse("full")
    turn.put(bookings, booking.but(flight_id=flight_id))
    turn.put(seats, Seats(flight_id, left - 1))
    turn.emit(moved, Moved(booking.booking_id, flight_id))
    turn.effect(ticket, booking.booking_id)
    turn.effect(charge, booking.booking_id)


@app.agent(wakes_on=moved, model=first)
async def tell(turn: Turn, event: Moved) -> None:
    words = await turn.ask(Choice(event.booking_id, [f"you fly {event.flight_id}"]), output=str)
    turn.effect(notify, f"{event.booking_id}: {words}")


def day(start_us: int) -> Iterator[Arrival]:
    """Two of the flights are cancelled, one after the other; all that were booked on them can be moved."""
    for number in range(FLIGHTS):
        yield Arrival(start_us, "flights", Flight(f"F{number}"))
        yield Arrival(start_us, "seats", Seats(f"F{number}", 0 if number < 2 else SEATS))
    for number in range(BOOKINGS):
        yield Arrival(start_us, "bookings", Booking(f"B{number}", f"F{number % 2}"))
    for number in range(2):
        yield Arrival(start_us + 10_000 + number * 10_000, "flights", Flight(f"F{number}", cancelled=True))


async def live(data: Path) -> None:
    with locked(data):
        store = Store(data / LOG)
        engine = Engine(app.declared(), store, RealClock(), Settings(snapshot_every=25))
        engine.start()
        await engine.run(until="idle")
        await engine.close()
        store.close()


def main() -> None:
    data, receiver[0], start_us = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    app.source(Replay("day", lambda: day(start_us)))
    asyncio.run(live(data))


if __name__ == "__main__":
    main()
