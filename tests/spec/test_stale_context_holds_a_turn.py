"""An agent says how old what it reads may be; older context holds its turn, ends it, or has another answer it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Arrival, DeclarationError, Limits, Lines, Record, Refuse, Stream, Table, Turn, heard_within
from extrovert.connectors.replay import Replay
from extrovert.core.event import Batch
from extrovert.core.log import Admitted, Attempted, Ended, Heard, Passed
from extrovert.core.time import to_us
from extrovert.testing.world import START
from tests.hosts import Host, Rule, body, replayed, serving, until
from tests.picture import picture
from tests.spec.airline import Booking, Flight, Seats

SECOND = 1_000_000


class Airline:
    """Flights come from outside, seats are kept by turns, and bookings wake an agent that reads both."""

    def __init__(self, **options: Any) -> None:
        self.app = App("airline")
        self.feed: Stream[Flight] = self.app.stream("flights", Flight, key=Flight.flight_id)
        self.flights: Table[str, Flight] = self.app.table("flights", Flight, key=Flight.flight_id, source=self.feed)
        self.seats: Table[str, Seats] = self.app.table("seats", Seats, key=Seats.flight_id)
        self.bookings: Table[str, Booking] = self.app.table("bookings", Booking, key=Booking.booking_id)
        self.placed: Table[str, Booking] = self.app.table("placed", Booking, key=Booking.booking_id)
        self.saw: list[tuple[float, int, tuple[str, ...]]] = []
        options = {"fresh_within": timedelta(seconds=5), "model": "policy:ground", **options}

        @self.app.policy
        def ground(about: str) -> int:
            return 0

        @self.app.policy
        def by_rule(about: str) -> int:
            return -1

        if options.get("stale") == "by rule":
            options["stale"] = by_rule

        @self.app.agent(wakes_on=self.bookings, **options)
        async def place(turn: Turn, booking: Booking) -> None:
            flight = self.flights[booking.flight_id]
            answer = await turn.ask(f"delayed {flight.delay_minutes}", output=int)
            self.saw.append((turn.now().timestamp() % 86_400, answer, turn.silent))
            turn.put(self.placed, booking)

    def host(self, path: Path, rule: Rule | None = None) -> Host:
        return Host(self.app, path / "log", {"policy:ground": rule or Rule(7)})

    async def begun(self, path: Path, rule: Rule | None = None) -> Host:
        """The flight F1 was told of at 0 s."""
        host = self.host(path, rule)
        await host.send(self.feed, Flight("F1"))
        return host


async def test_what_was_heard_lately_is_read_at_once(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.begun(tmp_path)
    await host.advance(5)
    await host.send(airline.bookings, Booking("B1", "F1"))
    assert airline.saw == [(5.0, 7, ())]


async def test_a_turn_that_reads_what_is_too_old_asks_nothing_until_its_source_is_heard_again(tmp_path: Path) -> None:
    airline, rule = Airline(), Rule(7)
    host = await airline.begun(tmp_path, rule)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.advance(3)
    assert (rule.asked, host.decisions()) == ([], [])
    await host.send(airline.feed, Flight("F2"))  # an event of another key: the source is there
    assert airline.saw == [(9.0, 7, ())]
    assert host.decisions()[0].heard == {"flights": 0}


async def test_a_heartbeat_is_as_good_as_an_event(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.advance(3.5)
    host.engine.heartbeat(airline.flights)
    await host.settle()
    assert airline.saw == [(9.5, 7, ())]
    assert host.bodies(Heard) == [Heard({"flights": to_us(START) + 9_500_000})]


async def test_heartbeats_that_nobody_needs_are_not_logged(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.begun(tmp_path)
    for _ in range(1_000):
        await host.advance(0.01)
        host.engine.heartbeat(airline.flights)
    assert host.bodies(Heard) == []
    await host.send(airline.bookings, Booking("B1", "F1"))  # 10 s after the event: what was heard since is of use now
    assert [answer for _, answer, _ in airline.saw] == [7]
    assert host.bodies(Heard) == [Heard({"flights": to_us(START) + 10 * SECOND})]


async def test_what_turns_write_does_not_grow_old(tmp_path: Path) -> None:
    app = App("airline")
    app.stream("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)

    @app.agent(wakes_on=bookings, fresh_within=timedelta(seconds=5))
    async def place(turn: Turn, booking: Booking) -> None:
        left = seats[booking.flight_id].left
        turn.put(seats, Seats(booking.flight_id, left - 1))

    host = Host(app, tmp_path / "log")
    await host.send(seats, Seats("F1", 3))
    await host.advance(3_600)
    await host.send(bookings, Booking("B1", "F1"), Booking("B2", "F1"))
    assert host.row(seats, "F1").left == 1
    assert host.decisions()[0].heard == {}


async def test_a_source_that_was_never_heard_holds_a_turn_too(tmp_path: Path) -> None:
    airline = Airline(stale="refuse")

    @airline.app.agent(wakes_on=airline.bookings, fresh_within=timedelta(days=1), stale="refuse")
    async def count(turn: Turn, booking: Booking) -> None:
        airline.flights.count()

    host = airline.host(tmp_path)
    await host.send(airline.bookings, Booking("B1", "F1"))
    ended = [one for one in host.bodies(Ended) if one.agent == "count"]
    assert [(one.outcome, one.cause) for one in ended] == [
        ("stale", "what it read was too old: stream `flights` was never heard, and 86400 s are allowed")
    ]


async def test_a_change_while_the_model_thinks_is_not_needed_for_a_decision_to_be_held(tmp_path: Path) -> None:
    airline, rule = Airline(), Rule(7, timedelta(seconds=8))
    host = await airline.begun(tmp_path, rule)
    await host.send(airline.bookings, Booking("B1", "F1"))  # asked at 0 s, answered at 8 s
    assert host.decisions() == []
    await host.advance(12)
    host.engine.heartbeat(airline.feed)
    await host.settle()
    assert airline.saw == [(8.0, 7, ())] * 2  # the attempt that was held, and the one that was committed
    (decision,) = host.decisions()
    assert (decision.why, decision.heard, len(rule.asked)) == ("heard", {"flights": 0}, 1)


async def test_of_what_comes_while_a_turn_is_held_it_sees_the_latest(tmp_path: Path) -> None:
    airline, rule = Airline(), Rule(7)
    host = await airline.begun(tmp_path, rule)
    await host.advance(6)
    for number in range(3):
        await host.send(airline.bookings, Booking("B1", "F1", f"C{number}"))
    await host.send(airline.feed, Flight("F1", delay_minutes=9))
    assert rule.asked == ["delayed 9"]
    assert [host.row(airline.placed, "B1").customer_id, len(host.decisions())] == ["C2", 1]


async def test_a_held_turn_that_has_nothing_left_to_decide_ends(tmp_path: Path) -> None:
    def is_there(booking: Booking) -> bool:
        return booking.customer_id != "gone"

    airline = Airline(when=is_there)
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.send(airline.bookings, Booking("B1", "F1", "gone"))
    assert (host.outcomes(), len(host.fold.running)) == (["gone"], 0)


async def test_a_turn_that_may_not_wait_ends_visibly_and_is_woken_by_the_next_change(tmp_path: Path) -> None:
    airline = Airline(stale="refuse")
    host = await airline.begun(tmp_path)
    await host.advance(6.5)
    await host.send(airline.bookings, Booking("B1", "F1"))
    (ended,) = host.bodies(Ended)
    assert (ended.outcome, ended.cause) == (
        "stale",
        "what it read was too old: stream `flights` was last heard 6.5 s before, and 5 s are allowed",
    )
    assert host.dead_letters() == []
    await host.send(airline.feed, Flight("F2"))
    assert airline.saw == []
    await host.send(airline.bookings, Booking("B1", "F1", "C2"))
    assert [answer for _, answer, _ in airline.saw] == [7]


async def test_a_fallback_answers_in_the_models_place_and_the_decision_says_so(tmp_path: Path) -> None:
    airline, rule = Airline(stale="by rule"), Rule(7)
    host = await airline.begun(tmp_path, rule)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    assert (airline.saw, rule.asked) == ([(6.0, -1, ("flights",))], [])
    (decision,) = host.decisions()
    assert (decision.silent, decision.heard) == (["flights"], {"flights": 6 * SECOND})


async def test_with_the_fallback_thinking_the_model_is_asked_when_the_source_is_back(tmp_path: Path) -> None:
    airline, rule = Airline(stale="by rule"), Rule(7)
    host = Host(
        airline.app, tmp_path / "log", {"policy:ground": rule, "policy:by_rule": Rule(-1, timedelta(seconds=2))}
    )
    await host.send(airline.feed, Flight("F1"))
    await host.advance(6)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(1)
    await host.send(airline.feed, Flight("F1", delay_minutes=9))
    assert (rule.asked, [answer for _, answer, _ in airline.saw]) == (["delayed 9"], [7])
    assert host.decisions()[0].silent == []


async def test_a_fallback_that_is_a_model_is_asked_within_its_own_limits_and_not_within_those_of_the_agents_model(
    tmp_path: Path,
) -> None:
    app = App("airline")
    flights = app.table(
        "flights", Flight, key=Flight.flight_id, source=app.stream("flights", Flight, key=Flight.flight_id)
    )
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    saw: list[int] = []

    @app.policy
    def rule(about: str) -> int:
        return 0

    large = app.model("large", rule, max_tokens=10, limits=Limits(calls=1))
    small = app.model("small", rule, max_tokens=10, limits=Limits(requests_per_minute=1))

    @app.agent(wakes_on=bookings, model=large, fresh_within=timedelta(seconds=5), stale=small)
    async def place(turn: Turn, booking: Booking) -> None:
        saw.append(await turn.ask(f"{booking.booking_id} {flights.get(booking.flight_id)}", output=int))

    host = Host(app, tmp_path / "log", {"model:large": Rule(1), "model:small": Rule(2)})
    await host.send(flights, Flight("F1"))
    await host.advance(6)
    host.hand_in(bookings, Booking("B1", "F1"), Booking("B2", "F1"))
    await host.advance(1)
    assert saw == [2]
    assert [turn.key for turn in host.fold.running.values()] == ["B2"]
    await host.advance(60)
    assert saw == [2, 2]
    found = [one for entry in host.entries() if isinstance(one := body(entry), Admitted)]
    assert [(one.model, one.accounts) for one in found] == [("model:small", ["model:small"])] * 2


async def test_a_fallback_goes_on_where_it_was_after_a_crash(tmp_path: Path) -> None:
    airline = Airline(stale="by rule")
    slow = Rule(-1, timedelta(seconds=2))
    host = Host(airline.app, tmp_path / "log", {"policy:ground": Rule(7), "policy:by_rule": slow})
    await host.send(airline.feed, Flight("F1"))
    await host.advance(6)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(1)
    host.flush()
    host.crash()
    await host.settle()
    assert airline.saw == [(8.0, -1, ("flights",))]


@pytest.mark.parametrize(
    ("stale", "age_ms", "silent", "held"), [("wait", 5.0, False, [["flights"]]), ("by rule", 6_000.0, True, [])]
)
async def test_the_ledger_tells_in_sql_how_old_what_was_and_who_was_held(
    tmp_path: Path, stale: Any, age_ms: float, silent: bool, held: list[list[str]]
) -> None:
    airline = Airline(stale=stale)
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.send(airline.feed, Flight("F2"))
    found = await airline.app.sql(host.engine, "select stream, age_ms, silent from ledger_heard")
    assert found.dicts() == [{"stream": "flights", "age_ms": age_ms, "silent": silent}]
    found = await airline.app.sql(host.engine, "select silent from ledger_attempts where stopped = 'held'")
    assert [row["silent"] for row in found.dicts()] == held


async def test_a_turn_may_want_one_thing_fresher_than_its_agent_does(tmp_path: Path) -> None:
    app = App("airline")
    feed = app.stream("flights", Flight, key=Flight.flight_id)
    flights = app.table("flights", Flight, key=Flight.flight_id, source=feed)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    placed = app.table("placed", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=bookings)
    async def place(turn: Turn, booking: Booking) -> None:
        turn.put(placed, turn.fresh(flights, timedelta(seconds=1))[booking.flight_id])

    host = Host(app, tmp_path / "log")
    await host.send(feed, Flight("F1"))
    await host.advance(1.5)
    await host.send(bookings, Booking("B1", "F1"))
    assert host.decisions() == []
    await host.send(feed, Flight("F1", delay_minutes=9))
    assert host.row(placed, "F1").delay_minutes == 9


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_held_turn_survives_a_crash_and_its_source_is_as_old_as_it_was(tmp_path: Path, snapshot: bool) -> None:
    airline = Airline()
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    host.flush()
    if snapshot:
        host.engine.keep_snapshot()
    host.crash(away=2)
    await host.settle()
    assert (host.decisions(), len(host.fold.running)) == ([], 1)
    assert host.fold.context.freshness.state("flights").heard_us == to_us(START)
    await host.send(airline.feed, Flight("F2"))
    assert airline.saw == [(8.0, 7, ())]
    assert len([body for body in host.bodies(Attempted) if body.silent]) == 1
    assert picture(host.fold) == picture(replayed(host))


async def test_a_call_that_was_in_flight_when_a_turn_was_held_is_answered_after_a_crash(tmp_path: Path) -> None:
    airline, rule = Airline(), Rule(7, timedelta(seconds=8))
    host = await airline.begun(tmp_path, rule)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(6)
    host.hand_in(airline.bookings, Booking("B1", "F1", "C2"))  # it looks again, asks the same, and is held
    await host.advance(1)
    host.flush()
    host.crash(away=0.5)
    await host.advance(2)
    assert (airline.saw, len(rule.asked)) == ([(8.0, 7, ())], 1)
    host.engine.heartbeat(airline.feed)
    await host.settle()
    assert (airline.saw, len(rule.asked)) == ([(8.0, 7, ())] * 2, 1)
    assert host.row(airline.placed, "B1").customer_id == "C2"
    assert picture(host.fold) == picture(replayed(host))


async def test_what_a_crash_cut_off_and_a_held_turn_asks_no_more_is_cancelled(tmp_path: Path) -> None:
    airline, rule = Airline(), Rule(7, timedelta(seconds=8))
    host = await airline.begun(tmp_path, rule)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(1)
    host.hand_in(airline.feed, Flight("F1", delay_minutes=9))  # what it asked is another question now
    host.flush()
    host.crash(away=10)
    await host.settle()
    (held,) = [body for body in host.bodies(Attempted) if body.silent]
    assert (len(held.cancelled), host.fold.parked.keys()) == (1, host.fold.running.keys())
    assert len(rule.asked) == 0
    await host.send(airline.feed, Flight("F2"))
    assert (rule.asked, [answer for _, answer, _ in airline.saw]) == (["delayed 9"], [7])
    assert picture(host.fold) == picture(replayed(host))


async def test_a_shadow_is_held_before_it_asks_and_then_sticks_to_what_it_saw(tmp_path: Path) -> None:
    airline, rule = Airline(shadow=True), Rule(7, timedelta(seconds=8))
    host = await airline.begun(tmp_path, rule)
    await host.advance(6)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(1)
    assert rule.asked == []
    host.hand_in(airline.feed, Flight("F2"))
    await host.advance(1)
    host.hand_in(airline.feed, Flight("F1", delay_minutes=9))
    await host.advance(60)
    (decision,) = host.decisions()
    assert (decision.shadow, rule.asked, decision.heard) == (True, ["delayed 0"], {"flights": 7 * SECOND})
    assert picture(host.fold) == picture(replayed(host))


async def test_a_held_turn_is_still_bounded_by_its_deadline(tmp_path: Path) -> None:
    airline = Airline(deadline=timedelta(seconds=10))
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.advance(60)
    assert host.outcomes() == ["contended"]
    assert "its deadline has passed" in host.dead_letters()[0].cause


async def test_a_guarded_turn_is_held_too_and_goes_on_guarded(tmp_path: Path) -> None:
    airline = Airline(max_reruns=0, on_conflict="guarded")
    rule = Rule(7, timedelta(seconds=8))
    host = await airline.begun(tmp_path, rule)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(1)
    await host.send(airline.feed, Flight("F1", delay_minutes=9))  # from now on nothing disturbs it
    assert host.decisions() == []  # its answer came at 8 s, and the flights were last heard at 1 s
    await host.send(airline.feed, Flight("F1", delay_minutes=10))
    (decision,) = host.decisions()
    assert (decision.guarded, rule.asked) == (True, ["delayed 0"])
    assert picture(host.fold) == picture(replayed(host))


async def test_what_raises_over_what_is_too_old_is_no_failure_yet(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F2"))  # there is no row F2 yet
    assert (host.outcomes(), host.dead_letters()) == ([], [])
    await host.send(airline.feed, Flight("F2"))
    assert [answer for _, answer, _ in airline.saw] == [7]


async def test_a_held_turn_takes_a_refusal_back_as_any_other(tmp_path: Path) -> None:
    app = App("airline")
    feed = app.stream("flights", Flight, key=Flight.flight_id)
    flights = app.table("flights", Flight, key=Flight.flight_id, source=feed)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    answers = iter([1, 2])

    @app.policy
    def ground(about: str) -> int:
        return next(answers)

    @app.agent(wakes_on=bookings, model=ground, fresh_within=timedelta(seconds=5))
    async def place(turn: Turn, booking: Booking) -> None:
        answer = await turn.ask("which?", output=int)
        flights.get("F1")
        if answer == 1:
            raise Refuse("not that one")

    host = Host(app, tmp_path / "log")
    await host.send(feed, Flight("F1"))
    await host.advance(6)
    await host.send(bookings, Booking("B1", "F1"))
    assert host.decisions() == []
    await host.send(feed, Flight("F2"))
    assert len(host.decisions()) == 1


# ---- what hangs on what


class Delay(Record):
    flight_id: str
    minutes: int


class Note(Record):
    note_id: str
    text: str


async def test_whatever_follows_a_stream_is_as_old_as_that(tmp_path: Path) -> None:
    app = App("airline")
    feed = app.stream("flights", Flight, key=Flight.flight_id)
    notes = app.stream("notes", Note, key=Note.note_id)
    delays = app.stream(
        "delays", Delay, key=Delay.flight_id, source=feed.map(lambda one: Delay(one.flight_id, one.delay_minutes))
    )
    flights = app.table("flights", Flight, key=Flight.flight_id, source=feed)
    late = app.table("late", Delay, key=Delay.flight_id, source=delays)
    noted = app.table("noted", Note, key=Note.note_id, source=notes)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    to = flights.index(Flight.destination)
    texts = app.search("texts", over=noted, text=Note.text)

    @app.view(over=bookings)
    def flight_of(booking: Booking) -> Flight | None:
        return flights.get(booking.flight_id) if booking.customer_id != "hiker" else Flight("none")

    @app.view(over=bookings)
    def over_both(booking: Booking) -> str | None:
        found = flight_of.get(booking.booking_id)
        return None if found is None or noted.get(found.flight_id) is None else "both"

    @app.view(over=bookings, key=Flight.flight_id)
    def booked(booking: Booking) -> list[Flight]:
        found = flights.get(booking.flight_id)
        return [] if found is None else [found]

    host = Host(app, tmp_path / "log")
    host.hand_in(feed, Flight("F1"))
    host.hand_in(notes, Note("F1", "a word"))
    host.hand_in(bookings, Booking("B1", "F1"), Booking("B2", "F1", "hiker"))
    await host.settle()
    origins, reading = host.fold.context.origins, host.engine.reading
    assert {
        name: sorted(origins.of(of))
        for name, of in {
            "feed": feed, "delays": delays, "late": late, "to": to, "texts": texts, "bookings": bookings,
            "flight_of": flight_of, "over_both": over_both, "booked": booked,
        }.items()
    } == {
        "feed": ["flights"], "delays": ["flights"], "late": ["flights"], "to": ["flights"], "texts": ["notes"],
        "bookings": ["bookings"], "flight_of": ["bookings", "flights"],
        "over_both": ["bookings", "flights", "notes"], "booked": ["bookings", "flights"],
    }  # fmt: skip

    def hangs_on(look: Any) -> list[str]:
        from extrovert.context.reads import Scope, reading

        reads: Any = {}
        with reading(Scope(host.fold.context, "the test", reads)):
            look()
        return sorted(origins.of_reads(reads))

    assert hangs_on(lambda: to.count("ORD")) == ["flights"]
    assert hangs_on(lambda: texts.search("word")) == ["notes"]
    assert hangs_on(lambda: flight_of["B1"]) == ["bookings", "flights"]
    assert hangs_on(lambda: flight_of["B2"]) == ["bookings"]  # nothing was looked up for it
    assert hangs_on(lambda: booked["F1"]) == ["bookings", "flights"]
    assert hangs_on(lambda: list(booked.all())) == ["bookings", "flights"]
    assert hangs_on(lambda: over_both["B1"]) == ["bookings", "flights", "notes"]
    with reading():
        assert heard_within(late, timedelta(0))


# ---- as a read of its own


class Watch(Record):
    watch_id: str


def watched(app: App) -> tuple[Stream[Flight], Table[str, Watch], Any]:
    feed = app.stream("flights", Flight, key=Flight.flight_id)
    flights = app.table("flights", Flight, key=Flight.flight_id, source=feed)
    watches = app.table("watches", Watch, key=Watch.watch_id)

    @app.view(over=watches)
    def silent(watch: Watch) -> str | None:
        return None if heard_within(flights, timedelta(seconds=5)) else "silent"

    return feed, watches, silent


async def test_a_view_knows_when_a_source_falls_silent_and_when_it_is_back(tmp_path: Path) -> None:
    app = App("watch")
    feed, watches, silent = watched(app)
    seen: list[tuple[float, str | None]] = []

    @app.agent(wakes_on=silent)
    async def tell(turn: Turn, value: str | None) -> None:
        seen.append((round(turn.now().timestamp() % 86_400, 6), value))

    host = Host(app, tmp_path / "log")
    await host.advance(0.5)
    await host.send(feed, Flight("F1"))
    host.hand_in(watches, Watch("w"))
    await host.advance(3)
    host.hand_in(feed, Flight("F1"))
    await host.advance(1)
    host.engine.heartbeat(feed)
    await host.advance(10)
    host.engine.heartbeat(feed)
    await host.advance(1)
    assert seen == [(9.500001, "silent"), (14.5, None)]
    assert picture(host.fold) == picture(replayed(host))


async def test_silence_that_a_heartbeat_broke_in_time_is_not_logged(tmp_path: Path) -> None:
    app = App("watch")
    feed, watches, _ = watched(app)
    host = Host(app, tmp_path / "log")
    await host.send(feed, Flight("F1"))
    host.hand_in(watches, Watch("w"))
    for _ in range(100):
        await host.advance(0.3)
        host.engine.heartbeat(feed)
    assert host.bodies(Passed) == []
    assert 5 <= len(host.bodies(Heard)) <= 7  # every 5 s, for half a minute
    assert picture(host.fold) == picture(replayed(host))


async def test_an_engine_that_comes_late_to_a_moment_knows_what_was_heard_before_it(tmp_path: Path) -> None:
    app = App("watch")
    feed, watches, _ = watched(app)
    host = Host(app, tmp_path / "log")
    await host.send(feed, Flight("F1"))
    host.hand_in(watches, Watch("w"))
    await host.advance(0)
    for _ in range(8):
        host.clock.move_to(host.clock.now_us() + SECOND)  # it is busy meanwhile
        host.engine.heartbeat(feed)
    await host.advance(0)
    assert host.bodies(Passed) == []
    assert host.bodies(Heard) == [Heard({"flights": to_us(START) + 5 * SECOND})]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_view_of_silence_is_the_same_after_a_crash(tmp_path: Path, snapshot: bool) -> None:
    app = App("watch")
    feed, watches, _ = watched(app)
    host = Host(app, tmp_path / "log")
    await host.send(feed, Flight("F1"))
    host.hand_in(watches, Watch("w"))
    await host.advance(2)
    host.flush()
    if snapshot:
        host.engine.keep_snapshot()
    host.crash(away=1)
    assert host.fold.context.views["silent"].values == {}
    await host.advance(3)
    assert host.fold.context.views["silent"].values == {"w": "silent"}
    host.hand_in(feed, Flight("F2"))
    assert host.fold.context.views["silent"].values == {}
    assert picture(host.fold) == picture(replayed(host))


# ---- sources


async def test_a_replay_is_heard_as_often_as_it_says(tmp_path: Path) -> None:
    airline = Airline(fresh_within=timedelta(seconds=2))
    first = Arrival(to_us(START), "flights", Flight("F1"))
    last = Arrival(to_us(START) + 100 * SECOND, "flights", Flight("F2"))
    arrivals: list[Arrival] = [first, last]

    def arriving() -> Iterator[Arrival]:
        return iter(arrivals)

    airline.app.source(Replay("feed", arriving, heartbeat_us=10 * SECOND))
    host = airline.host(tmp_path)
    await host.advance(34)
    host.hand_in(airline.bookings, Booking("B1", "F1"))
    await host.advance(20)
    assert airline.saw == [(40.0, 7, ())]
    assert host.decisions()[0].heard == {"flights": 0}


class Feed:
    """A live source of one batch, that can fail."""

    name, stream, at = "feed", "flights", ""
    every_us: int | None = SECOND
    speed: float | None = None
    broken = False

    def read(self, position: Any) -> Batch | None:
        if self.broken:
            raise ConnectionError("nobody answers")
        return Batch(1, msgspec.json.encode(Flight("F1"))) if position is None else None


async def test_a_live_source_is_heard_as_long_as_it_can_be_read(tmp_path: Path) -> None:
    airline, feed = Airline(), Feed()
    airline.app.source(feed)
    host = airline.host(tmp_path)
    await host.advance(3_600)
    await host.send(airline.bookings, Booking("B1", "F1"))
    assert [answer for _, answer, _ in airline.saw] == [7]
    assert len(host.bodies(Heard)) == 1

    feed.broken = True
    await host.advance(6)
    await host.send(airline.bookings, Booking("B2", "F1"))
    assert len(host.decisions()) == 1
    feed.broken = False
    await host.settle()
    assert len(host.decisions()) == 2


async def test_a_source_that_is_at_its_end_does_not_grow_old(tmp_path: Path) -> None:
    airline = Airline()
    path = tmp_path / "flights.jsonl"
    path.write_bytes(msgspec.json.encode(Flight("F1")) + b"\n")
    airline.app.source(Lines(path, airline.feed))
    host = airline.host(tmp_path)
    await host.advance(3_600)
    await host.send(airline.bookings, Booking("B1", "F1"))
    assert [answer for _, answer, _ in airline.saw] == [7]


async def test_in_real_time_a_source_that_is_back_frees_who_waits_for_it(tmp_path: Path) -> None:
    airline, feed = Airline(fresh_within=timedelta(milliseconds=200)), Feed()
    feed.every_us, feed.broken = 10_000, True
    airline.app.source(feed)
    async with serving(airline.app, tmp_path, {"policy:ground": Rule(7)}) as engine:
        await engine.send(airline.bookings, [Booking("B1", "F1")])
        await until(lambda: any(turn.silent for turn in engine.shard.fold.running.values()))
        feed.broken = False
        await until(lambda: airline.saw)
    assert [answer for _, answer, _ in airline.saw] == [7]


# ---- declaring


async def test_what_can_never_grow_old_is_not_to_be_declared_fresh() -> None:
    app = App("airline")
    bookings = app.table("bookings", Booking, key=Booking.booking_id)

    @app.agent(wakes_on=bookings, fresh_within=timedelta(seconds=5))
    async def place(turn: Turn, booking: Booking) -> None: ...

    with pytest.raises(DeclarationError, match=r"`place`: fresh_within= has nothing to look at"):
        app.declared()


def test_what_happens_else_is_one_of_three() -> None:
    with pytest.raises(DeclarationError, match=r'`place`: stale= is "wait", "refuse", or a policy or model'):
        Airline(stale="never")


async def test_after_a_crash_a_guarded_turn_whose_source_has_fallen_silent_asks_the_fallback_anew(
    tmp_path: Path,
) -> None:
    """What it had asked of its model is not answered by another in that one's name."""
    app = App("desk")
    rates = app.table("rates", Flight, key=Flight.flight_id, source=app.stream("rates", Flight, key=Flight.flight_id))
    orders = app.table("orders", Booking, key=Booking.booking_id)

    @app.policy
    def close(about: str) -> int:
        return 0

    @app.policy
    def careful(about: str) -> int:
        return 0

    @app.agent(
        wakes_on=orders,
        model=close,
        stale=careful,
        fresh_within=timedelta(seconds=5),
        deadline=timedelta(seconds=1),
        on_conflict="guarded",
    )
    async def price(turn: Turn, order: Booking) -> None:
        rates.get(order.flight_id)
        await turn.ask(order.booking_id, output=int)

    rules = {"policy:close": Rule(1, thinks=10), "policy:careful": Rule(2)}
    host = Host(app, tmp_path / "log", rules)
    host.hand_in(rates, Flight("F1"))
    host.hand_in(orders, Booking("B1", "F1"))
    await host.advance(6)
    host.flush()
    host.crash(away=1)
    await host.settle()
    asked = [ask.model for attempt in host.bodies(Attempted) for ask in attempt.asks]
    assert asked == ["policy:close", "policy:careful"]
    assert [(one.guarded, one.silent) for one in host.decisions()] == [(True, ["rates"])]
    assert [len(rule.asked) for rule in rules.values()] == [0, 1]
