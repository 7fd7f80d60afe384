"""The official MCP client reads live context over HTTP: what is published, as it is now, and hears when it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp import Client, MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ResourceUpdated

from extrovert import App, Http, Record
from extrovert.engine.loop import Engine
from tests.hosts import until

PATIENCE_S = 10


class Flight(Record):
    """A flight of today."""

    flight: str
    origin: str
    destination: str
    left: int = 0


class Passenger(Record):
    name: str
    card: str


class Page(Record):
    title: str
    text: str


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight)
passengers = app.table("passengers", Passenger, key=Passenger.name)
pages = app.table("pages", Page, key=Page.title)
by_route = flights.index(Flight.origin, Flight.destination)
by_left = flights.range_index(Flight.left)
policies = app.search("policies", over=pages, text=Page.text)


@app.view(over=flights)
def full(flight: Flight) -> str | None:
    """Why nobody can be put on a flight."""
    return "it is full" if flight.left == 0 else None


app.publish(flights, by_route, by_left, policies, full)

F1 = "extrovert://tables/flights/F1"


@asynccontextmanager
async def running(data: Path, **settings: Any) -> AsyncGenerator[tuple[Engine, str]]:
    http = Http(port=0, **settings)
    async with app.serving(data, beside=[http]) as engine:
        await engine.send(
            flights, [Flight("F1", "JFK", "ORD"), Flight("F2", "JFK", "ORD", 3), Flight("F3", "LGA", "ORD", 5)]
        )
        await engine.send(passengers, [Passenger("ann", "4111-1111")])
        await engine.send(pages, [Page("pets", "Small dogs fly in the cabin.")])
        yield engine, f"{http.url}/mcp"


def read(text: Any) -> dict[str, Any]:
    return msgspec.json.decode(text.contents[0].text)


async def subscribe(client: Client, address: str, instead_of: str = "") -> None:
    """As clients did until the protocol of 2026."""
    if instead_of:
        with pytest.warns(MCPDeprecationWarning):
            await client.unsubscribe_resource(instead_of)  # pyright: ignore[reportDeprecated]
    with pytest.warns(MCPDeprecationWarning):
        await client.subscribe_resource(address)  # pyright: ignore[reportDeprecated]


async def next_of(events: Any) -> ResourceUpdated:
    return await asyncio.wait_for(anext(events), PATIENCE_S)


async def test_a_client_is_offered_what_is_published_and_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, url), Client(url) as client:
        tools = (await client.list_tools()).tools
        templates = (await client.list_resource_templates()).resource_templates
    assert [tool.name for tool in tools] == [
        "look_up_flights",
        "find_flights_by_origin_destination",
        "find_flights_between_left",
        "search_policies",
        "look_up_full",
    ]
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
    assert tools[0].input_schema["properties"] == {"flight": {"type": "string"}}
    assert "A flight of today. Its fields: flight: str, origin: str" in (tools[0].description or "")
    assert [template.uri_template for template in templates] == [
        "extrovert://tables/flights/{flight}",
        "extrovert://indexes/flights.origin+destination/{origin}/{destination}",
        "extrovert://searches/policies/{text}",
        "extrovert://views/full/{key}",
    ]


async def test_what_is_looked_up_is_true_now_and_says_as_of_when(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, url), Client(url) as client:
        first = (await client.call_tool("look_up_flights", {"flight": "F2"})).structured_content
        await engine.send(flights, [Flight("F2", "JFK", "ORD", 2)])
        second = (await client.call_tool("look_up_flights", {"flight": "F2"})).structured_content
    assert first["row"] == {"flight": "F2", "origin": "JFK", "destination": "ORD", "left": 3}
    assert second["row"]["left"] == 2
    assert second["as_of"]["offset"] > first["as_of"]["offset"]
    assert second["as_of"]["at"] >= first["as_of"]["at"]


@pytest.mark.parametrize(
    ("tool", "arguments", "titles"),
    [
        ("find_flights_by_origin_destination", {"origin": "JFK", "destination": "ORD"}, ["F1", "F2"]),
        ("find_flights_between_left", {"left_from": 3}, ["F2", "F3"]),
        ("search_policies", {"text": "dogs"}, ["pets"]),
    ],
)
async def test_rows_are_found(tmp_path: Path, tool: str, arguments: dict[str, Any], titles: list[str]) -> None:
    async with running(tmp_path) as (_, url), Client(url) as client:
        found = await client.call_tool(tool, arguments)
    assert [next(iter(row.values())) for row in found.structured_content["rows"]] == titles


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("look_up_passengers", {"name": "ann"}, "Nothing that is published is called `look_up_passengers`."),
        ("look_up_flights", {}, "Object missing required field `flight`"),
        ("look_up_flights", {"flight": 7}, "Expected `str`, got `int`"),
        ("look_up_flights", {"flight": "F1", "as": "root"}, "Object contains unknown field `as`"),
        ("find_flights_between_left", {"limit": 1_000_000}, "Expected `int` <= 100"),
    ],
)
async def test_what_cannot_be_looked_up_is_an_error_that_says_why(
    tmp_path: Path, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with running(tmp_path) as (_, url), Client(url) as client:
        found = await client.call_tool(tool, arguments)
    assert found.is_error
    assert said in found.content[0].text  # pyright: ignore


async def test_resources_are_read_by_their_address(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, url), Client(url) as client:
        assert read(await client.read_resource(F1))["row"]["origin"] == "JFK"
        assert read(await client.read_resource("extrovert://views/full/F1"))["row"] == "it is full"
        rows = read(await client.read_resource("extrovert://indexes/flights.origin+destination/LGA/ORD"))["rows"]
        assert [row["flight"] for row in rows] == ["F3"]
        absent = read(await client.read_resource("extrovert://tables/flights/F%209"))
        assert (absent["row"], absent["note"]) == (None, "`flights` has nothing at `F 9`.")
        assert absent["as_of"]["offset"] > 0


@pytest.mark.parametrize(
    "address", ["extrovert://tables/passengers/ann", "extrovert://tables/flights", "file:///etc/passwd"]
)
async def test_what_is_not_published_is_not_read_and_not_listened_for(tmp_path: Path, address: str) -> None:
    async with running(tmp_path) as (_, url), Client(url) as client:
        with pytest.raises(MCPError, match="Nothing that is published has the address"):
            await client.read_resource(address)
        with pytest.raises(MCPError, match="Nothing that is published has the address"):
            async with client.listen(resource_subscriptions=[F1, address]):
                pass


async def test_who_listens_is_told_of_a_change_and_of_no_other(tmp_path: Path) -> None:
    both = [F1, "extrovert://views/full/F1"]
    async with (
        running(tmp_path) as (engine, url),
        Client(url) as client,
        client.listen(resource_subscriptions=both) as events,
    ):
        await engine.send(flights, [Flight("F2", "JFK", "ORD", 1)])  # elsewhere
        await engine.send(flights, [Flight("F1", "JFK", "BOS")])  # the view says the same as before
        assert await next_of(events) == ResourceUpdated(F1)
        assert read(await client.read_resource(F1))["row"]["destination"] == "BOS"
        await engine.send(flights, [Flight("F1", "JFK", "BOS", 9)])
        told = {await next_of(events), await next_of(events)}
        assert told == {ResourceUpdated(F1), ResourceUpdated("extrovert://views/full/F1")}


async def test_changes_in_quick_succession_are_told_together(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as (engine, url),
        Client(url) as client,
        client.listen(resource_subscriptions=[F1]) as events,
    ):
        for left in range(1, 201):
            await engine.send(flights, [Flight("F1", "JFK", "ORD", left)])
        told = 0
        while read(await client.read_resource(F1))["row"]["left"] < 200 or not told:
            await next_of(events)
            told += 1
        assert told < 100


async def test_a_client_of_the_older_protocol_subscribes(tmp_path: Path) -> None:
    told: list[str] = []

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            told.append(str(message.params.uri))

    async with running(tmp_path) as (engine, url), Client(url, mode="legacy", message_handler=hear) as client:
        await subscribe(client, F1)
        await engine.send(flights, [Flight("F1", "JFK", "BOS")])
        await until(lambda: told == [F1])
        await subscribe(client, "extrovert://tables/flights/F2", instead_of=F1)
        await engine.send(flights, [Flight("F1", "JFK", "ORD"), Flight("F2", "JFK", "BOS")])
        await until(lambda: len(told) > 1)
    assert told == [F1, "extrovert://tables/flights/F2"]


async def test_a_token_is_needed_where_one_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    monkeypatch.setenv("DESK", "canary-of-a-token-0123456789")
    async with running(tmp_path, token_env="DESK") as (_, url):
        async with httpx2.AsyncClient() as http:
            assert (await http.post(url, json={})).status_code == 401
        async with (
            httpx2.AsyncClient(headers={"authorization": "Bearer canary-of-a-token-0123456789"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            assert (await client.list_tools()).tools


async def test_an_app_that_publishes_nothing_is_not_there(tmp_path: Path) -> None:
    import httpx2

    http = Http(port=0)
    async with App("shut").serving(tmp_path, beside=[http]), httpx2.AsyncClient() as client:
        assert (await client.post(f"{http.url}/mcp", json={})).status_code == 404


async def test_an_engine_that_stops_waits_for_nobody_who_listens(tmp_path: Path) -> None:
    async with AsyncExitStack() as clients:
        async with running(tmp_path) as (_, url):
            client = await clients.enter_async_context(Client(url))
            events = await clients.enter_async_context(client.listen(resource_subscriptions=[F1]))
            older = await clients.enter_async_context(Client(url, mode="legacy"))
            await subscribe(older, F1)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        with pytest.raises(StopAsyncIteration):  # it was told so
            await next_of(events)
