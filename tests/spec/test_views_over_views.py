"""A view may be over another view, or over those rows of a table whose keys lie in a range."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extrovert import App, DeclarationError, Record, Turn, between
from extrovert.testing import World
from tests.spec.airline import Booking, Flight

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
evaluated: list[str] = []


class Delay(Record):
    booking_id: str
    minutes: int


@app.view(over=bookings)
def delayed(booking: Booking) -> Delay | None:
    flight = flights.get(booking.flight_id)
    return Delay(booking.booking_id, flight.delay_minutes) if flight and flight.delay_minutes else None


@app.view(over=delayed)
def severe(delay: Delay) -> int | None:
    evaluated.append(delay.booking_id)
    return delay.minutes // 60 if delay.minutes >= 60 else None


@app.view(over=severe)
def hopeless(hours: int) -> bool:
    return hours >= 5


@app.view(over=flights, keys=between("F2", "F4", bounds="[)"))
def some(flight: Flight) -> str:
    evaluated.append(flight.flight_id)
    return flight.destination


@app.agent(wakes_on=hopeless)
async def comfort(turn: Turn, hopeless: bool | None) -> None: ...


@pytest.fixture(autouse=True)
def nothing_evaluated() -> None:
    evaluated.clear()


async def test_a_view_over_a_view_follows_its_values(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=130))
    await world.send(bookings, Booking("B1", "F1"), Booking("B2", "F9"))
    assert (severe["B1"], hopeless["B1"], severe.get("B2")) == (2, False, None)
    await world.send(flights, Flight("F1", delay_minutes=400))
    assert (severe["B1"], hopeless["B1"]) == (6, True)
    await world.send(bookings, Booking("B1", "F9"))
    assert (severe.get("B1"), hopeless.get("B1")) == (None, None)


async def test_a_view_over_a_view_is_not_evaluated_when_the_value_under_it_is_equal(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=130), Flight("F2", delay_minutes=130))
    await world.send(bookings, Booking("B1", "F1"))
    evaluated.clear()
    await world.send(bookings, Booking("B1", "F2"))
    assert severe["B1"] == 2
    assert evaluated == []


async def test_an_agent_wakes_on_a_view_over_views_when_its_value_changes_alone(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=70))
    await world.send(bookings, Booking("B1", "F1"))
    await world.send(flights, Flight("F1", delay_minutes=200))  # hopeless stays as it was
    assert len(world.decisions(comfort)) == 1
    await world.send(flights, Flight("F1", delay_minutes=300))
    assert len(world.decisions(comfort)) == 2


async def test_a_view_over_a_range_of_keys_looks_at_those_rows_alone(world: World) -> None:
    await world.send(flights, *(Flight(f"F{n}", destination="BOS") for n in range(1, 6)))
    assert [some.get(f"F{n}") for n in range(1, 6)] == [None, "BOS", "BOS", None, None]
    assert evaluated == ["F2", "F3"]
    evaluated.clear()
    await world.send(flights, Flight("F1", destination="ORD"), Flight("F3", destination="ORD"))
    assert (some["F3"], evaluated) == ("ORD", ["F3"])


def test_a_range_of_keys_is_of_the_type_of_the_keys() -> None:
    with pytest.raises(DeclarationError, match=r"View `wrong` is over keys between 1 and None.*`flight_id`.*str"):

        @app.view(over=flights, keys=between(1))
        def wrong(flight: Flight) -> int:
            return 1


def test_a_view_is_over_a_table_or_a_view() -> None:
    stream = App("other").stream("told", Flight, key=Flight.flight_id)
    with pytest.raises(DeclarationError, match="A view is over a table, a window or another view, not over"):
        app.view(over=stream)  # pyright: ignore


def test_a_table_and_a_view_do_not_share_a_name() -> None:
    with pytest.raises(DeclarationError, match="There is a table named `flights`"):

        @app.view(over=bookings)
        def flights(booking: Booking) -> int:
            return 1


async def test_time_passes_in_a_view_under_a_view(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=61))
    await world.send(bookings, Booking("B1", "F1"))
    await world.advance(timedelta(hours=1))
    assert severe["B1"] == 1
