"""A guard is a condition on live context that must hold when a decision commits and, for an effect, again just before
it is performed: where it fails there, the effect is withdrawn, and that is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from extrovert import App, Effect, Record, Table, TransientError, Turn
from extrovert.core.log import EffectStep
from tests.hosts import Host, Rule
from tests.spec.airline import Flight
from tests.spec.outside import Outside, moves


class Note(Record):
    flight_id: str
    text: str


class Seats(Record):
    flight_id: str
    left: int


class Airline:
    """An agent that is woken by notes and does what the note says."""

    def __init__(self, outside: Outside, *, ask: bool = False, declared: bool = True, **options: object) -> None:
        self.app = App("airline")
        self.flights = self.app.table("flights", Flight, key=Flight.flight_id)
        self.seats = self.app.table("seats", Seats, key=Seats.flight_id)
        self.notes = self.app.table("notes", Note, key=Note.flight_id)
        flights, seats = self.flights, self.seats

        def still_cancelled(flight_id: str) -> bool:
            return flights[flight_id].cancelled

        guard = self.app.guard(still_cancelled)

        @self.app.guard
        def not_overbooked(flight_id: str) -> bool:
            return seats[flight_id].left >= 0

        async def refund(flight_id: str, *, idempotency_key: str = "") -> str:
            return await outside.act("refund", flight_id, idempotency_key)

        declare: Any = self.app.effect
        refunding: Effect[[str]] = declare(**options)(refund)

        @self.app.policy
        def yes(facts: str) -> str:
            return "yes"

        @self.app.agent(wakes_on=self.notes, model=yes, max_tries=1)
        async def care(turn: Turn, note: Note) -> None:
            if ask:
                await turn.ask(f"refund {note.flight_id}?", output=str)
            if note.text == "require":
                turn.require(guard(note.flight_id))
            elif note.text == "write":
                turn.put(seats, Seats(note.flight_id, -1), guard=not_overbooked(note.flight_id))
            else:
                turn.effect(refunding, note.flight_id).guard(guard(note.flight_id))

        if not declared:
            self.app._guards.clear()  # pyright: ignore[reportPrivateUsage]  # a later version of the app


async def noted(airline: Airline, path: Path, text: str, *, cancelled: bool, **answerers: Rule) -> Host:
    host = Host(airline.app, path, answerers)
    host.hand_in(airline.flights, Flight("F1", cancelled=cancelled))
    host.hand_in(airline.notes, Note("F1", text))
    return host


async def test_a_decision_commits_where_what_it_requires_holds(tmp_path: Path) -> None:
    airline = Airline(Outside())
    host = await noted(airline, tmp_path / "log", "require", cancelled=True)
    await host.settle()
    (decision,) = host.decisions()
    assert [(note.guard, bytes(note.args)) for note in decision.guards] == [("still_cancelled", b'["F1"]')]
    assert ("row", "flights", "F1") in [(read.kind, read.of, read.at) for read in decision.reads]


async def test_a_decision_does_not_commit_where_it_does_not_hold(tmp_path: Path) -> None:
    host = await noted(Airline(Outside()), tmp_path / "log", "require", cancelled=False)
    await host.settle()
    assert host.decisions() == []
    (letter,) = host.dead_letters()
    assert 'GuardFailed: guard `still_cancelled("F1")` does not hold' in letter.cause


async def test_a_guard_sees_what_the_decision_makes_of_the_world(tmp_path: Path) -> None:
    host = await noted(Airline(Outside()), tmp_path / "log", "write", cancelled=True)
    await host.settle()
    assert host.decisions() == []
    assert 'not_overbooked("F1")' in host.dead_letters()[0].cause


async def test_a_guard_that_does_not_hold_goes_back_to_whoever_answered(tmp_path: Path) -> None:
    airline = Airline(Outside(), ask=True)
    host = await noted(airline, tmp_path / "log", "effect", cancelled=False)
    await host.settle()
    (ended,) = [body for body in host.bodies() if body.__class__.__name__ == "Ended"]
    assert ended.cause.startswith("TurnError: Every answer was refused, the last because: guard `still_cancelled")


async def late(airline: Airline, path: Path) -> Host:
    """The decision commits, and before its effect is performed the flight flies again."""
    host = await noted(airline, path, "effect", cancelled=True)
    await host.advance(0)
    host.hand_in(airline.flights, Flight("F1"))
    return host


async def test_an_effect_whose_guard_fails_before_it_is_performed_is_withdrawn(tmp_path: Path) -> None:
    outside = Outside()
    host = await late(Airline(outside), tmp_path / "log")
    await host.settle()
    assert len(host.decisions()) == 1
    assert outside.done == []
    assert moves(host) == [("0", "withdrawn")]
    assert host.bodies(EffectStep)[0].moves[0].error == 'guard `still_cancelled("F1")` does not hold'


async def test_it_is_looked_at_again_after_a_crash(tmp_path: Path) -> None:
    outside = Outside()
    host = await late(Airline(outside), tmp_path / "log")
    host.flush()
    host.crash()
    await host.settle()
    assert (outside.done, moves(host)) == ([], [("0", "withdrawn")])


async def test_it_is_looked_at_before_each_try(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["refund"] = [TransientError("busy", retry_after_s=10)]
    airline = Airline(outside)
    host = await noted(airline, tmp_path / "log", "effect", cancelled=True)
    await host.advance(5)
    await host.send(airline.flights, Flight("F1"))
    assert (outside.done, moves(host)) == ([], [("0", "performing"), ("0", "failed"), ("0", "withdrawn")])


async def test_what_may_have_happened_is_not_called_withdrawn(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["refund"] = [ConnectionResetError("by peer")]
    airline = Airline(outside, idempotent=True)
    host = await noted(airline, tmp_path / "log", "effect", cancelled=True)
    await host.advance(0.3)
    await host.send(airline.flights, Flight("F1"))
    assert moves(host) == [("0", "performing"), ("0", "unknown"), ("0", "unknown")]
    (pending,) = host.fold.outbox.pending.values()
    assert pending.error.endswith("does not hold, and an earlier try may have acted")
    assert pending.retry_at_us is None


async def test_what_is_looked_up_and_did_not_happen_is_withdrawn(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["refund"] = [ConnectionResetError("by peer")]
    airline = Airline(outside, reconcile=outside.look_up)
    host = await noted(airline, tmp_path / "log", "effect", cancelled=True)
    await host.advance(0.3)
    await host.send(airline.flights, Flight("F1"))
    assert [state for _, state in moves(host)] == ["performing", "unknown", "failed", "withdrawn"]


async def test_one_whose_guard_the_app_no_longer_has_is_withdrawn(tmp_path: Path) -> None:
    host = await noted(Airline(Outside()), tmp_path / "log", "effect", cancelled=True)
    await host.advance(0)
    host.flush()
    host.declared = Airline(Outside(), declared=False).app.declared()
    host.crash()
    await host.settle()
    assert host.bodies(EffectStep)[0].moves[0].error == "there is no guard `still_cancelled` any more"


async def test_a_guard_that_raises_lets_nothing_through(tmp_path: Path) -> None:
    outside = Outside()
    airline = Airline(outside)
    host = await noted(airline, tmp_path / "log", "effect", cancelled=True)
    await host.advance(0)
    table: Table[str, Flight] = airline.flights
    host.engine.intake.arrivals("gone", [tombstone(table, "F1")], 1)
    await host.settle()
    assert outside.done == []
    assert "raised MissingRow" in host.bodies(EffectStep)[0].moves[0].error


def tombstone(table: Table[str, Flight], key: str):
    from extrovert import Arrival

    return Arrival(0, table.stream, None, key=key)
