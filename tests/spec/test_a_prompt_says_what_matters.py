"""A prompt says what matters: what is not in it does not change it, so that a turn that a change runs again joins the
call in flight; and all that is in it can be traced to where it came from."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from extrovert import App, Limits, Prompt, Record, Section, Turn
from extrovert.core.log import Attempted
from extrovert.surfaces.story import find, tell
from extrovert.surfaces.telling import tell_to
from tests.hosts import Host, Rule, replayed
from tests.picture import picture

TASK = "Choose the flight for this passenger, by what the passenger wishes and by what there is."


class Flight(Record):
    flight_id: str
    route: str = "JFK-ORD"
    seats: int = 5
    gate: str = ""


class Booking(Record):
    booking_id: str
    wish: str = "aisle"


class Case(Record):
    options: list[str]


class Desk:
    """An agent that asks a model about the flights that there are, as `sections` puts them."""

    def __init__(
        self,
        sections: Callable[[Desk, Booking], list[Section]] | None = None,
        *,
        with_facts: bool = False,
        limits: Limits | None = None,
        on_policy: bool = False,
        **options: Any,
    ) -> None:
        self.app = app = App("desk")
        self.flights = app.table("flights", Flight, key=Flight.flight_id)
        self.bookings = app.table("bookings", Booking, key=Booking.booking_id)
        self.on_route = self.flights.index(Flight.route)
        self.judged: list[Case] = []

        @app.policy
        def first(case: Case) -> str:
            self.judged.append(case)
            return case.options[0]

        fast = app.model("fast", "openai:m", fallback=first, limits=limits, max_tokens=5)

        @app.agent(wakes_on=self.bookings, model=first if on_policy else fast, max_tries=1)
        async def rebook(turn: Turn, booking: Booking) -> None:
            """You rebook."""
            facts = Case([flight.flight_id for flight in self.on_route["JFK-ORD"]]) if with_facts else None
            found = _flights(self, booking) if sections is None else sections(self, booking)
            await turn.ask(Prompt(TASK, *found, facts=facts, **options), output=str)

    def host(self, path: Path | None = None, rule: Rule | None = None) -> Host:
        return Host(self.app, path, {"model:fast": rule or Rule(lambda _: "F1", 5)})


def _flights(desk: Desk, booking: Booking) -> list[Section]:
    rows = desk.on_route["JFK-ORD"]
    return [Section("Flights", rows, fields=(Flight.flight_id, Flight.seats), gives_way=1)]


async def begun(desk: Desk, rule: Rule, path: Path | None = None) -> Host:
    """B1 is being thought about, with F1 and F2 on its route."""
    host = desk.host(path, rule)
    host.hand_in(desk.flights, Flight("F1"), Flight("F2"))
    host.hand_in(desk.bookings, Booking("B1"))
    await host.advance(1)
    return host


async def test_a_field_that_is_not_shown_changes_nothing() -> None:
    desk, rule = Desk(), Rule(lambda _: "F1", 5)
    host = await begun(desk, rule)
    host.hand_in(desk.flights, Flight("F1", gate="A7"))
    await host.settle()
    assert len(rule.asked) == 1
    assert [(one.why, len(one.asks), len(one.joined)) for one in host.bodies(Attempted)] == [
        ("woken", 1, 0),
        ("changed", 0, 1),
    ]


async def test_a_field_that_is_shown_is_asked_about_anew() -> None:
    desk, rule = Desk(), Rule(lambda _: "F1", 5)
    host = await begun(desk, rule)
    host.hand_in(desk.flights, Flight("F1", seats=4))
    await host.settle()
    assert ['["F1",4]' in text for text in rule.asked] == [True]
    first, second = host.bodies(Attempted)
    assert second.cancelled == [first.asks[0].hash]


async def test_a_row_that_gave_way_changes_nothing() -> None:
    desk, rule = Desk(budget_tokens=90), Rule(lambda _: "F1", 5)
    host = desk.host(None, rule)
    host.hand_in(desk.flights, *(Flight(f"F{number}") for number in range(100, 200)))
    host.hand_in(desk.bookings, Booking("B1"))
    await host.advance(1)
    host.hand_in(desk.flights, Flight("F199", seats=1))
    await host.settle()
    assert len(rule.asked) == 1
    assert "more left out" in rule.asked[0]


def _whole(desk: Desk, booking: Booking) -> list[Section]:
    return [Section("Flights", desk.on_route["JFK-ORD"])]


def _ageless(desk: Desk, booking: Booking) -> list[Section]:
    return [Section("Flights", desk.on_route["JFK-ORD"], ages=False)]


async def test_a_row_that_comes_again_as_it_was_is_another_only_in_another_minute() -> None:
    for sections, again in ((_whole, 2), (_ageless, 1)):
        desk, rule = Desk(sections), Rule(lambda _: "F1", 100)
        host = await begun(desk, rule)
        host.hand_in(desk.flights, Flight("F1"))
        await host.advance(1)
        assert [len(one.asks) for one in host.bodies(Attempted)] == [1, 0]
        await host.advance(60)
        host.hand_in(desk.flights, Flight("F1"))
        await host.advance(1)
        assert sum(len(one.asks) for one in host.bodies(Attempted)) == again


async def test_after_a_crash_it_is_the_same_question(tmp_path: Path) -> None:
    for snapshot in (False, True):
        desk, rule = Desk(_whole, with_facts=True), Rule(lambda _: "F1", 300)
        host = await begun(desk, rule, tmp_path / f"log-{snapshot}")
        await host.advance(120)
        if snapshot:
            host.engine.keep_snapshot()
        host.flush()
        state = picture(host.fold)
        assert picture(replayed(host)) == state
        host.crash()
        assert picture(host.fold) == state
        await host.settle()
        assert [len(one.asks) for one in host.bodies(Attempted)] == [1]
        (sent,) = host.bodies(Attempted)[0].asks
        assert rule.asked == [msgspec.json.decode(sent.request)]


# ---- policies


async def test_a_policy_in_the_models_place_is_given_the_facts() -> None:
    desk = Desk(with_facts=True, on_policy=True)
    host = desk.host()
    host.hand_in(desk.flights, Flight("F1"), Flight("F2"))
    await host.send(desk.bookings, Booking("B1"))
    assert desk.judged == [Case(["F1", "F2"])]
    (sent,) = host.bodies(Attempted)[0].asks
    assert (msgspec.json.decode(sent.request), sent.lines) == ({"options": ["F1", "F2"]}, [])


async def test_a_fallback_is_given_the_facts_and_the_log_has_them() -> None:
    desk = Desk(with_facts=True, limits=Limits(requests_per_minute=1, over="fallback"))
    host = desk.host()
    host.hand_in(desk.flights, Flight("F1"), Flight("F2"))
    await host.send(desk.bookings, Booking("B1"), Booking("B2"))
    assert desk.judged == [Case(["F1", "F2"])]
    for one in host.bodies(Attempted):
        assert msgspec.json.decode(one.asks[0].facts) == {"options": ["F1", "F2"]}
        assert msgspec.json.decode(one.asks[0].request).startswith(TASK)


async def test_other_facts_are_another_question() -> None:
    desk, rule = Desk(lambda desk, booking: [], with_facts=True), Rule(lambda _: "F1", 5)
    host = await begun(desk, rule)
    host.hand_in(desk.flights, Flight("F3"))
    await host.settle()
    assert [len(one.asks) for one in host.bodies(Attempted)] == [1, 1]


async def test_a_policy_that_wants_facts_says_so_where_it_is_given_none() -> None:
    desk = Desk(on_policy=True)
    host = desk.host()
    await host.send(desk.bookings, Booking("B1"))
    (letter,) = host.dead_letters()
    assert "was asked about a str. Give it facts beside the prompt's text: Prompt(…, facts=…)." in letter.cause


# ---- what is wrong, and what can be seen


async def test_a_prompt_that_is_too_long_ends_the_turn_and_says_by_how_much() -> None:
    desk = Desk(budget_tokens=20)
    host = desk.host()
    await host.send(desk.bookings, Booking("B1"))
    (letter,) = host.dead_letters()
    assert "tokens longer than budget_tokens=20 with all that gives way left out" in letter.cause
    assert "agent `rebook`" in letter.cause


async def test_explain_shows_each_line_beside_what_it_came_from() -> None:
    desk = Desk()
    host = await begun(desk, Rule(lambda _: "F1", 1))
    await host.settle()
    host.flush()
    story = tell(host.store, find(host.store, "rebook:B1"))
    shown: list[str] = []
    for lines in (False, True):
        out = StringIO()
        tell_to(Console(width=200, file=out), story, lines=lines)
        shown.append(out.getvalue())
    assert "line by line" not in shown[0]
    line = next(line for line in shown[1].splitlines() if '["F2",5]' in line and "flights/F2" in line)
    assert line.split() == ["8", '["F2",5]', "flights/F2@2", "(flights.route)"]


async def test_the_ledger_has_every_line_with_its_source() -> None:
    desk = Desk(with_facts=True)
    host = await begun(desk, Rule(lambda _: "F1", 1))
    await host.settle()
    found = await desk.app.sql(
        host.engine,
        'select decision, line, text, "of", "at", version, through from ledger_lines order by line',
    )
    assert found.rows == [
        ("rebook:B1@3", 7, '["F1",5]', "flights", "F1", 1, "flights.route"),
        ("rebook:B1@3", 8, '["F2",5]', "flights", "F2", 2, "flights.route"),
    ]
