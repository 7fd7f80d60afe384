"""A prompt may be asked with tools: its text begins every step, and where its lines come from is kept once."""

from __future__ import annotations

from io import StringIO

import msgspec
from rich.console import Console

from extrovert import App, Calls, Prompt, Record, Section, Turn
from extrovert.core.log import Attempted
from extrovert.engine.candidates import named
from extrovert.engine.prompting import would_ask
from extrovert.surfaces.prompting import show
from extrovert.surfaces.story import find, tell
from extrovert.surfaces.telling import tell_to
from tests.hosts import Host, Rule

LOOKS = Calls.of("seats_left", {"flight": "F2"})


class Flight(Record):
    flight_id: str
    seats: int = 5


class Booking(Record):
    booking_id: str


class Desk:
    """An agent that asks with a prompt and a tool; its model looks once, then answers, after five seconds each."""

    def __init__(self) -> None:
        self.app = app = App("desk")
        self.flights = flights = app.table("flights", Flight, key=Flight.flight_id)
        self.bookings = app.table("bookings", Booking, key=Booking.booking_id)

        def seats_left(flight: str) -> int:
            """How many seats a flight has left."""
            return flights[flight].seats

        @app.agent(wakes_on=self.bookings, model=app.model("fast", "openai:m"), max_tries=1)
        async def rebook(turn: Turn, booking: Booking) -> None:
            """You rebook."""
            await turn.ask(Prompt("Choose a flight.", Section("Passenger", booking)), output=str, tools=[seats_left])

    async def begun(self) -> Host:
        """Its model is being asked."""
        answers = iter((LOOKS, "F2"))
        self.rule = Rule(lambda _: next(answers), 5)
        host = Host(self.app, None, {"model:fast": self.rule})
        host.hand_in(self.flights, Flight("F2"))
        host.hand_in(self.bookings, Booking("B1"))
        await host.advance(1)
        return host


async def test_every_step_begins_with_the_same_text_and_its_lines_are_kept_once() -> None:
    desk = Desk()
    host = await desk.begun()
    await host.settle()
    assert len(host.decisions()) == 1
    first, second = desk.rule.asked
    assert first == second
    assert first.startswith("Choose a flight.\n")
    asks = [ask for attempt in host.bodies(Attempted) for ask in attempt.asks]
    lines = [[(line.of, line.at) for line in ask.lines] for ask in asks]
    assert ([ask.steps for ask in asks], lines) == ([1, 2], [[("bookings", "B1")], []])


async def test_the_ledger_and_explain_have_its_lines() -> None:
    desk = Desk()
    host = await desk.begun()
    await host.settle()
    found = await desk.app.sql(host.engine, 'select line, text, of, "at", version from ledger_lines')
    assert found.rows == [(6, 'booking_id: "B1"', "bookings", "B1", 2)]
    out = StringIO()
    host.flush()
    tell_to(Console(width=200, file=out), tell(host.store, find(host.store, "rebook:B1")), lines=True)
    (line,) = [line for line in out.getvalue().splitlines() if 'booking_id: "B1"' in line]
    assert line.split() == ["6", "booking_id:", '"B1"', "bookings/B1@2"]


async def test_what_would_be_asked_has_the_tools_and_what_they_gave() -> None:
    desk = Desk()
    host = await desk.begun()
    agent = named(host.declared, "rebook")
    (before,) = would_ask(host.engine.shard, agent, "B1", lambda _key: []).wishes
    assert [tool["name"] for tool in msgspec.json.decode(before.tools)] == ["seats_left"]
    assert (before.exchange, before.in_flight) == ([], True)
    await host.advance(5)
    (wish,) = would_ask(host.engine.shard, agent, "B1", lambda _key: []).wishes
    assert (wish.about, wish.in_flight) == (before.about, True)
    assert wish.tokens > before.tokens
    out = StringIO()
    show(Console(width=400, file=out), wish)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    (tool,) = [line for line in lines if line.startswith("  tool ")]
    assert tool.startswith("  tool          seats_left: How many seats a flight has left. {")
    assert '"flight":{"type":"string"}' in tool
    assert '  called        seats_left {"flight":"F2"}: 5' in lines
    host.hand_in(desk.flights, Flight("F2", seats=4))
    (wish,) = would_ask(host.engine.shard, agent, "B1", lambda _key: []).wishes
    assert ([bytes(one.value) for one in wish.exchange[0].results], wish.in_flight) == ([b"4"], False)
