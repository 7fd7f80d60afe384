"""A shadow wakes, asks and decides like any agent, beside the live one; what it decides is kept and not done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, DeclarationError, Record, Thinking, Turn
from extrovert.core.log import Attempted, Decided
from extrovert.engine.approving import pending_approvals
from extrovert.engine.beside import beside
from extrovert.surfaces.story import find, tell
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.airline import Booking, Flight, Rebooking


class Note(Record):
    booking_id: str
    text: str


class Airline:
    """A live agent that thinks for two seconds, and a shadow that thinks for five and would take another flight."""

    def __init__(self, *, live: bool = True, shadow: bool = True) -> None:
        self.app = app = App("airline")
        self.flights = app.table("flights", Flight, key=Flight.flight_id)
        self.bookings = app.table("bookings", Booking, key=Booking.booking_id)
        self.notes = app.stream("notes", Note, key=Note.booking_id)
        self.heard: list[str] = []
        self.performed: list[Any] = []

        @app.view(over=self.bookings)
        def disrupted(booking: Booking) -> Booking | None:
            flight = self.flights.get(booking.flight_id)
            return booking if flight is not None and flight.cancelled else None

        @app.policy(thinks=Thinking(timedelta(seconds=2), sigma=0.0))
        def first(options: str) -> Rebooking:
            return Rebooking(options.split(maxsplit=1)[0])

        @app.policy(thinks=Thinking(timedelta(seconds=5), sigma=0.0))
        def last(options: str) -> Rebooking:
            return Rebooking(options.rsplit(maxsplit=1)[-1])

        @app.effect
        async def send(booking_id: str, text: str) -> None:
            self.performed.append((booking_id, text))

        async def decide(turn: Turn, booking: Booking) -> None:
            options = " ".join(flight.flight_id for flight in self.flights.all() if not flight.cancelled)
            choice = await turn.ask(options, output=Rebooking)
            turn.put(self.bookings, booking.but(flight_id=choice.flight_id))
            turn.emit(self.notes, Note(booking.booking_id, choice.flight_id))
            turn.effect(send, booking.booking_id, choice.flight_id)

        if shadow:

            @app.agent(wakes_on=disrupted, model=last, shadow=True)
            async def careful(turn: Turn, booking: Booking) -> None:  # pyright: ignore[reportUnusedFunction]
                await decide(turn, booking)

        if live:

            @app.agent(wakes_on=disrupted, model=first)
            async def rebook(turn: Turn, booking: Booking) -> None:  # pyright: ignore[reportUnusedFunction]
                await decide(turn, booking)

        self._listen()

    def _listen(self) -> None:
        @self.app.agent(wakes_on=self.notes)
        async def hear(turn: Turn, note: Note) -> None:  # pyright: ignore[reportUnusedFunction]
            self.heard.append(note.text)

    async def disturbed(self, path: Path, **settings: Any) -> Host:
        """A host on which the flight of a booking has just been cancelled."""
        host = Host(self.app, path, **settings)
        await host.send(self.flights, Flight("F1"), Flight("F2"), Flight("F3"))
        await host.send(self.bookings, Booking("B1", "F1"))
        host.hand_in(self.flights, Flight("F1", cancelled=True))
        return host


def of(host: Host, agent: str) -> list[Decided]:
    return [decision for decision in host.decisions() if decision.agent == agent]


def does(decision: Decided) -> list[Any]:
    """What it writes, emits and intends."""
    rows = [(write.to, msgspec.json.decode(write.row)["flight_id"]) for write in decision.writes]
    emits = [(emit.to, msgspec.json.decode(emit.data)["text"]) for emit in decision.emits]
    return [*rows, *emits, *((one.effect, msgspec.json.decode(one.args)) for one in decision.effects)]


async def test_its_decision_is_kept_and_nothing_of_it_is_done(tmp_path: Path) -> None:
    airline = Airline(live=False)
    host = await airline.disturbed(tmp_path / "log")
    await host.settle()
    (decision,) = of(host, "careful")
    assert decision.shadow
    assert does(decision) == [("bookings", "F3"), ("notes", "F3"), ("send", ["B1", "F3"])]
    assert host.row(airline.bookings, "B1").flight_id == "F1"
    assert (airline.heard, airline.performed) == ([], [])
    assert not host.fold.outbox.pending
    assert len(host.decisions()) == 1, "it is not woken again by what it did not do"


async def test_it_decides_on_what_it_saw_though_the_live_agent_settles_the_case_meanwhile(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.disturbed(tmp_path / "log")
    await host.settle()
    (live,), (shadow,) = of(host, "rebook"), of(host, "careful")
    assert not live.shadow
    assert does(live)[0] == ("bookings", "F2")
    assert does(shadow)[0] == ("bookings", "F3")
    assert live.wake.offset == shadow.wake.offset
    assert host.row(airline.bookings, "B1").flight_id == "F2"
    assert airline.performed == [("B1", "F2")]
    assert airline.heard == ["F2"]


async def test_the_live_agent_decides_as_it_would_without_a_shadow(tmp_path: Path) -> None:
    beside = await Airline().disturbed(tmp_path / "beside")
    await beside.settle()
    alone = await Airline(shadow=False).disturbed(tmp_path / "alone")
    await alone.settle()
    (with_shadow,), (without,) = of(beside, "rebook"), of(alone, "rebook")
    assert (does(with_shadow), with_shadow.attempt) == (does(without), without.attempt)


@pytest.mark.parametrize("snapshot_every", [1, 200_000])
async def test_replay_of_a_shadow_is_as_it_was_live(tmp_path: Path, snapshot_every: int) -> None:
    airline = Airline()
    host = await airline.disturbed(tmp_path / "log", snapshot_every=snapshot_every)
    await host.settle()
    assert of(host, "careful")
    assert picture(replayed(host)) == picture(host.fold)
    before = picture(host.fold)
    host.crash()
    assert picture(host.fold) == before
    await host.send(airline.flights, Flight("F4"))
    assert picture(replayed(host)) == picture(host.fold)


async def test_its_next_wake_is_the_next_change(tmp_path: Path) -> None:
    airline = Airline(live=False)
    host = await airline.disturbed(tmp_path / "log")
    await host.settle()
    await host.send(airline.bookings, Booking("B1", "F1", "C2"))
    assert len(of(host, "careful")) == 2


async def test_after_a_restart_it_finds_its_answer_where_the_world_is_still_the_same(tmp_path: Path) -> None:
    airline = Airline(live=False)
    host = await airline.disturbed(tmp_path / "log")
    await host.advance(1)
    host.flush()
    host.crash()
    await host.settle()
    (decision,) = of(host, "careful")
    assert does(decision)[0] == ("bookings", "F3")
    assert len([ask for body in host.bodies(Attempted) for ask in body.asks]) == 1


async def test_after_a_restart_it_looks_at_the_present(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.disturbed(tmp_path / "log")
    await host.advance(3)
    host.flush()
    host.crash()
    await host.settle()
    assert of(host, "careful") == []
    assert host.outcomes() == ["gone"]


async def test_nobody_is_asked_for_it_and_it_goes_on_as_if_that_were_granted(tmp_path: Path) -> None:
    app = App("refunds")
    claims = app.table("claims", Booking, key=Booking.booking_id)
    paid = app.table("paid", Note, key=Note.booking_id)

    @app.agent(wakes_on=claims, shadow=True)
    async def refund(turn: Turn, claim: Booking) -> None:
        if await turn.approval(claim, who="finance"):
            turn.put(paid, Note(claim.booking_id, "paid"))

    host = Host(app, tmp_path / "log")
    host.hand_in(claims, Booking("B1", "F1"))
    await host.settle()
    assert pending_approvals(host.fold) == []
    (decision,) = of(host, "refund")
    assert [write.to for write in decision.writes] == ["paid"]
    assert host.row(paid, "B1") is None


async def test_its_requests_are_not_sent_but_it_hears_the_answer_to_the_same_one(tmp_path: Path) -> None:
    app = App("shop")
    wishes = app.stream("wishes", Note, key=Note.booking_id)
    questions = app.stream("questions", Note, key=Note.booking_id)
    replies = app.stream("replies", Note, key=Note.booking_id)
    kept = app.table("kept", Note, key=Note.booking_id)
    questioned: list[str] = []

    async def request(turn: Turn, wish: Note) -> None:
        reply = await turn.request(questions, Note(wish.booking_id, "how?"), replies, key=wish.booking_id)
        turn.put(kept, reply)

    @app.agent(wakes_on=wishes, shadow=True)
    async def careful(turn: Turn, wish: Note) -> None:
        await request(turn, wish)

    @app.agent(wakes_on=wishes)
    async def live(turn: Turn, wish: Note) -> None:  # pyright: ignore[reportUnusedFunction]
        await request(turn, wish)

    @app.agent(wakes_on=questions)
    async def expert(turn: Turn, question: Note) -> None:  # pyright: ignore[reportUnusedFunction]
        questioned.append(question.text)
        turn.emit(replies, Note(question.booking_id, "so"))

    host = Host(app, tmp_path / "log")
    await host.send(wishes, Note("W1", "please"))
    assert questioned == ["how?"]
    assert [msgspec.json.decode(of(host, name)[0].writes[0].row)["text"] for name in ("careful", "live")] == ["so"] * 2
    assert of(host, careful.name)[0].shadow
    assert picture(replayed(host)) == picture(host.fold)


async def test_what_it_would_undo_stays_done(tmp_path: Path) -> None:
    app = App("shop")
    orders = app.stream("orders", Note, key=Note.booking_id)
    performed: list[str] = []

    @app.effect
    async def give_back(order: str) -> None:
        performed.append(f"back {order}")

    @app.effect(undo=give_back)
    async def charge(order: str) -> None:
        performed.append(order)

    @app.agent(wakes_on=orders)
    async def buy(turn: Turn, order: Note) -> None:  # pyright: ignore[reportUnusedFunction]
        turn.effect(charge, order.booking_id)

    @app.agent(wakes_on=orders, when=lambda order: order.text == "never mind", shadow=True)
    async def regret(turn: Turn, order: Note) -> None:  # pyright: ignore[reportUnusedFunction]
        turn.undo(f"buy:{order.booking_id}@1")

    host = Host(app, tmp_path / "log")
    await host.send(orders, Note("O1", "buy"))
    await host.send(orders, Note("O1", "never mind"))
    assert of(host, "regret")[0].undoes == ["buy:O1@1"]
    assert performed == ["O1", "O1"]


def test_a_shadow_cannot_be_held_for_a_person() -> None:
    app = App("shop")
    orders = app.stream("orders", Note, key=Note.booking_id)
    with pytest.raises(DeclarationError, match="is a shadow, for which no person is asked"):

        @app.agent(wakes_on=orders, shadow=True, on_conflict="hold")
        async def regret(turn: Turn, order: Note) -> None:  # pyright: ignore[reportUnusedFunction]
            pass


async def test_it_is_compared_with_the_live_agent_by_the_change_that_woke_both(tmp_path: Path) -> None:
    airline = Airline()
    host = await airline.disturbed(tmp_path / "log")
    await host.settle()
    await host.send(airline.bookings, Booking("B2", "F1"))
    host.hand_in(airline.bookings, Booking("B3", "F1"))
    await host.advance(3)  # the live agent has decided about B3, and the shadow thinks
    host.flush()
    found = beside(host.store, "careful", "rebook")
    assert [(one.key, *one.differs) for one in found] == [
        ("B1", "writes", "emits", "effects"),
        ("B2", "writes", "emits", "effects"),
    ]
    assert (found[0].recorded.thought_ms, found[0].candidate.thought_ms) == (2000.0, 5000.0)
    host.hand_in(airline.bookings, Booking("B4", "F1"))
    await host.advance(1)
    host.hand_in(airline.bookings, Booking("B4", "F2"))  # before anybody has decided
    await host.settle()
    host.flush()
    later = beside(host.store, "careful", "rebook")[2:]
    assert [(one.key, one.recorded.outcome, one.candidate.outcome) for one in later] == [
        ("B3", "decided", "decided"),
        ("B4", "gone", "decided"),
    ]
    assert beside(host.store, "rebok", "rebook") == []


async def test_its_story_says_what_it_would_have_done(tmp_path: Path) -> None:
    host = await Airline(live=False).disturbed(tmp_path / "log")
    await host.settle()
    host.flush()
    story = tell(host.store, find(host.store, "careful:B1"))
    assert story.outcome == "shadow"
    assert [(act.effect, act.state) for act in story.effects] == [("send", "shadowed")]
