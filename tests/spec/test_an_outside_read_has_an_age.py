"""What `turn.call` has read from outside may be declared to be too old, which is checked when the turn commits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from extrovert import App, Turn
from extrovert.core.log import Answered
from tests.hosts import Host, Rule
from tests.spec.airline import Booking

app = App("airline")
bookings = app.table("bookings", Booking, key=Booking.booking_id)
looked_up: list[str] = []
saw: list[tuple[int, int]] = []


async def fare(flight_id: str) -> int:
    looked_up.append(flight_id)
    return 100 + len(looked_up)


@app.agent(wakes_on=bookings)
async def price(turn: Turn, booking: Booking) -> None:
    old = await turn.call(fare, booking.flight_id, output=int)
    cost = await turn.call(fare, booking.flight_id, output=int, max_age=timedelta(seconds=5))
    await turn.ask(f"{cost}?", output=int)
    saw.append((old, cost))


class Slower(Rule):
    """Thinks for seven seconds at first, and then for three."""

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return 3_000_000 if self.asked else 7_000_000


async def test_one_that_is_too_old_is_read_anew_and_what_hangs_on_it_is_asked_anew(tmp_path: Path) -> None:
    looked_up.clear()
    saw.clear()
    rule = Slower(1)
    host = Host(app, tmp_path / "log", {"agent:price": rule})
    await host.send(bookings, Booking("B1", "F1"))
    assert looked_up == ["F1"] * 3
    assert rule.asked == ["102?", "103?"]
    assert saw == [(101, 103)]
    assert [one.occurrence for one in host.bodies(Answered)] == [0, 1, 0, 2, 0]
