"""Views are pure functions of live context and always current; what did not change by value did not change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extrovert import App, MissingRow, Record, Turn, TurnError, before
from extrovert.testing import World
from extrovert.testing.world import START
from tests.spec.airline import Booking, Flight, Seats

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
to = flights.index(Flight.destination)
on = bookings.index(Booking.flight_id)
by_delay = flights.range_index(Flight.destination, Flight.delay_minutes)
evaluated: list[str] = []


class Load(Record):
    flight_id: str
    passengers: int
    late: bool


@app.view(over=bookings)
def disrupted(booking: Booking) -> Flight | None:
    evaluated.append(booking.booking_id)
    flight = flights[booking.flight_id]
    return flight if flight.cancelled or flight.delay_minutes >= 90 else None


@app.view(over=flights)
def load(flight: Flight) -> Load:
    return Load(flight.flight_id, on.count(flight.flight_id), flight.delay_minutes >= 90)


@app.view(over=seats)
def relief(free: Seats) -> list[str]:
    """The flights to the same place that are worse off, the worst last."""
    here = flights[free.flight_id]
    return [
        f.flight_id for f in by_delay.between((here.destination, 90), (here.destination,)) if load[f.flight_id].late
    ]


@app.view(over=seats)
def open_now(free: Seats) -> bool:
    return before(START + timedelta(hours=free.left))


@app.view(over=flights)
def ratio(flight: Flight) -> int:
    return 60 // flight.delay_minutes


@app.agent(wakes_on=disrupted)
async def note(turn: Turn, flight: Flight | None) -> None: ...


@pytest.fixture(autouse=True)
def nothing_evaluated() -> None:
    evaluated.clear()


async def test_a_view_follows_its_row(world: World) -> None:
    await world.send(flights, Flight("F1"), Flight("F2", cancelled=True))
    await world.send(bookings, Booking("B1", "F1"))
    assert disrupted.get("B1") is None
    await world.send(bookings, Booking("B1", "F2"))
    assert disrupted["B1"] == Flight("F2", cancelled=True)


async def test_a_view_follows_what_it_looked_up(world: World) -> None:
    await world.send(flights, Flight("F1"))
    await world.send(bookings, Booking("B1", "F1"))
    await world.send(flights, Flight("F1", delay_minutes=120))
    assert disrupted["B1"].delay_minutes == 120
    await world.send(flights, Flight("F1", delay_minutes=10))
    assert disrupted.get("B1") is None


async def test_a_view_is_not_evaluated_when_nothing_that_it_read_changed(world: World) -> None:
    await world.send(flights, Flight("F1"), Flight("F2"))
    await world.send(bookings, Booking("B1", "F1"), Booking("B2", "F2"))
    evaluated.clear()
    await world.send(flights, Flight("F2", delay_minutes=5))
    await world.send(seats, Seats("F1", 3))
    assert evaluated == ["B2"]


async def test_a_view_forgets_what_it_read_before(world: World) -> None:
    await world.send(flights, Flight("F1"), Flight("F2"))
    await world.send(bookings, Booking("B1", "F1"))
    await world.send(bookings, Booking("B1", "F2"))
    evaluated.clear()
    await world.send(flights, Flight("F1", cancelled=True))
    assert evaluated == []


async def test_an_absent_row_is_a_read(world: World) -> None:
    await world.send(bookings, Booking("B1", "F1"))
    assert disrupted.get("B1") is None
    await world.send(flights, Flight("F1", cancelled=True))
    assert disrupted["B1"] == Flight("F1", cancelled=True)


async def test_a_count_is_a_read_of_the_number_alone(world: World) -> None:
    await world.send(flights, Flight("F1"))
    assert load["F1"].passengers == 0
    await world.send(bookings, Booking("B1", "F1"), Booking("B2", "F1"))
    assert load["F1"].passengers == 2
    await world.send(bookings, Booking("B2", "F3"))
    assert load["F1"].passengers == 1


async def test_a_view_follows_an_interval_and_other_views(world: World) -> None:
    await world.send(flights, Flight("F1"))
    await world.send(seats, Seats("F1", 1))
    assert relief["F1"] == []
    await world.send(flights, Flight("F2", delay_minutes=100))
    assert relief["F1"] == ["F2"]
    await world.send(flights, Flight("F3", delay_minutes=95), Flight("F4", "LAX", delay_minutes=95))
    assert relief["F1"] == ["F3", "F2"]
    await world.send(flights, Flight("F2", delay_minutes=20))
    assert relief["F1"] == ["F3"]


async def test_equal_values_stop_there(world: World) -> None:
    await world.send(flights, Flight("F1", cancelled=True))
    await world.send(bookings, Booking("B1", "F1"))
    assert len(world.decisions(note)) == 1
    await world.send(bookings, Booking("B1", "F1", customer_id="C9"))
    await world.send(flights, Flight("F1", cancelled=True))
    assert len(world.decisions(note)) == 1


async def test_what_went_there_and_back_at_once_has_not_changed(world: World) -> None:
    await world.send(flights, Flight("F1", cancelled=True))
    await world.send(bookings, Booking("B1", "F1"))
    world.hand_in("flights", Flight("F1"))
    await world.send(flights, Flight("F1", cancelled=True))
    assert len(world.decisions(note)) == 1


async def test_a_view_that_raises_is_quarantined_for_that_key_alone(world: World) -> None:
    await world.send(flights, Flight("F1", delay_minutes=30), Flight("F2", delay_minutes=0))
    state = world.engine.shard.fold.context.views["ratio"]
    assert state.values == {"F1": 2}
    assert state.quarantine == {"F2": "ZeroDivisionError: integer division or modulo by zero"}


async def test_a_quarantined_view_is_tried_again_when_its_inputs_change(world: World) -> None:
    await world.send(flights, Flight("F2", delay_minutes=0))
    await world.send(flights, Flight("F2", delay_minutes=20))
    assert ratio["F2"] == 3
    assert world.engine.shard.fold.context.views["ratio"].quarantine == {}


async def test_a_quarantined_row_that_goes_leaves_the_quarantine() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    orders = app.stream("orders", Seats, key=Seats.flight_id)

    @app.view(over=flights)
    def ratio(flight: Flight) -> int:
        return 60 // flight.delay_minutes

    @app.agent(wakes_on=orders)
    async def delete(turn: Turn, order: Seats) -> None:
        turn.delete(flights, order.flight_id)

    with World(app) as world:
        await world.send(flights, Flight("F1"))
        await world.send(orders, Seats("F1", 0))
        assert world.engine.shard.fold.context.views["ratio"].quarantine == {}
        assert ratio.get("F1") is None


async def test_before_is_a_read_that_expires(world: World) -> None:
    world.hand_in("seats", Seats("F1", 2))
    await world.advance(timedelta(minutes=119))
    assert open_now["F1"] is True
    await world.advance(timedelta(minutes=1))
    assert open_now["F1"] is False


async def test_what_expires_wakes_agents() -> None:
    app = App("airline")
    seats = app.table("seats", Seats, key=Seats.flight_id)

    @app.view(over=seats)
    def closed(free: Seats) -> Seats | None:
        return None if before(START + timedelta(hours=free.left)) else free

    @app.agent(wakes_on=closed)
    async def close(turn: Turn, free: Seats) -> None: ...

    with World(app) as world:
        world.hand_in("seats", Seats("F1", 2), Seats("F2", 1))
        await world.advance(timedelta(minutes=90))
        assert [one.id for one in world.decisions(close)] == ["close:F2@3"]
        await world.advance(timedelta(minutes=30))
        assert [one.id.split("@")[0] for one in world.decisions(close)] == ["close:F2", "close:F1"]


async def test_views_that_read_each_other_do_not_spin_for_ever() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.view(over=flights)
    def up(flight: Flight) -> int:
        return (down.get(flight.flight_id) or 0) + 1

    @app.view(over=flights)
    def down(flight: Flight) -> int:
        return (up.get(flight.flight_id) or 0) + 1

    with World(app) as world:
        await world.send(flights, Flight("F1"))
        quarantined = [state.quarantine for state in world.engine.shard.fold.context.views.values()]
        assert {"F1": "views that read each other do not come to rest"} in quarantined


async def test_a_missing_value_names_the_view_and_the_reader(world: World) -> None:
    with pytest.raises(MissingRow, match=r"View `disrupted` has no row `B1` \(read by the test\). Use `disrupted.get"):
        disrupted["B1"]


def test_live_context_is_read_inside_something() -> None:
    with pytest.raises(TurnError, match="outside a view, a turn and a running engine"):
        flights.get("F1")
