"""Indexes find the rows of a table by other fields, in a fixed order, and are reads of just what was found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record, Turn
from extrovert.testing import World

SECOND = timedelta(seconds=1)


class Seat(Record):
    seat_id: int
    flight_id: str
    price: int = 100


class Optional(Record):
    seat_id: int
    price: int | None = None


class Order(Record):
    order_id: str


app = App("airline")
seats = app.table("seats", Seat, key=Seat.seat_id)
on = seats.index(Seat.flight_id)
on_at = seats.index(Seat.flight_id, Seat.price)
cheapest = seats.range_index(Seat.flight_id, Seat.price)
by_price = seats.range_index(Seat.price)
orders = app.stream("orders", Order, key=Order.order_id)
attempts: list[int] = []
reads: list[Any] = []


@app.agent(wakes_on=orders)
async def look(turn: Turn, order: Order) -> None:
    """Reads one thing, then waits."""
    attempts.append(1)
    reads[0]()
    await turn.ask("ready?", output=int)


def keys(rows: Any) -> list[int]:
    return [row.seat_id for row in rows]


async def a_few_seats(world: World) -> None:
    await world.send(
        seats, Seat(3, "F1", 110), Seat(1, "F1", 90), Seat(2, "F1", 90), Seat(4, "F2", 50), Seat(5, "F10", 70)
    )


async def reruns(world: World, read: Any, *changes: Seat) -> bool:
    """Whether a waiting turn that has read so is run again when these rows are written."""
    await a_few_seats(world)
    reads[:] = [read]
    world.answer(look, 1, thinks=SECOND)
    world.hand_in("orders", Order("1"))
    await world.advance(SECOND / 2)
    attempts.clear()
    world.hand_in("seats", *changes)
    await world.advance(SECOND / 4)
    return bool(attempts)


async def test_rows_at_a_value_come_in_order_of_their_keys(world: World) -> None:
    await a_few_seats(world)
    assert keys(on["F1"]) == [1, 2, 3]
    assert on["F9"] == ()


async def test_several_fields_make_one_value(world: World) -> None:
    await a_few_seats(world)
    assert keys(on_at["F1", 90]) == [1, 2]
    assert on_at.count(("F1", 90)) == 2


async def test_a_row_that_changes_its_field_changes_its_place(world: World) -> None:
    await a_few_seats(world)
    await world.send(seats, Seat(1, "F2", 60))
    assert (keys(on["F1"]), keys(on["F2"]), on.count("F1")) == ([2, 3], [1, 4], 2)
    assert keys(cheapest.under("F2")) == [4, 1]


async def test_an_interval_includes_both_of_its_ends(world: World) -> None:
    await a_few_seats(world)
    assert keys(by_price.between(70, 90)) == [5, 1, 2]
    assert keys(by_price.between(low=90)) == [1, 2, 3]
    assert keys(by_price.between(high=70)) == [4, 5]
    assert keys(by_price.between()) == [4, 5, 1, 2, 3]


async def test_rows_come_in_order_of_the_fields_and_then_of_the_key(world: World) -> None:
    await a_few_seats(world)
    assert keys(cheapest.between()) == [1, 2, 3, 5, 4]
    assert keys(cheapest.between(("F1", 100), "F10")) == [3, 5]


async def test_the_first_rows_under_a_prefix(world: World) -> None:
    await a_few_seats(world)
    assert keys(cheapest.under("F1", limit=2)) == [1, 2]
    assert keys(cheapest.under("F1", 90)) == [1, 2]
    assert keys(cheapest.under("F9")) == []


async def test_a_row_that_comes_into_what_was_read_is_a_change_of_it(world: World) -> None:
    assert await reruns(world, lambda: on["F1"], Seat(9, "F1"))


async def test_a_row_that_comes_where_nothing_was_is_a_change_too(world: World) -> None:
    assert await reruns(world, lambda: on["F7"], Seat(9, "F7"))


async def test_a_row_elsewhere_is_not(world: World) -> None:
    assert not await reruns(world, lambda: on["F1"], Seat(4, "F3"), Seat(9, "F9"))


async def test_a_row_that_stays_in_its_place_and_changes_otherwise_is_a_change_of_the_rows(world: World) -> None:
    assert await reruns(world, lambda: on["F1"], Seat(3, "F1", 111))


async def test_but_not_of_their_number(world: World) -> None:
    assert not await reruns(world, lambda: on.count("F1"), Seat(3, "F1", 111))


async def test_nor_is_one_that_goes_while_another_comes(world: World) -> None:
    assert not await reruns(world, lambda: on.count("F1"), Seat(3, "F2", 110), Seat(9, "F1", 110))


async def test_a_phantom_in_an_interval_is_a_change(world: World) -> None:
    assert await reruns(world, lambda: by_price.between(60, 80), Seat(9, "F1", 75))


async def test_a_row_beyond_an_interval_is_not(world: World) -> None:
    assert not await reruns(world, lambda: by_price.between(60, 80), Seat(9, "F1", 81))


async def test_with_a_limit_only_the_first_rows_are_what_was_read(world: World) -> None:
    assert not await reruns(world, lambda: cheapest.under("F1", limit=2), Seat(9, "F1", 500))
    assert await reruns(world, lambda: cheapest.under("F1", limit=2), Seat(9, "F1", 10))


async def test_any_row_is_a_change_of_the_whole_table(world: World) -> None:
    assert await reruns(world, seats.all, Seat(77, "F77"))


async def test_an_absent_row_is_a_read(world: World) -> None:
    assert await reruns(world, lambda: seats.get(77), Seat(77, "F77"))
    assert not await reruns(world, lambda: seats.get(78), Seat(79, "F77"))


def test_an_index_names_fields_of_its_table() -> None:
    with pytest.raises(DeclarationError, match="An index of table `seats`: `Seat` has no field `colour`"):
        seats.index("colour")  # pyright: ignore[reportUnusedCallResult]
    with pytest.raises(DeclarationError, match="An index of table `seats` names no field"):
        seats.index()  # pyright: ignore[reportCallIssue]


def test_a_field_that_can_be_none_has_no_order() -> None:
    table = App("airline").table("optional", Optional, key=Optional.seat_id)
    with pytest.raises(
        DeclarationError, match="over `price`, whose values have no place in one order: its type lets in None"
    ):
        table.range_index(Optional.price)
    table.index(Optional.price)
