"""Plays `examples.together`: flights are cancelled on a made-up evening, and the departments sort it out."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter

from examples.together import app, bookings, news
from examples.together_data import evening
from extrovert.engine.loop import Engine

__all__ = ["play"]

LOOK_EVERY_S = 0.1


async def play(engine: Engine, flights_off: int) -> None:
    """Cancels so many flights, one when all is sorted out after the other, and tells what became of the passengers."""
    flights, booked, off = evening()
    await engine.send(news, flights)
    await engine.send(bookings, booked)
    for flight in off[:flights_off]:
        print(f"{flight.flight_id} to {flight.destination} is cancelled")
        await engine.send(news, [flight])
        while not engine.quiet:  # noqa: ASYNC110 -- it is looked at from outside
            await asyncio.sleep(LOOK_EVERY_S)
        with engine.reading():
            now = [bookings[one.booking_id] for one in booked if one.destination == flight.destination]
        on = Counter(one.flight_id if one.status == "booked" else one.status for one in now)
        print("  Now:", ", ".join(f"{many} {where}" for where, many in sorted(on.items())), flush=True)


async def main(flights_off: int) -> None:
    data = tempfile.mkdtemp(prefix="extrovert-together-")
    async with app.serving(data) as engine:
        await play(engine, flights_off)
    print(f"\nWho asked whom, and why: extrovert decisions --app examples/together.py --data {data}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
