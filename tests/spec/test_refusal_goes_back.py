"""`Refuse` goes back to who gave the answer, with the reason; so does an answer that does not fit. Both are bounded."""

from __future__ import annotations

from pathlib import Path

import msgspec

from extrovert import App, Refuse, Turn
from extrovert.core.log import Attempted
from extrovert.testing import World
from extrovert.turns.request import Refusal
from tests.hosts import Host, Rule
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
told: list[tuple[str, ...]] = []


@app.policy
def next_one(choice: Choice, refusals: tuple[Refusal, ...]) -> Rebooking:
    """Takes the first option that was not refused yet."""
    told.append(tuple(refusal.reason for refusal in refusals))
    return Rebooking(choice.options[len(refusals)])


@app.agent(wakes_on=bookings, model=next_one)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [flight.flight_id for flight in flights.all()]
    choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
    free = seats[choice.flight_id].left
    if free == 0:
        raise Refuse(f"{choice.flight_id} is full")
    turn.put(seats, Seats(choice.flight_id, free - 1))


def setup_function() -> None:
    told.clear()


async def some_seats(world: World, *left: int) -> None:
    await world.send(flights, *(Flight(f"F{number}") for number in range(len(left))))
    await world.send(seats, *(Seats(f"F{number}", free) for number, free in enumerate(left)))


async def test_a_refused_answer_is_asked_again_with_the_reason(world: World) -> None:
    await some_seats(world, 0, 0, 4)
    await world.send(bookings, Booking("B1", "F9"))
    assert told == [(), ("F0 is full",), ("F0 is full", "F1 is full")]
    assert seats["F2"] == Seats("F2", 3)


async def test_what_was_refused_is_in_the_ledger(world: World) -> None:
    await some_seats(world, 0, 4)
    await world.send(bookings, Booking("B1", "F9"))
    decision = await world.decision(rebook, "B1")
    assert [write.key for write in decision.writes] == ["F1"]
    world.engine.writing.flush()
    decided = next(entry for entry in world.store.entries() if entry.kind == "decided")
    assert msgspec.json.decode(decided.body)["refused"] == ["F0 is full"]


async def test_what_led_to_a_refusal_is_among_the_reads(world: World) -> None:
    await some_seats(world, 0, 4)
    await world.send(bookings, Booking("B1", "F9"))
    reads = {(note.of, note.at) for note in (await world.decision(rebook, "B1")).reads}
    assert {("seats", "F0"), ("seats", "F1")} <= reads


async def test_a_refusal_that_is_no_longer_true_is_taken_back(tmp_path: Path) -> None:
    def answer(choice: Choice) -> Rebooking:
        return Rebooking("F0") if len(rule.asked) == 1 else Rebooking("F1")

    rule = Rule(answer, 2)
    host = Host(app, tmp_path / "log", {"agent:rebook": rule})
    host.hand_in(flights, Flight("F0"), Flight("F1"))
    host.hand_in(seats, Seats("F0", 0), Seats("F1", 9))
    host.hand_in(bookings, Booking("B1", "F9"))
    await host.advance(3)  # F0 was refused, and the next answer is on its way
    host.hand_in(seats, Seats("F0", 1))
    await host.settle()
    assert [write.key for write in host.decisions()[0].writes] == ["F0"]
    assert len(rule.asked) == 1
    assert host.row(seats, "F0") == Seats("F0", 0)


async def test_an_answer_that_does_not_fit_is_refused(world: World) -> None:
    await some_seats(world, 4)
    script = world.answer(rebook, {"flight": "F0"}, Rebooking("F0"))
    await world.send(bookings, Booking("B1", "F9"))
    assert len(script.asked) == 2
    assert seats["F0"] == Seats("F0", 3)
    world.engine.writing.flush()
    refused = [msgspec.json.decode(entry.body).get("refused") for entry in world.store.entries()]
    assert ["the answer does not fit: Object missing required field `flight_id`"] in refused


async def test_refusals_are_bounded(world: World) -> None:
    await some_seats(world, 0, 0, 0, 0, 0, 9)
    await world.send(bookings, Booking("B1", "F9"))
    assert world.decisions(rebook) == []
    assert [letter.cause for letter in world.dead_letters()] == [
        "failed: TurnError: Every answer was refused, the last because: F3 is full"
    ]


async def test_a_refusal_of_nothing_is_an_error() -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    @app.agent(wakes_on=flights)
    async def refuse(turn: Turn, flight: Flight) -> None:
        raise Refuse("no")

    with World(app) as world:
        await world.send(flights, Flight("F1"))
        assert [letter.cause for letter in world.dead_letters()] == [
            "failed: TurnError: Agent `refuse` refused (no), but nothing had been asked."
        ]


async def test_only_the_latest_answer_is_refused(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    got: list[tuple[int, int]] = []

    @app.agent(wakes_on=flights)
    async def ask(turn: Turn, flight: Flight) -> None:
        one = await turn.ask("one?", output=int)
        two = await turn.ask("two?", output=int)
        if two < 5:
            raise Refuse("too few")
        got.append((one, two))

    answers = iter([1, 2, 3, 7])
    host = Host(app, tmp_path / "log", {"agent:ask": Rule(lambda _: next(answers))})
    await host.send(flights, Flight("F1"))
    assert got == [(1, 7)]
    assert [len(one.asks) for one in host.bodies(Attempted)] == [1, 1, 1, 1]
