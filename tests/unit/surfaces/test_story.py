"""The story of a decision is told from the log alone, and leaves nothing out."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from extrovert import App, ExtrovertError, PermanentError, Record, Refuse, TransientError, Turn, before
from extrovert.surfaces.story import Story, find, tell
from extrovert.surfaces.telling import tell_to
from extrovert.testing import World

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

app = App("airline")


class Flight(Record):
    flight_id: str
    destination: str = "ORD"
    cancelled: bool = False


class Booking(Record):
    booking_id: str
    flight_id: str


class Moved(Record):
    booking_id: str
    flight_id: str


class Complaint(Record):
    booking_id: str
    text: str


class Price(Record):
    symbol: str
    at: datetime
    value: float


class LateCall(Record):
    call_id: str
    due_at: datetime


flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
moves = app.stream("moves", Moved, key=Moved.booking_id)
complaints = app.stream("complaints", Complaint, key=Complaint.booking_id)
late_calls = app.table("late_calls", LateCall, key=LateCall.call_id)
by_destination = flights.index(Flight.destination)
failures: list[Exception] = []


@app.view(over=bookings)
def stranded(booking: Booking) -> Booking | None:
    flight = flights.get(booking.flight_id)
    return booking if flight is not None and flight.cancelled else None


@app.policy
def anything(facts: str) -> str:
    return facts


@app.effect
async def tell_passenger(booking_id: str, text: str) -> None: ...


@app.agent(wakes_on=stranded, model=anything)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [flight.flight_id for flight in by_destination["ORD"] if not flight.cancelled]
    choice = await turn.ask(" ".join(options), output=str)
    if choice not in options:
        raise Refuse(f"{choice} does not fly")
    before(turn.now() + HOUR)
    turn.put(bookings, booking.but(flight_id=choice))
    turn.emit(moves, Moved(booking.booking_id, choice))
    turn.effect(tell_passenger, booking.booking_id, f"you fly with {choice}")


@app.agent(wakes_on=complaints, retry_after=SECOND)
async def answer(turn: Turn, complaint: Complaint) -> None:
    if failures:
        raise failures.pop(0)


@app.agent(wakes_on=moves)
async def file_away(turn: Turn, moved: Moved) -> None:
    bookings.get(moved.booking_id)


@app.view(over=late_calls)
def overdue(call: LateCall) -> LateCall | None:
    return None if before(call.due_at) else call


@app.agent(wakes_on=overdue)
async def call_late(turn: Turn, call: LateCall) -> None: ...


async def one_moved(world: World, *answers: str) -> None:
    """F1 is cancelled, under a passenger who could take F2 or F3."""
    await world.send(flights, Flight("F1"), Flight("F2"), Flight("F3"))
    await world.send(bookings, Booking("B1", "F1"))
    world.answer(rebook, *answers, thinks=2 * SECOND)
    world.hand_in("flights", Flight("F1", cancelled=True))


def story_of(world: World, name: str) -> Story:
    world.engine.writing.flush()
    return tell(world.store, find(world.store, name))


def told(story: Story) -> str:
    out = Console(file=StringIO(), width=1000)
    tell_to(out, story)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


async def test_what_was_read_is_told_with_its_version_its_age_and_where_it_came_from(world: World) -> None:
    await one_moved(world, "F2")
    await world.settle()
    story = story_of(world, "rebook:B1")
    reads = {(read.kind, read.of): read for read in story.reads}
    index = next(read for (kind, _), read in reads.items() if kind == "index")
    assert (index.at, index.version, index.age_ms) == ("ORD", 5, 2000.0)
    assert index.change is not None
    assert index.change.by == "event on `flights`"
    assert bytes(index.change.data or b"").startswith(b'{"flight_id":"F1"')
    assert next(read for (kind, _), read in reads.items() if kind == "before").age_ms is None
    assert (story.id, story.outcome, story.took_ms, story.woken_by) == ("rebook:B1@5", "decided", 2000.0, "stranded")


async def test_each_attempt_is_told_and_why_it_was_run_again(world: World) -> None:
    await one_moved(world, "F3")
    await world.advance(SECOND)
    await world.send(flights, Flight("F2", cancelled=True))
    story = story_of(world, "rebook:B1")
    first, second, last = story.attempts
    assert (first.why, second.why, last.why) == ("woken", "changed", "answered")
    assert second.changed != []
    assert [ask.cancelled for ask in first.asked] == [True]
    assert [(bytes(ask.answer or b""), ask.thought_ms, ask.used) for ask in second.asked] == [(b'"F3"', 2000.0, True)]
    text = told(story)
    assert "run again, since" in text
    assert "cancelled, since a later attempt asked something else" in text
    assert 'answered after 2.0 s: "F3"' in text


async def test_a_call_that_was_joined_is_told(world: World) -> None:
    await one_moved(world, "F2")
    await world.advance(SECOND)
    await world.send(flights, Flight("F4", cancelled=True))
    story = story_of(world, "rebook:B1")
    assert story.attempts[1].joined == [story.attempts[0].asked[0].hash]
    assert "asked the same as before: joined the call in flight" in told(story)


async def test_what_was_changed_and_what_came_of_it_is_told(world: World) -> None:
    await one_moved(world, "F2")
    await world.settle()
    story = story_of(world, "rebook:B1")
    assert [(write.to, write.key, bytes(write.row)) for write in story.writes] == [
        ("bookings", "B1", b'{"booking_id":"B1","flight_id":"F2"}')
    ]
    assert [(emit.to, emit.key) for emit in story.emits] == [("moves", "B1")]
    (act,) = story.effects
    assert (act.key, act.effect, bytes(act.args), act.state) == (
        "rebook:B1@5/0",
        "tell_passenger",
        b'["B1","you fly with F2"]',
        "settled",
    )
    assert [step.state for step in act.steps] == ["performing", "settled"]


async def test_an_effect_of_which_nothing_came_yet_is_intended(world: World) -> None:
    await one_moved(world, "F2")
    await world.advance(2 * SECOND)
    (act,) = story_of(world, "rebook:B1").effects
    assert (act.state, act.steps) == ("intended", [])


async def test_a_turn_on_a_stream_is_told_with_its_events_and_who_emitted_them(world: World) -> None:
    await one_moved(world, "F2")
    await world.settle()
    story = story_of(world, "file_away:B1")
    (event,) = story.events
    assert event.by == "event on `moves`, emitted by `rebook:B1@5`"
    assert bytes(event.data or b"") == b'{"booking_id":"B1","flight_id":"F2"}'
    (read,) = story.reads
    assert read.change is not None
    assert (read.change.by, bytes(read.change.data or b"")) == (
        "decision `rebook:B1@5`",
        b'{"booking_id":"B1","flight_id":"F2"}',
    )
    assert "Changed nothing" in told(story)


async def test_a_wake_that_waited_for_the_turn_before_is_told_so(world: World) -> None:
    failures[:] = [TransientError("the line is dead")]
    world.hand_in("complaints", Complaint("B1", "late"))
    await world.advance(SECOND / 2)
    await world.send(complaints, Complaint("B1", "still late"))
    second = story_of(world, "answer:B1")
    first = story_of(world, second.after)
    assert (first.after, first.attempts_made, second.due_at) == ("", 2, first.at)
    assert [bytes(event.data or b"") for event in second.events] == [b'{"booking_id":"B1","text":"still late"}']
    assert f"when the turn before had ended: {first.id}" in told(second)


async def test_a_wake_by_the_clock_is_told_so(world: World) -> None:
    await world.send(late_calls, LateCall("L1", world.now + SECOND))
    await world.advance(2 * SECOND)
    story = story_of(world, "call_late:L1")
    assert story.wake is not None
    assert (story.wake.by, story.wake.at, story.due_at) == ("the passing of time", *[world.now - SECOND] * 2)
    assert "a change of overdue at @2 2026-01-01 00:00:01.000: the passing of time" in told(story)


async def test_a_refused_answer_is_told(world: World) -> None:
    await one_moved(world, "F9", "F2")
    await world.settle()
    story = story_of(world, "rebook:B1")
    refused = [reason for attempt in story.attempts for reason in attempt.refused]
    assert "F9 does not fly" in refused
    assert "refused the answer: F9 does not fly" in told(story)


async def test_failures_are_told_and_how_it_ended(world: World) -> None:
    failures[:] = [TransientError("the line is dead"), PermanentError("nobody is there")]
    await world.send(complaints, Complaint("B1", "late"))
    story = story_of(world, "answer")
    assert (story.outcome, story.cause, story.attempts_made) == ("failed", "PermanentError: nobody is there", 2)
    assert [attempt.failed for attempt in story.attempts] == ["TransientError: the line is dead"]
    assert story.attempts[0].retry_at is not None
    text = told(story)
    assert "failed: TransientError: the line is dead" in text
    assert "Because: PermanentError: nobody is there" in text


async def test_an_id_is_found_by_its_beginning_if_that_is_clear(world: World) -> None:
    await one_moved(world, "F2")
    await world.send(bookings, Booking("B12", "F1"))
    assert story_of(world, "rebook:B1@").key == "B1"
    assert story_of(world, "rebook:B1").key == "B1"
    assert story_of(world, "rebook:B12").key == "B12"
    with pytest.raises(ExtrovertError, match="`rebook` begins more than one id: rebook:B12@"):
        story_of(world, "rebook")
    with pytest.raises(ExtrovertError, match="No decision is called `rebook:B2`"):
        story_of(world, "rebook:B2")


async def test_agent_and_key_name_the_latest_decision(world: World) -> None:
    await world.send(complaints, Complaint("B1", "late"))
    first = story_of(world, "answer:B1")
    await world.send(complaints, Complaint("B1", "still late"))
    assert story_of(world, "answer:B1").offset > first.offset
    assert story_of(world, first.id) == first


pair = App("pair")
orders = pair.table("orders", Booking, key=Booking.booking_id)


@pair.guard
def ordered(booking_id: str) -> bool:
    return orders.get(booking_id) is not None


@pair.effect
async def give_back(booking_id: str) -> None: ...


@pair.effect(undo=give_back)
async def take(booking_id: str) -> None: ...


@pair.effect
async def inform(booking_id: str) -> None: ...


@pair.effect
async def break_down(booking_id: str) -> None: ...


@pair.agent(wakes_on=orders)
async def order(turn: Turn, booking: Booking) -> None:
    turn.require(ordered(booking.booking_id))
    turn.effect(take, booking.booking_id).once("O1").guard(ordered(booking.booking_id))
    turn.effect(inform, booking.booking_id)
    turn.effect(break_down, booking.booking_id)


async def test_it_tells_of_guards_business_keys_and_what_was_undone() -> None:
    with World(pair) as world:
        world.outcome(break_down, PermanentError("broken"))
        await world.send(orders, Booking("B1", "F1"))
        story = story_of(world, "order:B1")
    assert story.guards == ['ordered("B1")']
    assert [(act.effect, act.state, act.guard, act.once, act.undo) for act in story.effects] == [
        ("take", "settled", 'ordered("B1")', "O1", "give_back"),
        ("inform", "settled", "", "", ""),
        ("break_down", "failed", "", "", ""),
        ("give_back", "settled", "", "", ""),
    ]
    out = StringIO()
    tell_to(Console(file=out, width=200), story)
    told = out.getvalue()
    for words in (
        "Guarded",
        'only if ordered("B1")',
        "once for O1",
        "can be undone by give_back",
        "undo of order:B1@1/0",
    ):
        assert words in told
    assert "order:B1@1/1 has no undo: it stays done" in told


waits = App("waits")
begun = waits.stream("begun", Booking, key=Booking.booking_id)
questions = waits.stream("questions", Booking, key=Booking.booking_id)
replies = waits.stream("replies", Booking, key=Booking.booking_id)


@waits.agent(wakes_on=begun)
async def patient(turn: Turn, booking: Booking) -> None:
    await turn.sleep_until(turn.now() + HOUR)
    await turn.request(questions, booking, replies, key="B1", until=turn.now() + HOUR)
    await turn.approval("fly?", who="ann", until=turn.now() + HOUR)
    await turn.approval("sure?")


async def test_waits_are_told_in_words() -> None:
    with World(waits) as world:
        await world.send(begun, Booking("B1", "F1"))
        await world.advance(timedelta(hours=4))
        await world.approve("patient:B1", by="bob", note="go")
        story = story_of(world, "patient:B1")
    out = StringIO()
    tell_to(Console(file=out, width=200), story)
    told = [line.strip() for line in out.getvalue().splitlines()]
    for words in (
        "waited until 2026-01-01 01:00:00.000",
        "the moment came after 1 h",
        'sent to questions {"booking_id":"B1","flight_id":"F1"}, and waited for an event of replies under B1, '
        "until 2026-01-01 02:00:00.000",
        "none came in time after 1 h",
        'asked ann to approve "fly?", until 2026-01-01 03:00:00.000',
        "denied after 1 h, since nobody answered in time",
        'asked a person to approve "sure?"',
        "approved after 1 h by bob: go",
    ):
        assert words in told


hurried = App("hurried")
trips = hurried.table("trips", Flight, key=Flight.flight_id)


@hurried.agent(wakes_on=trips, on_conflict="guarded", max_reruns=1)
async def praise(turn: Turn, flight: Flight) -> None:
    await turn.ask(f"praise {flight.destination}", output=str)


async def test_a_guarded_decision_is_told_to_be_one() -> None:
    with World(hurried) as world:
        world.answer(praise, "nice", thinks=SECOND * 10)
        for destination in ("ORD", "BOS", "LAX"):
            world.hand_in(trips, Flight("F1", destination))
            await world.advance(SECOND)
        await world.settle()
        story = story_of(world, "praise:F1")
    out = StringIO()
    tell_to(Console(file=out, width=200), story)
    assert story.guarded
    assert "Its answers were given to earlier questions" in out.getvalue()


async def test_an_invalidated_decision_says_so_and_by_what() -> None:
    market = App("market")
    hours = timedelta(hours=2)
    prices = market.table("prices", Price, key=Price.symbol, order_by=Price.at, history=hours)
    orders = market.table("orders", Booking, key=Booking.booking_id)
    market.invalidations(horizon=HOUR)

    @market.agent(wakes_on=orders)
    async def fill(turn: Turn, order: Booking) -> None:
        prices.get(order.flight_id)

    with World(market) as world:
        await world.send(prices, Price("ACME", world.now, 10.0), Price("B", world.now + HOUR, 1.0))
        await world.send(orders, Booking("o1", "ACME"))
        assert story_of(world, "fill:o1").invalidated == []
        report = await world.send(prices, Price("ACME", world.now + HOUR / 2, 12.0))
        assert report.accepted == 1
        (one,) = story_of(world, "fill:o1").invalidated
        assert (one.table, one.key, one.through) == ("prices", "ACME", ["prices/ACME"])
        assert one.by == "event on `prices`"
        text = told(story_of(world, "fill:o1"))
        assert "Invalidated: what it had read was not true then, as is known since." in text
        assert "prices/ACME as of 2026-01-01 01:00:00.000, read through prices/ACME" in text
        assert 'was {"symbol":"ACME","at":"2026-01-01T00:00:00Z","value":10.0}' in text
        assert 'is {"symbol":"ACME","at":"2026-01-01T00:30:00Z","value":12.0}' in text
