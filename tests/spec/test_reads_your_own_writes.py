"""A turn reads back what it has written, however it looks; nobody else sees it before it commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from extrovert import App, Record, Turn
from extrovert.testing import World


class Seat(Record):
    seat_id: int
    flight_id: str
    price: int = 100


class Order(Record):
    order_id: str


app = App("airline")
seats = app.table("seats", Seat, key=Seat.seat_id)
on = seats.index(Seat.flight_id)
on_at = seats.index(Seat.flight_id, Seat.price)
cheapest = seats.range_index(Seat.flight_id, Seat.price)
orders = app.stream("orders", Order, key=Order.order_id)
got: list[Any] = []
script: list[Callable[[Turn], Any]] = []


@app.view(over=seats)
def dear(seat: Seat) -> int | None:
    return seat.price if seat.price > 100 else None


@app.agent(wakes_on=orders)
async def obey(turn: Turn, order: Order) -> None:
    got.append(script[0](turn))


def keys(rows: Any) -> list[int]:
    return [row.seat_id for row in rows]


async def done(world: World, what: Callable[[Turn], Any]) -> Any:
    """What a turn got to see that does `what`, over seats 1 and 2 on F1 and 3 on F2."""
    got.clear()
    script[:] = [what]
    await world.send(seats, Seat(1, "F1", 110), Seat(2, "F1", 90), Seat(3, "F2", 50))
    await world.send(orders, Order("1"))
    assert world.dead_letters() == []
    return got[-1]


async def test_a_row(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(1, "F9"))
        turn.delete(seats, 2)
        return seats[1], seats.get(2), 2 in seats, 3 in seats

    assert await done(world, what) == (Seat(1, "F9"), None, False, True)


async def test_an_index(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(1, "F2"))
        turn.put(seats, Seat(0, "F1"))
        turn.put(seats, Seat(7, "F1", 90))
        return keys(on["F1"]), keys(on["F2"]), keys(on_at["F1", 90]), keys(on["F3"])

    assert await done(world, what) == ([0, 2, 7], [1, 3], [2, 7], [])


async def test_a_count(world: World) -> None:
    def what(turn: Turn) -> Any:
        before = on.count("F1"), on.count("F2"), on.count("F3")
        turn.put(seats, Seat(1, "F2"))
        turn.put(seats, Seat(2, "F1", 5))
        turn.put(seats, Seat(8, "F3"))
        turn.delete(seats, 3)
        turn.delete(seats, 99)
        return before, (on.count("F1"), on.count("F2"), on.count("F3"))

    assert await done(world, what) == ((2, 1, 0), (1, 1, 1))


async def test_an_interval(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(4, "F1", 100))
        turn.put(seats, Seat(3, "F1", 95))
        turn.delete(seats, 1)
        return keys(cheapest.under("F1")), keys(cheapest.between(("F1", 95), ("F1", 100))), keys(cheapest.under("F2"))

    assert await done(world, what) == ([2, 3, 4], [3, 4], [])


async def test_the_first_rows_of_an_interval(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.delete(seats, 2)
        first = keys(cheapest.under("F1", limit=1))
        turn.put(seats, Seat(9, "F1", 1))
        return (
            first,
            keys(cheapest.under("F1", limit=1)),
            keys(cheapest.between(limit=2)),
            keys(cheapest.between(limit=0)),
        )

    assert await done(world, what) == ([1], [9], [9, 1], [])


async def test_the_whole_table(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(0, "F1"))
        turn.delete(seats, 2)
        return keys(seats.all())

    assert await done(world, what) == [0, 1, 3]


async def test_the_latest_write_counts(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.delete(seats, 1)
        turn.put(seats, Seat(1, "F1", 1))
        turn.put(seats, Seat(1, "F1", 2))
        return seats[1].price

    assert await done(world, what) == 2
    assert seats[1].price == 2


async def test_views_show_the_context_without_it(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(2, "F1", 500))
        return dear.get(2), dear.get(1)

    assert await done(world, what) == (None, 110)
    assert dear[2] == 500


async def test_nobody_else_sees_it_before_it_commits(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(1, "F9"))
        return world.engine.shard.fold.context.tables["seats"].rows[1]

    assert await done(world, what) == Seat(1, "F1", 110)
    assert seats[1] == Seat(1, "F9")


async def test_what_it_read_back_is_no_read_of_the_context(world: World) -> None:
    def what(turn: Turn) -> Any:
        turn.put(seats, Seat(1, "F9"))
        return seats[1]

    await done(world, what)
    assert (await world.decision(obey, "1")).reads == []
