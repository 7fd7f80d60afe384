"""Look-ups: the tools that are made of what is declared, what they take, and what they give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from msgspec.structs import astuple

from extrovert import App, DeclarationError, Record, Tumbling
from extrovert.context.aggregates import count
from extrovert.context.reads import reading
from extrovert.core.schema import wanted
from extrovert.testing import World
from extrovert.turns.lookups import MOST, Lookup
from extrovert.turns.scope import TurnScope
from extrovert.turns.tools import tool_of

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Flight(Record):
    """A flight of one day."""

    flight_id: str
    origin: str
    departs_at: datetime
    seats: Annotated[int, Meta(ge=0)] = 0
    state: Literal["planned", "gone"] = "planned"


class Page(Record):
    number: int
    text: str
    airline: str | None = None
    tags: list[str] = []


class Scan(Record):
    gate: str
    at: datetime


class Traffic(Record):
    gate: str
    starts_at: datetime
    ends_at: datetime
    people: int


app = App("airport")
flights = app.table("flights", Flight, key=Flight.flight_id)
by_origin = flights.index(Flight.origin)
by_origin_seats = flights.index(Flight.origin, Flight.seats)
by_time = flights.range_index(Flight.departs_at)
by_origin_time = flights.range_index(Flight.origin, Flight.departs_at)
pages = app.table("pages", Page, key=Page.number)
manual = app.search("manual", over=pages, text=Page.text)
scans = app.stream("scans", Scan, key=Scan.gate)
traffic = app.window(
    scans, Traffic, at=Scan.at, spans=Tumbling(timedelta(minutes=5)), people=count(), keep=timedelta(hours=1)
)


@app.view(over=flights)
def crowded(flight: Flight) -> Flight | None:
    """A flight that has no seat left."""
    return flight if not flight.seats else None


FLIGHTS = [Flight(f"F{n}", "JFK" if n < 4 else "LGA", NINE + timedelta(hours=n), n) for n in range(6)]


def use(tool: Lookup, *, world: World, **arguments: Any) -> Any:
    """What the tool gives for arguments as a model says them."""
    values = astuple(msgspec.convert(arguments, tool.arguments))
    with world.engine.reading():
        return tool.run(None, values)  # pyright: ignore[reportArgumentType] -- look-ups do not look at the turn


def one(of: Any) -> Lookup:
    tool = tool_of(of)
    assert isinstance(tool, Lookup)
    return tool


def keys(found: Any) -> list[Any]:
    return [row.get("flight_id", row.get("number")) for row in found["rows"]]


async def fill(world: World) -> None:
    await world.send(flights, *FLIGHTS)


def test_names_say_what_is_looked_up() -> None:
    declared = [flights, by_origin, by_origin_seats, by_time, by_origin_time, manual, traffic, crowded]
    assert [one(of).name for of in declared] == [
        "look_up_flights",
        "find_flights_by_origin",
        "find_flights_by_origin_seats",
        "find_flights_between_departs_at",
        "find_flights_by_origin_between_departs_at",
        "search_manual",
        "look_up_traffic",
        "look_up_crowded",
    ]


def test_descriptions_have_the_docstring_and_the_fields_with_their_types() -> None:
    assert one(flights).description == (
        "The row of `flights` at its key `flight_id`. A flight of one day. Its fields: flight_id: str, origin: str, "
        "departs_at: datetime, seats: int, state: Literal['planned', 'gone']."
    )
    assert "A flight that has no seat left." in one(crowded).description


def test_the_schema_of_the_arguments_has_the_types_of_the_fields() -> None:
    schema = wanted(one(by_origin_time).arguments, "")
    assert schema["required"] == ["origin"]
    assert list(schema["properties"]) == ["origin", "departs_at_from", "departs_at_to", "limit", "descending"]
    assert schema["properties"]["departs_at_from"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert (schema["properties"]["limit"]["minimum"], schema["properties"]["limit"]["maximum"]) == (1, MOST)
    assert wanted(one(pages).arguments, "")["properties"] == {"number": {"type": "integer"}}


async def test_a_row_by_its_key(world: World) -> None:
    await fill(world)
    assert use(one(flights), world=world, flight_id="F1") == {
        "row": {
            "flight_id": "F1", "origin": "JFK", "departs_at": "2026-03-01T10:00:00Z", "seats": 1, "state": "planned",
        }
    }  # fmt: skip


async def test_an_absent_row_is_said_plainly(world: World) -> None:
    assert use(one(flights), world=world, flight_id="F9") == {
        "row": None,
        "note": "`flights` has nothing at `F9`.",
    }
    assert use(one(by_origin), world=world, origin="BOS") == {
        "rows": [],
        "note": "`flights` has no row of origin `BOS`.",
    }


async def test_a_views_value(world: World) -> None:
    await fill(world)
    assert use(one(crowded), world=world, key="F0")["row"]["flight_id"] == "F0"
    assert use(one(crowded), world=world, key="F1")["row"] is None


async def test_rows_of_a_value_come_by_key_and_are_bounded(world: World) -> None:
    await fill(world)
    assert keys(use(one(by_origin), world=world, origin="JFK")) == ["F0", "F1", "F2", "F3"]
    found = use(one(by_origin), world=world, origin="JFK", limit=3)
    assert keys(found) == ["F0", "F1", "F2"]
    assert found["note"] == "1 more rows were left out, since limit is 3."
    assert keys(use(one(by_origin_seats), world=world, origin="JFK", seats=2)) == ["F2"]


async def test_rows_between_two_values(world: World) -> None:
    await fill(world)
    ten, noon = "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z"
    tool = one(by_origin_time)
    assert keys(use(tool, world=world, origin="JFK", departs_at_from=ten, departs_at_to=noon)) == ["F1", "F2", "F3"]
    assert keys(use(tool, world=world, origin="LGA")) == ["F4", "F5"]
    assert keys(use(tool, world=world, origin="JFK", departs_at_from=noon)) == ["F3"]
    found = use(tool, world=world, origin="JFK", departs_at_to=noon, limit=2, descending=True)
    assert keys(found) == ["F3", "F2"]
    assert found["note"] == "More rows were left out, since limit is 2."
    assert keys(use(one(by_time), world=world, departs_at_from=noon)) == ["F3", "F4", "F5"]
    assert keys(use(one(by_time), world=world, limit=1)) == ["F0"]


async def test_search_with_its_filters(world: World) -> None:
    await world.send(pages, Page(1, "lost luggage", "AA"), Page(2, "lost children", "BB"), Page(3, "pets"))
    assert sorted(keys(use(one(manual), world=world, text="lost"))) == [1, 2]
    assert keys(use(one(manual), world=world, text="lost", where={"airline": "BB"})) == [2]
    assert use(one(manual), world=world, text="zebra")["rows"] == []
    with pytest.raises(msgspec.ValidationError, match="unknown field `text`"):
        use(one(manual), world=world, text="lost", where={"text": "lost luggage"})


async def test_windows_of_a_key_come_latest_first(world: World) -> None:
    for minutes in (0, 1, 6, 12):
        await world.send(scans, Scan("A", world.now - timedelta(minutes=20 - minutes)))
    found = use(one(traffic), world=world, gate="A")
    assert [row["people"] for row in found["rows"]] == [1, 1, 2]
    assert len(use(one(traffic), world=world, gate="A", limit=1)["rows"]) == 1
    moment = (world.now - timedelta(minutes=20)).isoformat()
    assert use(one(traffic), world=world, gate="A", at=moment)["row"]["people"] == 2
    assert use(one(traffic), world=world, gate="B")["rows"] == []


@pytest.mark.parametrize("arguments", [{}, {"flight_id": 7}, {"flight_id": "F1", "more": 1}])
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(arguments, one(flights).arguments)


@pytest.mark.parametrize("limit", [0, MOST + 1])
def test_a_limit_is_bounded(limit: int) -> None:
    with pytest.raises(msgspec.ValidationError, match="limit"):
        msgspec.convert({"origin": "JFK", "limit": limit}, one(by_origin).arguments)


async def test_what_is_looked_up_in_a_turn_is_tracked(world: World) -> None:
    await fill(world)
    scope = TurnScope(world.engine.shard.fold.context, "a turn")
    with reading(scope):
        one(flights).look(("F9",))
        one(by_origin).look(("JFK", 1))
        one(by_origin_time).look(("JFK", None, None, 2, False))
    found = {(of.kind, of.name, str(selector)) for of, selector in scope.taken}
    assert found == {
        ("row", "flights", "F9"),
        ("index", "flights.origin", "JFK"),
        ("range", "flights.origin<departs_at", "(('JFK',), ('JFK',), 3)"),
    }


def test_a_name_that_is_too_long_or_strange_is_made_short_and_plain() -> None:
    other = App("other")
    long = other.table("t" * 80, Flight, key=Flight.flight_id)
    strange = other.table("flüge", Flight, key=Flight.flight_id)
    assert len(one(long).name) == 64
    assert one(strange).name.isascii()
    assert one(strange).name.startswith("look_up_fl_ge_")


def test_nothing_else_can_be_looked_up() -> None:
    with pytest.raises(DeclarationError, match="a range index, a view, a window or a search of the app, not"):
        tool_of(scans)
