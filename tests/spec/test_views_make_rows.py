"""A view that makes several rows of one makes a table: it is read by key, indexed, searched, viewed and woken on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, Record, Table, Turn
from extrovert.testing import World
from extrovert.turns.fold import Fold
from tests.hosts import Host

app = App("travel")


class Trip(Record):
    trip_id: str
    airports: list[str]
    travellers: int = 1


class Leg(Record):
    leg_id: str
    trip_id: str
    origin: str
    destination: str


class Visited(Record):
    code: str


class Counted(Record):
    code: str
    travellers: int


class Wait(Record):
    leg_id: str
    minutes: int


class Storm(Record):
    code: str
    hours: int


trips = app.table("trips", Trip, key=Trip.trip_id)
storms = app.table("storms", Storm, key=Storm.code)
evaluated: list[str] = []


@app.view(over=trips, key=Leg.leg_id)
def legs(trip: Trip) -> Iterator[Leg]:
    evaluated.append(trip.trip_id)
    if "???" in trip.airports:
        raise ValueError("where?")
    for number, (origin, destination) in enumerate(zip(trip.airports, trip.airports[1:], strict=False)):
        yield Leg(f"{trip.trip_id}-{number}", trip.trip_id, origin, destination)


by_origin = legs.index(Leg.origin)
of_trip = legs.range_index(Leg.trip_id, Leg.leg_id)
find = app.search("find", over=legs, text=[Leg.origin, Leg.destination])


@app.view(over=legs)
def late(leg: Leg) -> Wait | None:
    storm = storms.get(leg.origin)
    return None if storm is None else Wait(leg.leg_id, storm.hours * 60)


@app.view(over=late, key=Visited.code)
def stormy(wait: Wait) -> list[Visited]:
    leg = legs[wait.leg_id]
    return [Visited(leg.origin), Visited(leg.destination)]


@app.view(over=trips, key=Leg.leg_id)
def first(trip: Trip) -> list[Leg]:
    """The first leg from an airport: a row that several trips may make, each its own."""
    return [Leg(trip.airports[0], trip.trip_id, trip.airports[0], trip.airports[-1])]


@app.agent(wakes_on=legs)
async def book(turn: Turn, leg: Leg | None) -> None: ...


@pytest.fixture(autouse=True)
def nothing_evaluated() -> None:
    evaluated.clear()


async def test_rows_are_read_by_key_by_index_in_order_and_by_search(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD", "SFO"]), Trip("T2", ["ORD", "BOS"]))
    assert legs["T1-1"] == Leg("T1-1", "T1", "ORD", "SFO")
    assert [leg.leg_id for leg in by_origin["ORD"]] == ["T1-1", "T2-0"]
    assert [leg.leg_id for leg in of_trip.under("T1")] == ["T1-0", "T1-1"]
    assert [leg.leg_id for leg in legs.where({Leg.origin: "JFK"})] == ["T1-0"]
    assert [hit.row.leg_id for hit in find.search("bos")] == ["T2-0"]
    assert legs.count() == 3


async def test_rows_come_change_and_go_with_what_makes_them(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD", "SFO"]))
    await world.send(trips, Trip("T1", ["JFK", "BOS"]))
    assert list(legs.all()) == [Leg("T1-0", "T1", "JFK", "BOS")]
    assert (by_origin.count("ORD"), find.search("ord")) == (0, [])
    await world.send(trips, Trip("T1", []))
    assert legs.count() == 0


async def test_a_view_over_rows_looks_again_at_those_that_changed_alone(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD", "SFO"]), Trip("T2", ["ORD", "BOS"]))
    await world.send(storms, Storm("ORD", 2))
    assert (late.get("T1-0"), late["T1-1"], late["T2-0"]) == (None, Wait("T1-1", 120), Wait("T2-0", 120))
    assert [visited.code for visited in stormy.all()] == ["BOS", "ORD", "SFO"]


async def test_a_row_that_several_make_alike_stays_until_the_last_of_them_is_gone(world: World) -> None:
    await world.send(trips, Trip("T1", ["ORD", "SFO"]), Trip("T2", ["ORD", "BOS"]))
    await world.send(storms, Storm("ORD", 2))
    await world.send(trips, Trip("T1", []))
    assert [visited.code for visited in stormy.all()] == ["BOS", "ORD"]
    await world.send(trips, Trip("T2", []))
    assert stormy.count() == 0


async def test_a_row_that_two_make_differently_is_quarantined_until_they_agree(world: World) -> None:
    await world.send(trips, Trip("T1", ["ORD", "SFO"]), Trip("T2", ["ORD", "BOS"]), Trip("T3", ["JFK", "BOS"]))
    assert [leg.leg_id for leg in first.all()] == ["JFK"]
    assert quarantine(world, "first") == {"ORD": "`T1` and `T2` of `trips` make different rows of `ORD`"}
    await world.send(trips, Trip("T1", ["SFO", "BOS"]))
    assert [leg.leg_id for leg in first.all()] == ["JFK", "ORD", "SFO"]
    assert quarantine(world, "first") == {}


async def test_an_agent_wakes_per_row_that_changed(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD", "SFO"]))
    await world.send(trips, Trip("T1", ["JFK", "ORD", "BOS"]))  # the first leg is equal
    woken = [decision.id.partition("@")[0] for decision in world.decisions(book)]
    assert woken == ["book:T1-0", "book:T1-1", "book:T1-1"]


async def test_what_is_equal_stops_there(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD"]), Trip("T2", ["JFK", "ORD"]))
    before = versions(world, "legs")
    evaluated.clear()
    await world.send(trips, Trip("T1", ["JFK", "ORD"], travellers=2))
    assert evaluated == ["T1"]
    assert versions(world, "legs") == before


async def test_a_view_that_raises_has_no_rows_and_the_others_have_theirs(world: World) -> None:
    await world.send(trips, Trip("T1", ["JFK", "ORD"]), Trip("T2", ["ORD", "BOS"]))
    await world.send(trips, Trip("T1", ["JFK", "???"]))
    assert [leg.leg_id for leg in legs.all()] == ["T2-0"]
    assert quarantine(world, "legs") == {"trips/T1": "ValueError: where?"}
    await world.send(trips, Trip("T1", ["JFK", "LAX"]))
    assert legs["T1-0"].destination == "LAX"
    assert quarantine(world, "legs") == {}


async def test_nobody_else_writes_the_rows() -> None:
    own = App("own")
    rows = own.table("rows", Trip, key=Trip.trip_id)

    @own.view(over=rows, key=Visited.code)
    def seen(trip: Trip) -> list[Visited]:
        return [Visited(code) for code in trip.airports]

    @own.agent(wakes_on=rows)
    async def writes(turn: Turn, trip: Trip) -> None:
        turn.put(seen, Visited("LAX"))

    with World(own) as world:
        await world.send(rows, Trip("T1", ["JFK"]))
        (letter,) = world.dead_letters()
        assert "wrote to table `seen`, whose rows are made by view `seen`" in letter.cause


async def test_rows_of_the_wrong_type_or_key_are_quarantined_with_the_cause() -> None:
    own = App("own")
    rows = own.table("rows", Trip, key=Trip.trip_id)
    makes = {
        "A": [Trip("T", [])],
        "B": [Visited("")],
        "C": [Visited(7)],  # pyright: ignore[reportArgumentType]
        "D": None,
        "E": [Visited("x"), Visited("x")],
        "F": 5,
    }

    @own.view(over=rows, key=Visited.code)
    def seen(trip: Trip) -> list[Visited]:
        return makes[trip.trip_id]  # pyright: ignore

    with World(own) as world:
        await world.send(rows, *(Trip(key, []) for key in makes))
        causes = {key.removeprefix("rows/"): cause for key, cause in quarantine(world, "seen").items()}
        assert list(seen.all()) == [Visited("x")]
        assert sorted(causes) == ["A", "B", "C", "D", "F"]
        assert causes["A"] == "TypeError: it made a Trip; its rows are Visited"
        assert "`code` must be a whole number or 1 to 512 characters" in causes["B"]
        assert "Expected `str`, got `int` - at `$.code`" in causes["C"]
        assert causes["D"] == "TypeError: it made a NoneType; with key= it gives rows, as a list or by yield"


@pytest.mark.parametrize("from_snapshot", [True, False])
async def test_after_a_crash_rows_and_versions_are_the_same(tmp_path: Path, from_snapshot: bool) -> None:
    host = Host(app, tmp_path / "log")
    await host.send(trips, Trip("T1", ["JFK", "ORD", "SFO"]), Trip("T2", ["ORD", "BOS"]))
    await host.send(storms, Storm("ORD", 2))
    if from_snapshot:
        host.engine.keep_snapshot()
    await host.send(trips, Trip("T1", ["ORD", "JFK"]))
    host.flush()
    before = rows_of(host.fold)
    host.crash()
    assert rows_of(host.fold) == before
    decided = len(host.decisions())
    await host.settle()
    assert len(host.decisions()) == decided


async def test_rows_that_a_new_edition_of_the_view_does_not_make_are_gone(tmp_path: Path) -> None:
    def edition(least: int) -> App:
        made = App("travel")
        trips = made.table("trips", Trip, key=Trip.trip_id)

        @made.view(over=trips, key=Visited.code)
        def seen(trip: Trip) -> list[Visited]:
            return [Visited(code) for code in trip.airports] if trip.travellers >= least else []

        @made.view(over=seen)
        def twice(visited: Visited) -> str:
            return visited.code * 2

        return made

    host = Host(edition(1), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Trip("T1", ["JFK"]), Trip("T2", ["ORD"], 2))
    await host.stop()
    again = Host(edition(2), tmp_path / "log")
    context = again.fold.context
    assert list(context.tables["seen"].rows) == ["ORD"]
    assert context.views["twice"].values == {"ORD": "ORDORD"}


async def test_a_new_edition_of_the_view_may_make_other_records(tmp_path: Path) -> None:
    def edition(*, counted: bool) -> App:
        made = App("travel")
        trips = made.table("trips", Trip, key=Trip.trip_id)

        def counts(trip: Trip) -> Iterator[Counted]:
            yield Counted(trip.airports[0], trip.travellers)

        def visits(trip: Trip) -> Iterator[Visited]:
            yield Visited(trip.airports[0])

        counts.__name__ = visits.__name__ = "seen"
        seen: Table[str, Any] = made.view(over=trips, key="code")(counts if counted else visits)
        seen.index("code")

        @made.agent(wakes_on=seen)
        async def see(turn: Turn, row: Record) -> None: ...

        return made

    host = Host(edition(counted=False), tmp_path / "log")
    await host.send(host.declared.tables[0], Trip("T1", ["JFK"], 3))
    await host.stop()
    again = Host(edition(counted=True), tmp_path / "log")
    assert again.fold.context.tables["seen"].rows == {"JFK": Counted("JFK", 3)}
    await again.settle()
    assert len(again.decisions()) == 2  # the row is another one now


def test_what_it_makes_is_found_in_its_annotation() -> None:
    with pytest.raises(DeclarationError, match=r"View `nothing` makes rows by `leg_id`, so say of which record"):

        @app.view(over=trips, key=Leg.leg_id)  # pyright: ignore[reportArgumentType]
        def nothing(trip: Trip) -> list[str]:
            return []

    with pytest.raises(DeclarationError, match="has no field `code`"):

        @app.view(over=trips, key=Visited.code)
        def wrong(trip: Trip) -> list[Leg]:
            return []


def quarantine(world: World, view: str) -> dict[str, str]:
    return world.engine.shard.fold.context.views[view].quarantined()


def versions(world: World, table: str) -> dict[str, int]:
    return dict(world.engine.shard.fold.context.tables[table].versions)


def rows_of(fold: Fold) -> dict[str, dict[str, tuple[Record, int]]]:
    """The rows that views make, with their versions."""
    tables = [fold.context.tables[name] for name in ("legs", "stormy", "first")]
    return {one.name: {key: (row, one.versions[key]) for key, row in one.rows.items()} for one in tables}
