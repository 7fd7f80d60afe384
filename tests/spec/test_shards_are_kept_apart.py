"""With strict shards a view or a turn reads its own shard and what is replicated, writes its own, and reaches another
by an event; a breach names the read and both ways out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from extrovert import App, DecisionInvalidated, DeclarationError, Record, Tumbling, Turn
from extrovert import aggregates as agg
from extrovert.testing import World
from extrovert.testing.world import START


class Flight(Record):
    flight_id: str
    destination: str
    seats: int = 1


class Booking(Record):
    booking_id: str
    destination: str
    flight_id: str


class Airport(Record):
    code: str
    city: str


class Delay(Record):
    flight_id: str
    at: datetime


class Asked(Record):
    destination: str
    what: str
    key: str


app = App("airline", strict_shards=True)
flights = app.table("flights", Flight, key=Flight.flight_id, shard_by=Flight.destination)
bookings = app.table("bookings", Booking, key=Booking.booking_id, shard_by=Booking.destination)
airports = app.table("airports", Airport, key=Airport.code, replicated=True)
notes = app.table("notes", Asked, key=Asked.destination)
asked = app.stream("asked", Asked, key=Asked.key, shard_by=Asked.destination)
bound_for = flights.index(Flight.destination)
by_seats = flights.index(Flight.seats)
in_order = flights.range_index(Flight.destination, Flight.seats)


@app.view(over=bookings)
def flown(booking: Booking) -> str | None:
    flight = flights.get(booking.flight_id)
    return None if flight is None else airports[flight.destination].city


@app.view(over=airports)
def size(airport: Airport) -> int:
    return bound_for.count(airport.code)


@app.view(over=airports)
def known(airport: Airport) -> str:
    return airports[airport.code].city.upper()


DOES: dict[str, Callable[[Turn, str], object]] = {
    "read": lambda turn, key: flights.get(key),
    "index": lambda turn, key: bound_for[key],
    "range": lambda turn, key: in_order.under(key),
    "all": lambda turn, key: list(flights.all()),
    "count": lambda turn, key: bound_for.count(key),
    "count all": lambda turn, key: by_seats.count(1),
    "view": lambda turn, key: flown.get(key),
    "replicated": lambda turn, key: airports[key],
    "put": lambda turn, key: turn.put(notes, Asked(key, "noted", key)),
    "put replicated": lambda turn, key: turn.put(airports, Airport(key, "nowhere")),
    "delete": lambda turn, key: turn.delete(notes, key),
    "emit": lambda turn, key: turn.emit(asked, Asked(key, "put", key)),
}


@app.agent(wakes_on=asked, max_tries=1)
async def do(turn: Turn, event: Asked) -> None:
    DOES[event.what](turn, event.key)


async def outcome(world: World, what: str, key: str, shard: str = "BOS") -> str:
    """ "done", or why not."""
    await world.send(airports, Airport("BOS", "Boston"), Airport("ORD", "Chicago"))
    await world.send(flights, Flight("F1", "BOS"), Flight("F2", "ORD"))
    await world.send(bookings, Booking("B1", "BOS", "F1"), Booking("B2", "ORD", "F2"))
    await world.send(notes, Asked("ORD", "there", "x"))
    await world.send(asked, Asked(shard, what, key))
    letters = world.dead_letters()
    return letters[-1].cause if letters else "done"


FINE = [
    ("read", "F1"), ("read", "F9"), ("index", "BOS"), ("range", "BOS"), ("count", "BOS"), ("view", "B1"),
    ("replicated", "ORD"), ("put", "BOS"), ("emit", "ORD"), ("delete", "BOS"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "key"), FINE)
async def test_what_is_in_its_own_shard_or_replicated_it_may(what: str, key: str, world: World) -> None:
    assert await outcome(world, what, key) == "done"


BREACHES = [
    ("read", "F2", "read row `F2` of table `flights`, which is in shard `ORD`"),
    ("index", "ORD", "read index `flights.destination` at `ORD`, which is in shard `ORD`"),
    ("range", "ORD", "which is in shard `ORD`"),
    ("all", "-", "read all of table `flights`, which is in shard `ORD`"),
    ("count", "ORD", "which is in shard `ORD`"),
    (
        "count all",
        "-",
        "counted index `flights.seats` at `1` over all shards. Count by an index that has `destination`",
    ),
    ("view", "B2", "read view `flown` at `B2`, which is in shard `ORD`"),
    ("put", "ORD", "wrote to table `notes` a row of shard `ORD`. Emit an event to that shard"),
    ("put replicated", "BOS", "wrote to table `airports`, which is replicated: turns only read it"),
    ("delete", "ORD", "read row `ORD` of table `notes`, which is in shard `ORD`"),
]


@pytest.mark.parametrize(("what", "key", "why"), BREACHES)
async def test_what_lies_beyond_it_may_not(what: str, key: str, why: str, world: World) -> None:
    cause = await outcome(world, what, key)
    assert cause.startswith(f"failed: ShardBreach: Agent `do`, wake `asked@{8}`, of shard `BOS`, ")
    assert why in cause


async def test_a_breach_says_both_ways_out(world: World) -> None:
    cause = await outcome(world, "read", "F2")
    assert cause.endswith(
        "Declare table `flights` as replicated=True, if every shard should have it, or emit an event to shard `ORD` "
        "and read there."
    )


async def test_an_event_reaches_another_shard(world: World) -> None:
    await outcome(world, "emit", "ORD")
    assert notes["ORD"] == Asked("ORD", "noted", "ORD")


async def test_a_turn_on_an_invalidated_decision_is_of_the_shard_in_which_that_was_made() -> None:
    app = App("delays", strict_shards=True)
    hour = timedelta(hours=1)
    delays = app.table("delays", Delay, key=Delay.flight_id, order_by=Delay.at, history=2 * hour, replicated=True)
    bookings = app.table("bookings", Booking, key=Booking.booking_id, shard_by=Booking.destination)
    told = app.table("told", Asked, key=Asked.key, shard_by=Asked.destination)

    @app.agent(wakes_on=bookings)
    async def tell(turn: Turn, booking: Booking) -> None:
        late = booking.flight_id in delays
        turn.put(told, Asked(booking.destination, "late" if late else "in time", booking.booking_id))

    @app.agent(wakes_on=app.invalidations(horizon=hour))
    async def mend(turn: Turn, event: DecisionInvalidated) -> None:
        turn.put(told, told[str(event.about)].but(what="late after all"))

    with World(app) as world:
        await world.send(delays, Delay("F2", START + 0.2 * hour))
        await world.send(bookings, Booking("B1", "BOS", "F1"))
        await world.send(delays, Delay("F1", START + 0.1 * hour))
        assert world.dead_letters() == []
        assert told["B1"].what == "late after all"


async def test_a_view_keeps_to_the_shard_of_its_row(world: World) -> None:
    await outcome(world, "read", "F1")
    assert flown.get("B1") == "Boston"
    await world.send(bookings, Booking("B1", "BOS", "F2"))
    assert flown.get("B1") is None
    quarantined = world.engine.shard.fold.context.views["flown"].quarantine["B1"]
    assert quarantined.startswith("ShardBreach: View `flown` at `B1`, of shard `BOS`, read row `F2` of table `flights`")


async def test_a_view_over_a_replicated_table_reads_only_what_is_replicated(world: World) -> None:
    await outcome(world, "read", "F1")
    assert known["BOS"] == "BOSTON"
    assert size.get("BOS") is None
    assert "of every shard, read" in world.engine.shard.fold.context.views["size"].quarantine["BOS"]


async def test_the_rows_that_a_view_makes_are_in_the_shard_of_the_row_that_it_is_over() -> None:
    app = App("airline", strict_shards=True)
    rows = app.table("rows", Flight, key=Flight.flight_id, shard_by=Flight.destination)

    @app.view(over=rows, key=Booking.booking_id, shard_by=Booking.destination)
    def seats(flight: Flight) -> list[Booking]:
        elsewhere = "LAX" if flight.seats > 2 else flight.destination
        return [Booking(f"{flight.flight_id}-{n}", elsewhere, flight.flight_id) for n in range(flight.seats)]

    @app.view(over=rows)
    def first(flight: Flight) -> str | None:
        return seats[f"{flight.flight_id}-0"].destination

    @app.view(over=first)
    def again(destination: str) -> int:
        return len(seats[f"F{1 if destination == 'BOS' else 2}-0"].booking_id)

    with World(app) as world:
        await world.send(rows, Flight("F1", "BOS"), Flight("F2", "ORD", 2), Flight("F3", "ORD", 3))
        assert [row.booking_id for row in seats.all()] == ["F1-0", "F2-0", "F2-1"]
        assert (again["F1"], again["F2"]) == (4, 4)
        cause = world.engine.shard.fold.context.views["seats"].quarantine["F3"]
        assert "View `seats` at `F3`, of shard `ORD`, made a row of shard `LAX`" in cause
        assert cause.endswith("say with shard_by= which of their fields tells it.")


async def test_without_it_shards_are_not_looked_at() -> None:
    free = App("airline")
    rows = free.table("flights", Flight, key=Flight.flight_id, shard_by=Flight.destination)
    others = free.table("bookings", Booking, key=Booking.booking_id, shard_by=Booking.destination)

    @free.view(over=others)
    def where(booking: Booking) -> str:
        return rows[booking.flight_id].destination

    with World(free) as world:
        await world.send(rows, Flight("F2", "ORD"))
        await world.send(others, Booking("B1", "BOS", "F2"))
        assert where["B1"] == "ORD"


def test_a_table_is_replicated_or_sharded() -> None:
    with pytest.raises(DeclarationError, match="is either replicated or sharded by a field, not both"):
        App("airline").table("flights", Flight, key=Flight.flight_id, shard_by=Flight.destination, replicated=True)


class Scan(Record):
    scan_id: str
    gate: str
    destination: str
    at: datetime


class PerGate(Record):
    gate: str
    starts_at: datetime
    ends_at: datetime
    destination: str
    scans: int


@pytest.mark.parametrize(
    ("options", "apart"), [({}, True), ({"shard_by": PerGate.destination}, False), ({"replicated": True}, False)]
)
async def test_a_window_is_sharded_as_a_table_is(options: dict[str, Any], apart: bool) -> None:
    app = App("gates", strict_shards=True)
    scans = app.stream("scans", Scan, key=Scan.scan_id)
    per_gate = app.window(
        scans,
        PerGate,
        at=Scan.at,
        by=Scan.gate,
        spans=Tumbling(timedelta(minutes=1)),
        destination=agg.last(Scan.destination),
        scans=agg.count(),
        **options,
    )
    airports = app.table("airports", Airport, key=Airport.code)

    @app.agent(wakes_on=airports, max_tries=1)
    async def read(turn: Turn, airport: Airport) -> None:
        """Reads a gate's windows from its airport."""
        per_gate.latest("B7")

    with World(app) as world:
        await world.send(scans, Scan("s1", "B7", "BOS", START))
        await world.send(airports, Airport("BOS", "Boston"))
        causes = [letter.cause for letter in world.dead_letters()]
        assert ["which is in shard `B7`" in cause for cause in causes] == [True] * apart


def test_a_window_is_either_replicated_or_sharded() -> None:
    app = App("gates")
    scans = app.stream("scans", Scan, key=Scan.gate)
    options: dict[str, Any] = {"at": Scan.at, "spans": Tumbling(timedelta(minutes=1)), "scans": agg.count()}
    options["destination"] = agg.last(Scan.destination)
    with pytest.raises(DeclarationError, match="Window `per_gate` is either replicated or sharded by a field"):
        app.window(scans, PerGate, shard_by=PerGate.destination, replicated=True, **options)
    with pytest.raises(DeclarationError, match="has no field `airport`"):
        app.window(scans, PerGate, shard_by="airport", **options)
