"""An exception fails the attempt: it is tried again with backoff, and in the end the wake is a dead letter."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, PermanentError, TransientError, Turn, TurnError
from extrovert.core.log import Answered, Dead, Ended, Failed
from tests.hosts import Host, Rule, replayed
from tests.picture import picture
from tests.spec.airline import Flight, Seats

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
seats = app.table("seats", Seats, key=Seats.flight_id)
raised: list[Exception] = []


@app.agent(wakes_on=flights, max_tries=4, retry_after=timedelta(seconds=10))
async def follow(turn: Turn, flight: Flight) -> None:
    await turn.ask("ready?", output=int)
    if raised:
        raise raised.pop(0)
    turn.put(seats, Seats(flight.flight_id, 1))


def setup_function() -> None:
    raised.clear()


def times_s(host: Host, kind: str) -> list[float]:
    """When entries of this kind came, in seconds from the first entry."""
    entries = host.entries()
    return [(entry.at_us - entries[0].at_us) / 1e6 for entry in entries if entry.kind == kind]


async def test_a_failed_attempt_is_tried_again_after_twice_the_time_each_time(tmp_path: Path) -> None:
    raised.extend([ValueError("a"), KeyError("b"), RuntimeError("c")])
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    await host.send(flights, Flight("F1"))
    assert [one.cause for one in host.bodies(Failed)] == ["ValueError: a", "KeyError: 'b'", "RuntimeError: c"]
    assert times_s(host, "failed") == [0, 10, 30]
    assert times_s(host, "decided") == [70]
    assert len(host.bodies(Answered)) == 1  # its answer is remembered


async def test_what_fails_each_time_is_a_dead_letter_with_its_cause(tmp_path: Path) -> None:
    raised.extend(ValueError(str(number)) for number in range(9))
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    await host.send(flights, Flight("F1"))
    assert len(host.bodies(Failed)) == 3
    (letter,) = host.bodies(Dead)
    assert letter == Dead("flights", "failed: ValueError: 3", turn="follow:F1@1", agent="follow", key="F1")
    assert host.outcomes() == ["failed"]


@pytest.mark.parametrize("error", [PermanentError("never"), TurnError("wrong")])
async def test_what_can_never_work_is_not_tried_again(tmp_path: Path, error: Exception) -> None:
    raised.append(error)
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    await host.send(flights, Flight("F1"))
    assert host.bodies(Failed) == []
    assert len(host.dead_letters()) == 1


async def test_an_error_may_say_when_to_try_again(tmp_path: Path) -> None:
    raised.append(TransientError("busy", retry_after_s=2.5))
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    await host.send(flights, Flight("F1"))
    assert times_s(host, "decided") == [2.5]


async def test_an_ask_that_fails_fails_the_attempt(tmp_path: Path) -> None:
    def answer(_: object) -> int:
        if len(rule.asked) == 1:
            raise TransientError("the model is busy")
        return 1

    rule = Rule(answer, 1)
    host = Host(app, tmp_path / "log", {"agent:follow": rule})
    await host.send(flights, Flight("F1"))
    assert [one.cause for one in host.bodies(Failed)] == ["TransientError: the model is busy"]
    assert times_s(host, "decided") == [12]


async def test_what_changes_meanwhile_does_not_hurry_a_retry_but_is_seen_by_it(tmp_path: Path) -> None:
    raised.append(ValueError("a"))
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    host.hand_in(flights, Flight("F1"))
    await host.advance(5)
    host.hand_in(flights, Flight("F1", delay_minutes=5))
    await host.settle()
    assert times_s(host, "decided") == [10]
    version = host.fold.context.tables["flights"].versions["F1"]
    assert host.decisions()[0].wake.digest == str(version)


async def test_a_retry_outlives_a_crash(tmp_path: Path) -> None:
    raised.append(ValueError("a"))
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    host.hand_in(flights, Flight("F1"))
    await host.advance(5)
    host.flush()
    host.crash()
    await host.settle()
    assert times_s(host, "decided") == [10]
    assert len(host.bodies(Failed)) == 1
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_dead_letter_can_be_taken_up_again(tmp_path: Path) -> None:
    raised.append(PermanentError("no"))
    host = Host(app, tmp_path / "log", {"agent:follow": Rule(1)})
    await host.send(flights, Flight("F1"))
    entry = next(entry for entry in host.entries() if entry.kind == "dead")
    host.engine.shard.take_up(entry.offset, host.dead_letters()[0])
    await host.settle()
    assert host.row(seats, "F1") == Seats("F1", 1)
    assert [one.turn for one in host.bodies(Ended)] == ["follow:F1@1"]
    assert [one.turn for one in host.decisions()] == [f"follow:F1@{entry.offset + 1}"]
    assert picture(replayed(host)) == picture(host.fold)


async def test_nothing_that_a_failed_attempt_wrote_is_left(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)

    @app.agent(wakes_on=flights, max_tries=1)
    async def fail(turn: Turn, flight: Flight) -> None:
        turn.put(seats, Seats(flight.flight_id, 1))
        raise ValueError("after all")

    host = Host(app, tmp_path / "log")
    await host.send(flights, Flight("F1"))
    assert host.row(seats, "F1") is None


@pytest.mark.parametrize("row", [Seats("F1", "three"), Seats("F1", None), Flight("F1")])  # pyright: ignore[reportArgumentType]
async def test_a_row_that_its_table_cannot_hold_fails_the_turn_and_not_the_engine(tmp_path: Path, row: object) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    told = app.stream("told", Seats, key=Seats.flight_id)

    @app.agent(wakes_on=flights)
    async def put(turn: Turn, flight: Flight) -> None:
        turn.put(seats, row)  # pyright: ignore[reportArgumentType]

    @app.agent(wakes_on=flights)
    async def emit(turn: Turn, flight: Flight) -> None:
        turn.emit(told, row)  # pyright: ignore[reportArgumentType]

    host = Host(app, tmp_path / "log")
    await host.send(flights, Flight("F1"))
    causes = [letter.cause for letter in host.dead_letters()]
    assert "Agent `put` gave table `seats` a record that it cannot hold" in causes[0]
    assert "Agent `emit` gave stream `told` a record that it cannot hold" in causes[1]
