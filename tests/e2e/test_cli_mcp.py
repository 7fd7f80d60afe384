"""`extrovert mcp`: another program's MCP client starts it, and reads what the app publishes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import msgspec
import pytest
from mcp import Client, MCPError, StdioServerParameters

from tests.e2e.command import Home, flights

F1 = "extrovert://tables/flights/F1"
PATIENCE_S = 20


def started(home: Home, *words: str) -> StdioServerParameters:
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return StdioServerParameters(
        command=sys.executable, args=["-m", "extrovert", "mcp", *words], cwd=home.path, env=env
    )


async def row(client: Client, flight: str) -> Any:
    found = await client.call_tool("look_up_flights", {"flight_id": flight})
    assert not found.is_error, found
    return found.structured_content["row"]


async def told(events: Any) -> None:
    await asyncio.wait_for(anext(events), PATIENCE_S)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_reads_where_no_engine_runs(home: Home, mode: str) -> None:
    home("send", "--app", "airline.py", "flights", "-", given=flights("F1"))
    async with Client(started(home, "airline.py"), mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "look_up_flights",
            "find_flights_between_seats",
            "look_up_stranded",
        ]
        assert (await row(client, "F1"))["seats"] == 3
        assert await row(client, "F9") is None
        with pytest.raises(MCPError, match="Nothing that is published has the address"):
            await client.read_resource("extrovert://tables/bookings/B1")
        home("send", "--app", "airline.py", "flights", "-", given=flights("F9"))  # it stands in nobody's way
        assert await row(client, "F9") is not None


async def test_a_client_hears_of_changes_from_the_engine_that_runs(home: Home) -> None:
    with home.running() as run:
        home("send", "flights", "-", given=flights("F1"))
        async with (
            Client(started(home, "--data", ".extrovert")) as client,
            client.listen(resource_subscriptions=[F1]) as events,
        ):
            changed = flights("F1").replace("3}", "9}")
            home("send", "flights", "-", given=changed)
            await told(events)
            found = msgspec.json.decode((await client.read_resource(F1)).contents[0].text)  # pyright: ignore
            assert found["row"]["seats"] == 9
        assert run.end().code == 0


async def test_an_engine_that_is_killed_and_started_again_is_found_again(home: Home) -> None:
    with home.running() as run:
        home("send", "flights", "-", given=flights("F1"))
        async with (
            Client(started(home, "airline.py")) as client,
            client.listen(resource_subscriptions=[F1]) as events,
        ):
            run.end(signal.SIGKILL)
            assert (await row(client, "F1"))["seats"] == 3
            with home.running():
                home("send", "flights", "-", given=flights("F1").replace("3}", "9}"))
                await told(events)
                assert (await row(client, "F1"))["seats"] == 9


def test_what_is_wrong_is_said_before_a_client_waits(home: Home) -> None:
    done = home("mcp", "nowhere.py")
    assert (done.code, done.out) == (2, "")
    assert "There is no file nowhere.py" in done.err


def test_nothing_but_the_protocol_is_written_to_standard_output(home: Home) -> None:
    app = home.path / "airline.py"
    app.write_text(app.read_text() + '\nprint("loaded")\n')
    done = home("mcp", "airline.py")
    assert (done.code, done.out) == (0, "")
    assert "loaded" in done.err


def test_the_tools_of_a_server_are_written_to_a_file_and_what_has_changed_is_said(home: Home) -> None:
    where = f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}"  # such variables a program is not given of itself
    asks = [
        "mcp-tools",
        "airline.tools.json",
        "--",
        "env",
        where,
        sys.executable,
        "-m",
        "extrovert",
        "mcp",
        "airline.py",
    ]
    first = home(*asks)
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("3 tools of airline ")
    file = home.path / "airline.tools.json"
    told = msgspec.json.decode(file.read_bytes())
    assert [tool["name"] for tool in told["tools"]] == [
        "find_flights_between_seats",
        "look_up_flights",
        "look_up_stranded",
    ]
    file.write_text(
        file.read_text().replace("The row of `flights`", "A row of `flights`").replace("_stranded", "_lost")
    )
    again = home(*asks).out.splitlines()[1:]
    assert again == ["look_up_flights: other description", "look_up_lost: gone", "look_up_stranded: new"]
    assert home(*asks).out.splitlines()[1:] == ["Nothing is otherwise."]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["x.json"], 2, "has one way to it: command=[…] or url=…"),
        (["x.json", "--url", "ftp://x"], 2, "url= begins with http:// or https://"),
        (["x.json", "--", "./no-such-program"], 1, "The server cannot be reached: FileNotFoundError"),
        (["x.json", "--url", "http://127.0.0.1:9/mcp"], 1, "The server cannot be reached: "),
    ],
)
def test_a_server_that_cannot_be_asked_is_said(home: Home, words: list[str], code: int, said: str) -> None:
    done = home("mcp-tools", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (home.path / "x.json").exists()
