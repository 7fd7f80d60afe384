"""A backtest plays recorded wakes again, on the context as it was, and tells what another version would decide."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, DeclarationError, Record, Refuse, Thinking, Turn
from extrovert.core.log import Events, Usage
from extrovert.core.time import to_us
from extrovert.engine.backtest import Backtest, OnMiss
from extrovert.engine.calls import Answerer
from extrovert.engine.candidates import Candidate, candidate
from extrovert.engine.comparing import Compared, totals
from extrovert.engine.declared import Declared
from extrovert.testing.world import START
from extrovert.turns.request import Reply, Request
from tests.hosts import Host, Rule
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats
from tests.spec.test_what_becomes_of_a_disturbed_turn import Shop


class Told(Record):
    booking_id: str
    text: str


class Airline:
    """An app that rebooks, by a policy or, `prompted`, by a model."""

    def __init__(self, *, prompted: bool = False, **options: Any) -> None:
        self.app = app = App("airline", **options)
        self.flights = app.table("flights", Flight, key=Flight.flight_id)
        self.seats = app.table("seats", Seats, key=Seats.flight_id)
        self.bookings = app.table("bookings", Booking, key=Booking.booking_id)
        self.told = app.stream("told", Told, key=Told.booking_id)
        self.performed: list[Any] = []
        slow = Thinking(timedelta(seconds=2), sigma=0.0)

        @app.view(over=self.bookings)
        def disrupted(booking: Booking) -> Booking | None:
            flight = self.flights.get(booking.flight_id)
            return booking if flight is not None and flight.cancelled else None

        @app.policy(thinks=slow)
        def first(choice: Choice) -> Rebooking:
            return Rebooking(choice.options[0])

        @app.policy
        def last(choice: Choice) -> Rebooking:
            return Rebooking(choice.options[-1])

        @app.effect
        async def send(booking_id: str, text: str) -> None:
            self.performed.append((booking_id, text))

        app.model("remote", "openai:gpt-none")

        @app.agent(wakes_on=disrupted, model="openai:gpt-none" if prompted else first)
        async def rebook(turn: Turn, booking: Booking) -> None:
            """Take the first."""
            options = [f.flight_id for f in self.flights.all() if not f.cancelled and self.seats[f.flight_id].left]
            if not options:
                return
            choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
            turn.put(self.bookings, booking.but(flight_id=choice.flight_id))
            turn.put(self.seats, Seats(choice.flight_id, self.seats[choice.flight_id].left - 1))
            turn.emit(self.told, Told(booking.booking_id, choice.flight_id))
            turn.effect(send, booking.booking_id, choice.flight_id)

        self.disrupted, self.first, self.last = disrupted, first, last

    async def stormy(self, path: Path | None, answerers: Any = None) -> Host:
        """Three are rebooked, one after the other: B1 and B2 take the two seats of F2, B3 takes F3."""
        host = Host(self.app, path, answerers)
        await host.send(self.flights, Flight("F1"), Flight("F2"), Flight("F3"))
        await host.send(self.seats, Seats("F1", 0), Seats("F2", 2), Seats("F3", 5))
        await host.send(self.bookings, Booking("B1", "F1"))
        await host.send(self.flights, Flight("F1", cancelled=True))
        await host.send(self.bookings, Booking("B2", "F1"))
        await host.advance(60)
        await host.send(self.bookings, Booking("B3", "F1"))
        host.flush()
        return host


async def played(
    host: Host, *candidates: Candidate, declared: Declared | None = None, **options: Any
) -> list[Compared]:
    before = [(entry.offset, entry.body) for entry in host.entries()]
    found = await Backtest(declared or host.declared, host.store, candidates, **options).run()
    assert [(entry.offset, entry.body) for entry in host.entries()] == before, "a backtest only reads"
    return found


def flights_of(found: list[Compared]) -> list[str]:
    """The flight that each candidate took, or how it ended."""
    return [
        msgspec.json.decode(one.candidate.writes[0].row)["flight_id"]
        if one.candidate.outcome == "decided"
        else one.candidate.outcome
        for one in found
    ]


async def test_the_same_agent_decides_the_same_and_asks_no_model(tmp_path: Path) -> None:
    host = await Airline(prompted=True).stormy(tmp_path / "log", {"openai:gpt-none": Rule(Rebooking("F2"), 2)})
    found = await played(host, candidate(refusing(host.declared), "rebook"))
    assert [(one.turn, one.differs) for one in found] == [(d.turn, []) for d in host.decisions()]
    assert [one.candidate for one in found] == [one.recorded for one in found]
    assert [(one.candidate.asks, one.candidate.remembered, one.candidate.thought_ms) for one in found] == [
        (1, 1, 2000.0)
    ] * 3


async def test_a_policy_is_asked_also_where_its_answer_is_remembered_since_its_rule_may_have_changed(
    tmp_path: Path,
) -> None:
    host = await Airline().stormy(tmp_path / "log")
    found = await played(host, candidate(host.declared, "rebook"))
    assert [one.differs for one in found] == [[]] * 3
    assert [(one.candidate.asks, one.candidate.remembered, one.candidate.thought_ms) for one in found] == [
        (1, 0, 2000.0)
    ] * 3
    other = Airline()
    other.first.function = other.last.function
    assert flights_of(await played(host, candidate(other.app.declared(), "rebook"))) == ["F3"] * 3


async def test_another_policy_decides_otherwise_on_the_same_context_and_nothing_is_done(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.stormy(tmp_path / "log")
    performed, rows = list(airline.performed), dict(host.fold.context.tables["bookings"].rows)
    found = await played(host, candidate(host.declared, "rebook", policy="last"))
    assert flights_of(found) == ["F3", "F3", "F3"]
    assert [one.differs for one in found] == [["writes", "emits", "effects"]] * 2 + [[]]
    # Each met the seats as they were, not as the candidate's own decisions would have left them.
    seats = [msgspec.json.decode(one.candidate.writes[1].row)["left"] for one in found]
    assert seats == [4, 4, 4]
    assert msgspec.json.decode(found[0].candidate.effects[0].args) == ["B1", "F3"]
    assert airline.performed == performed
    assert host.fold.context.tables["bookings"].rows == rows
    summed = totals("last", found)
    assert (summed.wakes, summed.same, summed.differ, summed.missed) == (3, 1, 2, 0)
    assert summed.differs == {"writes": 2, "emits": 2, "effects": 2}
    assert (summed.recorded_thought_ms, summed.thought_ms) == ([2000.0, 2000.0], [0.0, 0.0])


async def test_two_versions_are_compared_side_by_side(tmp_path: Path) -> None:
    host = await Airline().stormy(tmp_path / "log")
    versions = [candidate(host.declared, "rebook"), candidate(host.declared, "rebook", policy="last")]
    found = await played(host, *versions)
    assert [(one.key, one.version) for one in found][:3] == [
        ("B1", "as it is"),
        ("B1", "policy last"),
        ("B2", "as it is"),
    ]
    assert flights_of(found) == ["F2", "F3", "F2", "F3", "F3", "F3"]


async def test_code_that_asks_the_same_finds_its_answers_and_decides_by_its_own_rule(tmp_path: Path) -> None:
    host = await Airline(prompted=True).stormy(tmp_path / "log", {"openai:gpt-none": Rule(Rebooking("F2"), 2)})
    other = Airline(prompted=True)
    version = candidate(refusing(other.app.declared()), "rebook")

    async def rebook(turn: Turn, booking: Booking) -> None:
        options = [f.flight_id for f in other.flights.all() if not f.cancelled and other.seats[f.flight_id].left]
        choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
        turn.put(other.bookings, booking.but(flight_id=choice.flight_id, customer_id="VIP"))

    version.agent.function = rebook
    found = await played(host, version, declared=other.app.declared())
    assert [one.differs for one in found] == [["writes", "emits", "effects"]] * 3
    assert [(one.candidate.asks, one.candidate.remembered) for one in found] == [(1, 1)] * 3


def refusing(declared: Declared) -> Declared:
    """The same app, with a model that must not be asked."""

    async def live(request: Request) -> Reply:
        raise AssertionError(f"asked {request.about}")

    return answering(declared, live)


def answering(declared: Declared, live: Answerer) -> Declared:
    """The same app, whose model is `live`."""

    def answerers(_seed: int) -> dict[str, Answerer]:
        return {"openai:gpt-none": live}

    return msgspec.structs.replace(declared, answerers=answerers)


async def test_a_missing_answer_is_refused_and_said(tmp_path: Path) -> None:
    host = await Airline(prompted=True).stormy(tmp_path / "log", {"openai:gpt-none": Rule(Rebooking("F2"), 1)})
    version = candidate(refusing(host.declared), "rebook", prompt="Take the last.")
    found = await played(host, version)
    assert [one.candidate.outcome for one in found] == ["missed"] * 3
    assert [one.differs for one in found] == [["outcome"]] * 3
    assert found[0].candidate.cause == 'asks `openai:gpt-none`: {"booking_id":"B1","options":["F2","F3"]}'
    summed = totals("prompt", found)
    assert (summed.missed, summed.same, summed.differ) == (3, 0, 0)


async def test_a_missing_answer_is_asked_and_its_price_and_time_count(tmp_path: Path) -> None:
    asked: list[Request] = []

    async def live(request: Request) -> Reply:
        asked.append(request)
        usage = Usage("gpt-none", 100, 10, cost_nano_usd=7_000)
        return Reply(msgspec.Raw(msgspec.json.encode(Rebooking("F3"))), usage)

    host = await Airline(prompted=True).stormy(tmp_path / "log", {"openai:gpt-none": Rule(Rebooking("F2"), 1)})
    version = candidate(answering(host.declared, live), "rebook", prompt="Take the last.")
    found = await played(host, version, on_miss="ask")
    assert sorted({request.instructions for request in asked}) == ["Take the last."]
    assert flights_of(found) == ["F3"] * 3
    assert [one.candidate.cost_nano_usd for one in found] == [7_000] * 3
    assert [one.candidate.input_tokens for one in found] == [100] * 3
    assert [one.candidate.remembered for one in found] == [0] * 3
    assert found[0].recorded.cost_nano_usd == 0
    assert len(asked) == 3, "each question is asked once"


async def test_refusals_go_back_to_the_candidates_model(tmp_path: Path) -> None:
    app = App("shop")
    prices = app.table("prices", Seats, key=Seats.flight_id)

    @app.policy
    def bold(about: str) -> int:
        return 5

    @app.policy
    def meek(about: str, refusals: Any) -> int:
        return 9 - len(refusals)

    @app.agent(wakes_on=prices, model=bold, max_refusals=3)
    async def judge(turn: Turn, row: Seats) -> None:
        if await turn.ask("how many?", output=int) > 7:
            raise Refuse("too many")

    host = Host(app, tmp_path / "log")
    await host.send(prices, Seats("F1", 1))
    (found,) = await played(host, candidate(host.declared, "judge", policy="meek"))
    assert (found.candidate.outcome, found.candidate.asks) == ("decided", 3)


async def test_what_a_call_returned_then_is_what_it_returns_now(tmp_path: Path) -> None:
    app = App("shop")
    prices = app.table("prices", Seats, key=Seats.flight_id)
    kept = app.table("kept", Told, key=Told.booking_id)
    outside = ["then"]

    async def read(flight_id: str) -> str:
        return outside[-1]

    @app.agent(wakes_on=prices)
    async def copy(turn: Turn, row: Seats) -> None:
        moment = turn.now().isoformat()
        text = await turn.call(read, row.flight_id, output=str)
        turn.put(kept, Told(row.flight_id, f"{moment} {text} {turn.chance()}"))

    host = Host(app, tmp_path / "log", seed=7)
    await host.send(prices, Seats("F1", 1))
    outside.append("now")
    (found,) = await played(host, candidate(host.declared, "copy"), seed=7)
    assert found.same, found
    assert found.candidate.remembered == 1


@pytest.mark.parametrize("on_miss", ["refuse", "ask"])
async def test_what_a_person_would_have_said_nobody_knows(tmp_path: Path, on_miss: OnMiss) -> None:
    app = App("refunds")
    claims = app.table("claims", Seats, key=Seats.flight_id)

    @app.agent(wakes_on=claims)
    async def refund(turn: Turn, claim: Seats) -> None:
        pass

    host = Host(app, tmp_path / "log")
    await host.send(claims, Seats("F1", 50))
    version = candidate(host.declared, "refund")

    async def asks(turn: Turn, claim: Seats) -> None:
        await turn.sleep_until(START)  # which is over
        await turn.approval(claim, who="finance")

    version.agent.function = asks
    (found,) = await played(host, version, on_miss=on_miss)
    assert found.candidate.outcome == "missed"
    assert found.candidate.cause.startswith("wants from `person`")


async def test_only_the_span_is_played(tmp_path: Path) -> None:
    host = await Airline().stormy(tmp_path / "log")
    late_us = to_us(START + timedelta(seconds=30))
    version = candidate(host.declared, "rebook")
    assert [one.key for one in await played(host, version, since_us=late_us)] == ["B3"]
    assert [one.key for one in await played(host, version, until_us=late_us)] == ["B1", "B2"]
    assert [one.key for one in await played(host, version, limit=1)] == ["B1"]


async def test_a_wake_that_came_to_nothing_is_played_too(tmp_path: Path) -> None:
    airline = Airline()
    host = Host(airline.app, tmp_path / "log")
    await host.send(airline.flights, Flight("F1"), Flight("F2"))
    await host.send(airline.seats, Seats("F1", 0), Seats("F2", 2))
    await host.send(airline.bookings, Booking("B1", "F1"))
    host.hand_in(airline.flights, Flight("F1", cancelled=True))
    await host.advance(1)
    await host.send(airline.flights, Flight("F1"))  # it flies after all, while the policy thinks
    assert host.outcomes() == ["gone"]
    (found,) = await played(host, candidate(host.declared, "rebook", policy="last"))
    assert (found.recorded.outcome, found.candidate.outcome, found.same) == ("gone", "gone", True)


async def test_a_candidate_that_fails_is_a_difference_with_its_cause(tmp_path: Path) -> None:
    host = await Airline().stormy(tmp_path / "log")
    version = candidate(host.declared, "rebook")

    async def broken(turn: Turn, booking: Booking) -> None:
        raise ValueError(f"{booking.booking_id} is odd")

    version.agent.function = broken
    found = await played(host, version)
    assert found[0].candidate.outcome == "failed"
    assert found[0].candidate.cause == "ValueError: B1 is odd"
    assert "outcome" in found[0].differs
    assert totals("x", found).failed == 3


async def test_what_lies_before_what_is_kept_is_refused_with_the_moment_from_which_it_can_be_played(
    tmp_path: Path,
) -> None:
    airline = Airline(retention=timedelta(minutes=10))
    host = Host(airline.app, tmp_path / "log", snapshot_every=5)
    await host.send(airline.flights, Flight("F1", cancelled=True), Flight("F2"))
    await host.send(airline.seats, Seats("F1", 0), Seats("F2", 100))
    for n in range(40):
        await host.send(airline.bookings, Booking(f"B{n}", "F1"))
        await host.advance(60)
    assert host.store.begins() > 1
    version = candidate(host.declared, "rebook")
    found = await played(host, version)
    assert 5 <= len(found) < 20
    assert all(one.same for one in found)
    assert found[-1].key == "B39"
    with pytest.raises(DeclarationError, match=r"What was before 2026-01-01T00:\d\d:.* cannot be played again"):
        await played(host, version, since_us=to_us(START))
    first_us = to_us(found[0].at)
    assert [one.turn for one in await played(host, version, since_us=first_us)] == [one.turn for one in found]


async def test_a_guarded_decision_comes_out_the_same(tmp_path: Path) -> None:
    host = await Shop("guarded", max_reruns=3).disturbed(tmp_path / "log", times=10)
    await host.settle()
    (found,) = await played(host, candidate(host.declared, "offer"))
    assert found.same, found


async def test_turns_on_a_stream_see_the_events_that_they_saw(tmp_path: Path) -> None:
    app = App("shop")
    wishes = app.stream("wishes", Told, key=Told.booking_id)
    kept = app.table("kept", Told, key=Told.booking_id)

    @app.policy(thinks=Thinking(timedelta(seconds=2), sigma=0.0))
    def yes(about: str) -> str:
        return about

    @app.agent(wakes_on=wishes, model=yes)
    async def hear(turn: Turn, wish: Told) -> None:
        texts = ",".join(event.text for event in turn.events)
        turn.put(kept, Told(wish.booking_id, await turn.ask(texts, output=str)))

    host = Host(app, tmp_path / "log")
    host.hand_in(wishes, Told("A", "1"), Told("A", "2"))
    await host.advance(1)
    await host.send(wishes, Told("A", "3"), Told("B", "4"))
    found = await played(host, candidate(host.declared, "hear"))
    assert [one.key for one in found] == ["A", "B", "A"]
    assert all(one.same for one in found), found
    assert sum(isinstance(body, Events) for body in host.bodies()) == 2


async def test_a_model_policy_or_agent_that_there_is_not_is_refused(tmp_path: Path) -> None:
    declared = Airline().app.declared()
    with pytest.raises(DeclarationError, match=r"no agent `rebok`. It has: `rebook`"):
        candidate(declared, "rebok")
    with pytest.raises(DeclarationError, match=r"no policy `best`. It has: `first`, `last`"):
        candidate(declared, "rebook", policy="best")
    with pytest.raises(DeclarationError, match=r"no model `best`. It has: `remote`"):
        candidate(declared, "rebook", model="best")
    with pytest.raises(DeclarationError, match="asks no model that is given instructions"):
        candidate(declared, "rebook", prompt="Be kind.")
    assert candidate(declared, "rebook", model="remote").agent.prompted


async def test_what_a_candidate_reads_from_outside_is_read_now_if_that_is_allowed(tmp_path: Path) -> None:
    app = App("shop")
    prices = app.table("prices", Seats, key=Seats.flight_id)
    kept = app.table("kept", Told, key=Told.booking_id)

    async def read(flight_id: str) -> str:
        return f"{flight_id} now"

    @app.agent(wakes_on=prices)
    async def copy(turn: Turn, row: Seats) -> None:
        pass

    host = Host(app, tmp_path / "log")
    await host.send(prices, Seats("F1", 1), Seats("F2", 1))
    version = candidate(host.declared, "copy")

    async def reads(turn: Turn, row: Seats) -> None:
        one, two = await turn.gather(
            turn.call(read, row.flight_id, output=str), turn.call(read, row.flight_id * 2, output=str)
        )
        turn.put(kept, Told(row.flight_id, f"{one}, {two}, {await turn.call(read, two, output=str)}"))

    version.agent.function = reads
    assert {one.candidate.outcome for one in await played(host, version)} == {"missed"}
    found = await played(host, version, on_miss="ask")
    assert bytes(found[1].candidate.writes[0].row) == (b'{"booking_id":"F2","text":"F2 now, F2F2 now, F2F2 now now"}')
    assert [(one.candidate.asks, one.candidate.remembered) for one in found] == [(3, 0)] * 2
