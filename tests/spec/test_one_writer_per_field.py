"""One writer per field: a table is written by its source or by turns, never both, unless it says who owns what."""

from __future__ import annotations

import pytest

from extrovert import App, DeclarationError, Record, Turn
from extrovert.testing import World
from tests.spec.airline import Booking, Flight, Seats


class Order(Record):
    """What a test wants done: `row` is put, and `key` deleted."""

    order_id: str
    booking: Booking | None = None
    seats: Seats | None = None
    delete: str = ""


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
reservations = app.stream("reservations", Booking, key=Booking.booking_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id, source=reservations, turns_own=[Booking.flight_id])
sourced = app.table("sourced", Booking, key=Booking.booking_id, source=reservations)
orders = app.stream("orders", Order, key=Order.order_id)


@app.agent(wakes_on=orders)
async def obey(turn: Turn, order: Order) -> None:
    if order.order_id.startswith("sourced"):
        turn.put(sourced, Booking("B1", "F9"))
    if order.booking is not None:
        turn.put(bookings, order.booking)
    if order.seats is not None:
        turn.put(seats, order.seats)
    if order.delete:
        turn.delete(bookings, order.delete)


def cause(world: World) -> str:
    return world.dead_letters()[-1].cause


async def test_a_turn_cannot_write_what_a_source_writes(world: World) -> None:
    await world.send(orders, Order("sourced"))
    assert "wrote to table `sourced`, which its source writes" in cause(world)


async def test_a_turn_writes_the_fields_that_turns_own(world: World) -> None:
    await world.send(reservations, Booking("B1", "F1"))
    await world.send(orders, Order("1", booking=Booking("B1", "F2")))
    assert bookings["B1"] == Booking("B1", "F2")
    assert world.dead_letters() == []


async def test_a_turn_cannot_write_the_fields_of_the_source(world: World) -> None:
    await world.send(reservations, Booking("B1", "F1"))
    await world.send(orders, Order("1", booking=Booking("B1", "F2", customer_id="C9")))
    assert "changed customer_id of row `B1`" in cause(world)
    assert bookings["B1"] == Booking("B1", "F1")


async def test_a_turn_cannot_add_or_delete_rows_of_the_source(world: World) -> None:
    await world.send(orders, Order("1", booking=Booking("B7", "F2")))
    assert "added row `B7` of table `bookings`" in cause(world)
    await world.send(reservations, Booking("B1", "F1"))
    await world.send(orders, Order("2", delete="B1"))
    assert "deleted row `B1` of table `bookings`" in cause(world)


async def test_the_next_event_of_the_source_does_not_bring_back_what_turns_own(world: World) -> None:
    await world.send(reservations, Booking("B1", "F1"))
    await world.send(orders, Order("1", booking=Booking("B1", "F2")))
    await world.send(reservations, Booking("B1", "F1", customer_id="C2"))
    assert bookings["B1"] == Booking("B1", "F2", customer_id="C2")


async def test_a_fold_does_not_bring_it_back_either() -> None:
    folding = App("airline")
    events = folding.stream("events", Booking, key=Booking.booking_id)
    wishes = folding.stream("wishes", Booking, key=Booking.booking_id)

    def fold(row: Booking | None, event: Booking) -> Booking:
        return event

    table = folding.table(
        "bookings", Booking, key=Booking.booking_id, source=events, fold=fold, turns_own=[Booking.flight_id]
    )

    @folding.agent(wakes_on=wishes)
    async def move(turn: Turn, wish: Booking) -> None:
        turn.put(table, table[wish.booking_id].but(flight_id=wish.flight_id))

    with World(folding) as world:
        await world.send(events, Booking("B1", "F1"))
        await world.send(wishes, Booking("B1", "F2"))
        await world.send(events, Booking("B1", "F1", customer_id="C2"))
        assert table["B1"] == Booking("B1", "F2", customer_id="C2")


async def test_a_row_that_a_turn_has_written_is_no_longer_taken_from_outside(world: World) -> None:
    await world.send(seats, Seats("F1", 3))
    await world.send(seats, Seats("F1", 4))
    await world.send(orders, Order("1", seats=Seats("F1", 2)))
    await world.send(seats, Seats("F1", 4))
    assert seats["F1"] == Seats("F1", 2)
    assert "row `F1` was last written by a turn, and one row has one writer" in cause(world)


async def test_a_row_that_a_turn_has_deleted_is_taken_again() -> None:
    app = App("airline")
    seats = app.table("seats", Seats, key=Seats.flight_id)
    closing = app.stream("closing", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=closing)
    async def close(turn: Turn, flight: Flight) -> None:
        turn.put(seats, Seats(flight.flight_id, 0))
        turn.delete(seats, flight.flight_id)

    with World(app) as world:
        await world.send(seats, Seats("F1", 3))
        await world.send(closing, Flight("F1"))
        await world.send(seats, Seats("F1", 4))
        assert seats["F1"] == Seats("F1", 4)


def test_the_key_of_a_table_has_no_owner_among_turns() -> None:
    with pytest.raises(DeclarationError, match="turns cannot own its key"):
        App("airline").table("bookings", Booking, key=Booking.booking_id, turns_own=[Booking.booking_id])


def test_a_field_that_turns_own_must_be_there() -> None:
    with pytest.raises(DeclarationError, match=r"`Booking` has no field `seat`. Its fields are: booking_id, flight_id"):
        App("airline").table("bookings", Booking, key=Booking.booking_id, turns_own=["seat"])
