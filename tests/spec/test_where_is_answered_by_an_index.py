"""`where` asks a table by conditions; an index answers, and is what was read. Without one it says which is lacking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record, Turn, between
from extrovert.testing import World

SECOND = timedelta(seconds=1)


class Seat(Record):
    seat_id: int
    flight: str
    row: int
    price: float = 100.0
    taken: bool = False
    note: str | None = None


class Go(Record):
    name: str


app = App("airline")
seats = app.table("seats", Seat, key=Seat.seat_id)
seats.index(Seat.flight, Seat.taken)
seats.range_index(Seat.flight, Seat.price)
seats.range_index(Seat.row, Seat.flight, Seat.price)
by_price = seats.range_index(Seat.price)
go = app.stream("go", Go, key=Go.name)
reads: list[Any] = []
attempts: list[int] = []


@app.agent(wakes_on=go)
async def look(turn: Turn, event: Go) -> None:
    """Reads one thing, then waits; "own" writes a seat before."""
    attempts.append(1)
    if event.name == "own":
        turn.put(seats, Seat(9, "F1", 1, 95))
        turn.delete(seats, 1)
    reads.append(reads[0]())
    await turn.ask("ready?", output=int)


def keys(rows: Any) -> list[int]:
    return [row.seat_id for row in rows]


async def some_seats(world: World) -> None:
    await world.send(
        seats,
        Seat(1, "F1", 1, 90),
        Seat(2, "F1", 1, 110, True),
        Seat(3, "F1", 2, 100),
        Seat(4, "F2", 1, 50),
        Seat(5, "F1", 2, 90),
    )


async def reruns(world: World, read: Any, *changes: Seat) -> bool:
    """Whether a waiting turn that has read so is run again when these rows are written."""
    await some_seats(world)
    reads[:] = [read]
    world.answer(look, 1, thinks=SECOND)
    world.hand_in("go", Go("1"))
    await world.advance(SECOND / 2)
    attempts.clear()
    world.hand_in("seats", *changes)
    await world.advance(SECOND / 4)
    return bool(attempts)


async def test_fields_that_equal_values(world: World) -> None:
    await some_seats(world)
    assert keys(seats.where({Seat.taken: False, Seat.flight: "F1"})) == [1, 3, 5]
    assert keys(seats.where({Seat.taken: False, Seat.flight: "F1"}, descending=True, limit=2)) == [5, 3]
    assert keys(seats.where({"flight": "F1", "taken": True})) == [2]


async def test_a_field_between_two_values(world: World) -> None:
    await some_seats(world)
    f1 = {Seat.flight: "F1"}
    assert keys(seats.where({**f1, Seat.price: between(90, 100)})) == [1, 5, 3]
    assert keys(seats.where({**f1, Seat.price: between(90, 100, bounds="[)")})) == [1, 5]
    assert keys(seats.where({**f1, Seat.price: between(90, 100, bounds="(]")})) == [3]
    assert keys(seats.where({**f1, Seat.price: between(90, bounds="()")})) == [3, 2]
    assert keys(seats.where({**f1, Seat.price: between(high=90)})) == [1, 5]
    assert keys(seats.where({Seat.price: between(90)}, order=Seat.price, descending=True, limit=2)) == [2, 3]


async def test_order_and_limit(world: World) -> None:
    await some_seats(world)
    assert keys(seats.where({Seat.flight: "F1"}, order=Seat.price, limit=3)) == [1, 5, 3]
    assert keys(seats.where({Seat.flight: "F1"}, order=Seat.price, descending=True)) == [2, 3, 5, 1]
    assert keys(seats.where({}, order=Seat.price, limit=2)) == [4, 1]


async def test_a_longer_index_answers_where_nothing_is_cut_off(world: World) -> None:
    await some_seats(world)
    assert keys(seats.where({Seat.row: 1})) == [1, 2, 4]
    assert keys(seats.where({Seat.row: 1}, order=Seat.flight)) == [1, 2, 4]
    assert keys(seats.where({Seat.flight: "F1", Seat.row: 2}, order=Seat.price)) == [5, 3]
    with pytest.raises(DeclarationError, match=r"Declare one: seats.range_index\(Seat.row, Seat.flight\)"):
        seats.where({Seat.row: 1}, order=Seat.flight, limit=1)


async def test_only_what_was_found_is_what_was_read(world: World) -> None:
    def cheapest() -> Any:
        return seats.where({Seat.flight: "F1"}, order=Seat.price, limit=2)

    assert not await reruns(world, cheapest, Seat(9, "F1", 1, 500), Seat(8, "F2", 1, 10), Seat(3, "F1", 2, 101))


async def test_a_row_that_comes_among_the_first_is_a_change(world: World) -> None:
    assert await reruns(world, lambda: seats.where({Seat.flight: "F1"}, order=Seat.price, limit=2), Seat(9, "F1", 1, 5))


async def test_what_a_turn_wrote_itself_is_found(world: World) -> None:
    await some_seats(world)
    reads[:] = [lambda: keys(seats.where({Seat.flight: "F1"}, order=Seat.price, descending=True, limit=3))]
    world.answer(look, 1)
    await world.send(go, Go("own"))
    assert reads[1] == [2, 3, 9]


@pytest.mark.parametrize(
    ("conditions", "options", "says"),
    [
        ({Seat.note: "x"}, {}, r"Declare one: seats.index\(Seat.note\)"),
        ({Seat.flight: "F1", Seat.note: None}, {}, r"Declare one: seats.index\(Seat.flight, Seat.note\)"),
        ({Seat.taken: True}, {"order": Seat.row}, r"Declare one: seats.range_index\(Seat.taken, Seat.row\)"),
        ({Seat.row: between(1), Seat.price: between(2)}, {}, "`row` and `price` between values"),
        ({Seat.price: between(2)}, {"order": Seat.row}, "wants the order of `row` for rows with `price` between"),
        ({}, {}, r"no condition and no order. For all rows use `seats.all\(\)`"),
        ({"colour": 1}, {}, "`Seat` has no field `colour`"),
    ],
)
async def test_without_an_index_it_says_what_to_declare(world: World, conditions: Any, options: Any, says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        seats.where(conditions, **options)


async def test_a_value_of_another_type_is_an_error(world: World) -> None:
    with pytest.raises(TypeError, match="`flight` holds str, and is compared with 17"):
        seats.where({Seat.flight: 17, Seat.taken: False})


async def test_ends_of_intervals_first_and_last(world: World) -> None:
    await some_seats(world)
    assert keys(by_price.between(50, 100, bounds="()")) == [1, 5]
    assert keys(by_price.between(50, 100, bounds="(]", descending=True)) == [3, 5, 1]
    assert keys(by_price.between(limit=2, descending=True)) == [2, 3]
    first, last = by_price.first(), by_price.last()
    assert (first, last) == (seats[4], seats[2])
    assert by_price.first(90) == seats[1]
    assert by_price.last(90) == seats[5]
    assert by_price.first(91) is None


async def test_counts(world: World) -> None:
    assert (seats.count(), by_price.count_between()) == (0, 0)
    await some_seats(world)
    assert seats.count() == 5
    assert by_price.count_between(90, 100) == 3
    assert by_price.count_between(90, 100, bounds="()") == 0
    assert by_price.count_between(low=90) == 4


async def test_a_count_changes_only_when_the_number_does(world: World) -> None:
    assert not await reruns(world, seats.count, Seat(1, "F9", 9))
    assert await reruns(world, seats.count, Seat(77, "F9", 9))


async def test_a_count_of_an_interval_too(world: World) -> None:
    def count() -> int:
        return by_price.count_between(90, 100)

    assert not await reruns(world, count, Seat(1, "F1", 1, 99), Seat(7, "F1", 1, 101), Seat(2, "F1", 1, 10))
    assert await reruns(world, count, Seat(7, "F1", 1, 91))
