"""SQL over live context: what is selected is what is there, typed, at one moment, and nothing else can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from extrovert import App, DeclarationError, ExtrovertError, Record
from extrovert.surfaces.reaching import Hosted
from extrovert.surfaces.sql import select
from extrovert.testing import World
from tests.unit.queries.world_of_types import Everything, Place, Status, Tree

AT = datetime(2026, 1, 1, 12, 30, 0, 123456, UTC)


class Flight(Record):
    flight_id: str
    origin: str = "JFK"
    delay: int = 0


class Booking(Record):
    booking_id: str
    flight_id: str


class Late(Record):
    key: str
    delay: int


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
sold_seats = app.table("sold-seats", Flight, key=Flight.flight_id)
everything = app.table("everything", Everything, key=Everything.id)


@app.view(over=bookings)
def late(booking: Booking) -> Late | None:
    flight = flights.get(booking.flight_id)
    return None if flight is None or flight.delay < 60 else Late(booking.booking_id, flight.delay)


@app.view(over=flights)
def minutes(flight: Flight) -> int | None:
    return 100 // (flight.delay - 13)


@app.view(over=flights)
def unlike(flight: Flight) -> Flight | None:
    odd: Any = "other" if flight.delay == 1 else flight
    return odd


@pytest.fixture
def world() -> Iterator[World]:
    with World(app) as world:
        yield world


async def rows(world: World, query: str, **options: Any) -> list[tuple[Any, ...]]:
    """What `app.sql` selects; a command, which has the rows as JSON, must select the same."""
    found = await app.sql(world.engine, query, **options)
    assert command(world, query).rows == found.rows or options
    return found.rows


def command(world: World, query: str, limit: int | None = 1_000) -> Any:
    return select(Hosted(world.engine, Path()), query, limit)


async def test_a_table_is_selected_from(world: World) -> None:
    await world.send(flights, Flight("F1", delay=70), Flight("F2"), Flight("F3", "EWR"))
    assert await rows(world, "select origin, count(*), sum(delay) from flights group by 1 order by 1") == [
        ("EWR", 1, 0),
        ("JFK", 2, 70),
    ]
    assert await rows(world, "select 'x' || flight_id from FLIGHTS where delay > 60") == [("xF1",)]


async def test_tables_are_joined_with_views(world: World) -> None:
    await world.send(flights, Flight("F1", delay=70), Flight("F2"))
    await world.send(bookings, Booking("B1", "F1"), Booking("B2", "F2"))
    query = "select booking_id, late.delay from bookings join flights using (flight_id) join late on _key = booking_id"
    assert await rows(world, query) == [("B1", 70)]


async def test_a_view_has_its_key_in_front_then_the_fields_of_its_record_or_its_value(world: World) -> None:
    await world.send(flights, Flight("F1", delay=63), Flight("F2", delay=13))
    await world.send(bookings, Booking("B1", "F1"))
    found = await app.sql(world.engine, "from late")
    assert (found.columns, found.rows) == (["_key", "key", "delay"], [("B1", "B1", 63)])
    found = await app.sql(world.engine, "from minutes")
    assert (found.columns, found.types, found.rows) == (["key", "value"], ["VARCHAR", "BIGINT"], [("F1", 2)])


async def test_what_is_selected_is_what_is_true_now(world: World) -> None:
    assert await rows(world, "from flights") == []
    await world.send(flights, Flight("F1"))
    assert await rows(world, "select flight_id from flights") == [("F1",)]
    await world.send(flights, Flight("F1", "EWR"))
    assert await rows(world, "select origin from flights") == [("EWR",)]


async def test_each_type_is_kept(world: World) -> None:
    full = Everything(
        "E1",
        whole=2**62,
        real=0.5,
        yes=True,
        moment=AT,
        day=AT.date(),
        hour=time(1, 2, 3),
        span=timedelta(hours=1),
        exact=Decimal("12.5"),
        raw=b"\x00\xff",
        uuid=UUID(int=7),
        word="b",
        status=Status.SHUT,
        maybe=1,
        place=Place("Newark", AT),
        tags=["a", "b"],
        places=(Place("Queens"),),
        table={"x": 1},
        either="one",
        tree=Tree("t", [Tree("u")]),
        anything=[1, "two"],
        renamed=9,
    )
    await world.send(everything, full, Everything("E2"))
    first, second = await rows(world, "from everything order by id")
    assert first == (
        "E1",
        2**62,
        0.5,
        True,
        AT,
        date(2026, 1, 1),
        time(1, 2, 3),
        timedelta(hours=1),
        Decimal("12.5"),
        b"\x00\xff",
        str(UUID(int=7)),
        "b",
        "shut",
        1,
        {"city": "Newark", "at": AT},
        ["a", "b"],
        [{"city": "Queens", "at": None}],
        '{"x":1}',
        '"one"',
        {"name": "t", "under": ['{"name":"u","under":[]}']},
        '[1,"two"]',
        9,
    )
    nothing = (None,) * 7
    assert second == ("E2", 0, 0.0, False, *nothing, "a", "open", None, None, [], [], "{}", "0", None, None, 0)
    query = "select place.city, tags[1], \"table\"->>'$.x', date_trunc('day', moment) from everything where yes"
    assert await rows(world, query) == [("Newark", "a", "1", datetime(2026, 1, 1, tzinfo=UTC))]


async def test_a_column_with_a_value_that_is_not_of_its_type_is_text(world: World) -> None:
    await world.send(everything, Everything("E1", whole=3), Everything("E2", whole=2**80))
    found = await app.sql(world.engine, "select whole, real from everything order by id")
    assert found.rows == [("3", 0.0), (str(2**80), 0.0)]
    assert found.notes == ["`everything.whole` is text here: not all of its values are what its type says."]
    assert command(world, "select whole, real from everything order by id").rows == found.rows


async def test_a_view_whose_values_are_not_what_it_says_can_still_be_read(world: World) -> None:
    await world.send(flights, Flight("F1", delay=1), Flight("F2", delay=2))
    found = await app.sql(world.engine, "select key, delay from unlike order by key")
    assert found.rows == [("F1", None), ("F2", 2)]


async def test_names_that_are_no_words_are_quoted(world: World) -> None:
    await world.send(sold_seats, Flight("F1"))
    assert await rows(world, 'select flight_id from "sold-seats"') == [("F1",)]


async def test_there_are_at_most_so_many_rows(world: World) -> None:
    await world.send(flights, *(Flight(f"F{number}") for number in range(5_000)))
    found = await app.sql(world.engine, "from flights order by 1", limit=3)
    assert (len(found.rows), found.more) == (3, True)
    found = await app.sql(world.engine, "from flights", limit=5_000)
    assert (len(found.rows), found.more) == (5_000, False)
    assert len(await rows(world, "from flights", limit=None)) == 5_000
    assert command(world, "from flights", None).rows == found.rows


async def test_all_tables_of_a_query_are_read_at_one_moment_which_is_told(world: World) -> None:
    await world.send(flights, Flight("F1"), Flight("F2"))
    found = await app.sql(world.engine, "from flights")
    assert found.offset == world.engine.writing.durable == 2
    assert command(world, "from flights").offset == 2


async def test_what_is_told_is_durable(world: World) -> None:
    world.hand_in("flights", Flight("F1"))
    found = await app.sql(world.engine, "select count(*) from flights")
    assert found.rows == [(1,)]
    assert world.engine.writing.durable >= found.offset == 1


GOOD = [
    "table flights",
    "select * from main.flights",
    "with f as (from flights) select * from f",
    "select * from query_table('flights')",
    "select * from query('from flights')",
    "from flights f join flights g using (flight_id) select f.*",
    "select * from flights where flight_id in (select flight_id from flights)",
]


@pytest.mark.parametrize("query", GOOD)
async def test_the_ways_to_name_a_table(world: World, query: str) -> None:
    await world.send(flights, Flight("F1"))
    assert await rows(world, query) == [("F1", "JFK", 0)]


async def test_a_name_that_the_query_gives_itself_is_not_ours(world: World) -> None:
    await world.send(flights, Flight("F1"))
    assert await rows(world, "with flights as (select 7) from flights") == [(7,)]


async def test_tables_are_described(world: World) -> None:
    found = await rows(world, "describe flights")
    assert [row[:2] for row in found] == [("flight_id", "VARCHAR"), ("origin", "VARCHAR"), ("delay", "BIGINT")]


WRITES = [
    "insert into flights values ('F9', 'JFK', 1)",
    "update flights set delay = 1",
    "delete from flights",
    "drop view flights",
    "drop table flights",
    "create table t as from flights",
    "create or replace view flights as select 1",
    "create macro f() as 1",
    "alter table flights add column x int",
    "merge into flights using flights f on true when matched then delete",
    "copy flights to '{path}/out.csv'",
    "copy (select 1) to '{path}/out.csv'",
    "copy flights from '{path}/in.csv'",
    "export database '{path}/out'",
    "import database '{path}'",
    "attach '{path}/other.db'",
    "detach memory",
    "use memory",
    "install httpfs",
    "load httpfs",
    "load '{path}/in.csv'",
    "set threads = 1",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset enable_external_access",
    "pragma threads = 1",
    "pragma database_list",
    "call enable_logging(storage = 'file', storage_path = '{path}/log')",
    "create secret (type s3)",
    "prepare p as select 1",
    "begin",
    "checkpoint",
    "vacuum",
    "explain analyze select 1",
    "select 1; select 2",
    "select 1; drop view flights",
    "",
    ";",
]
READS = [
    "from '{path}/in.csv'",
    "from read_csv('{path}/in.csv')",
    "from read_text('{path}/in.csv')",
    "from read_blob('{path}/in.csv')",
    "from read_json('{path}/in.csv')",
    "from read_parquet('{path}/in.csv')",
    "from sniff_csv('{path}/in.csv')",
    "from glob('{path}/*')",
    "from query('from read_text(''{path}/in.csv'')')",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{path}/in.csv'')'))",
    "from flights where flight_id in (select content from read_text('{path}/in.csv'))",
    "from 'https://localhost/x.parquet'",
    "from enable_logging(storage = 'file', storage_path = '{path}/log')",
    "from enable_profiling(save_location = '{path}/log', format = 'json')",
    "from destroy_external_resource('read_text', '{path}/in.csv')",
    "from destroy_external_resource('copy flights to ''{path}/out.csv''; from range', 1)",
    "from pandas_scan()",
    "from python_map_function((from flights))",
    "from arrow_scan()",
    "with x as (insert into flights values ('F9', 'JFK', 1) returning *) from x",
    "select getenv('HOME')",
    "from duckdb_secrets()",
    "from secret",
    "from sqlite_scan('{path}/in.csv', 't')",
]


@pytest.mark.parametrize("query", [*WRITES, *READS])
async def test_nothing_but_live_context_is_read_and_nothing_written(world: World, tmp_path: Path, query: str) -> None:
    (tmp_path / "in.csv").write_text("secret\n1\n")
    secret = [{"a": 1}]
    await world.send(flights, Flight("F1"))
    with pytest.raises(ExtrovertError):
        await app.sql(world.engine, query.replace("{path}", str(tmp_path)))
    with pytest.raises(ExtrovertError):
        command(world, query.replace("{path}", str(tmp_path)))
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]
    assert flights["F1"] == Flight("F1")
    assert secret


async def test_errors_say_what_and_what_there_is(world: World) -> None:
    with pytest.raises(DeclarationError, match=r"There is no table or view `fligths`\. This app has: bookings, every"):
        await app.sql(world.engine, "from fligths")
    with pytest.raises(DeclarationError, match='column "delya" not found'):
        await app.sql(world.engine, "select delya from flights")
    with pytest.raises(DeclarationError, match="must be a SELECT, and is INSERT"):
        await app.sql(world.engine, "insert into flights values (1)")
    with pytest.raises(DeclarationError, match="Ask one question at a time; these are 2 statements"):
        await app.sql(world.engine, "select 1; select 2")
    with pytest.raises(DeclarationError, match="There is no question; ask one"):
        await app.sql(world.engine, " -- nothing")
    with pytest.raises(DeclarationError, match=r"This app has: bookings, every.* To see the columns of one: describe"):
        await app.sql(world.engine, "show tables")
    with pytest.raises(DeclarationError, match="syntax error"):
        await app.sql(world.engine, "selec 1")
    with pytest.raises(ExtrovertError, match="Conversion Error"):
        await app.sql(world.engine, "select cast('x' || random()::text as int)")


async def test_an_endless_query_is_stopped(world: World) -> None:
    endless = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t"
    with pytest.raises(ExtrovertError, match=r"it took longer than 0.2 s"):
        await app.sql(world.engine, endless, seconds=0.2)
    huge = "select * from range(10000000000000) limit 2"
    assert (await app.sql(world.engine, huge)).rows == [(0,), (1,)]


async def test_the_loop_goes_on_while_a_query_runs(world: World) -> None:
    await world.send(flights, Flight("F1"))
    asked = asyncio.create_task(app.sql(world.engine, "select count(*) from flights, range(30000) a, range(3000) b"))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await asked).rows == [(90_000_000,)]
    assert turns > 10
