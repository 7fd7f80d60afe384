"""A backtest judges how old the context was when the recorded turn ended, and says where that is not known."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import Turn
from extrovert.engine.backtest import Backtest
from extrovert.engine.candidates import candidate
from extrovert.engine.comparing import Compared
from tests.hosts import Host
from tests.spec.airline import Booking, Flight
from tests.spec.test_stale_context_holds_a_turn import Airline


async def played(host: Host, as_in: Airline | None = None) -> Compared:
    """What became of the one wake, as the agent is or as it is in another version of the app."""
    declared = host.declared if as_in is None else as_in.app.declared()
    before = [entry.body for entry in host.entries()]
    (found,) = await Backtest(declared, host.store, [candidate(declared, "place")]).run()
    assert [entry.body for entry in host.entries()] == before, "a backtest only reads"
    return found


@pytest.mark.parametrize("stale", ["wait", "refuse", "by rule"])
async def test_what_was_done_about_old_context_is_done_again(tmp_path: Path, stale: Any) -> None:
    airline = Airline(stale=stale)
    host = await airline.begun(tmp_path)
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1"))
    await host.send(airline.feed, Flight("F2"))  # frees it, if it waits
    await host.advance(3_600)
    found = await played(host)
    outcome = "stale" if stale == "refuse" else "decided"
    assert (found.differs, found.recorded.outcome, found.candidate.outcome) == ([], outcome, outcome)
    assert [silent for *_, silent in airline.saw][1:] == {"wait": [()], "refuse": [], "by rule": [("flights",)]}[stale]


async def test_a_heartbeat_that_was_not_logged_counts(tmp_path: Path) -> None:
    airline = Airline(fresh_within=timedelta(days=1))
    host = await airline.begun(tmp_path)
    await host.advance(6)
    host.engine.heartbeat(airline.feed)
    await host.advance(3)
    await host.send(airline.bookings, Booking("B1", "F1"))  # 9 s after the event, 3 s after the heartbeat
    assert (await played(host, Airline(fresh_within=timedelta(seconds=5), stale="refuse"))).same


async def test_a_version_that_wants_it_fresher_ends_or_would_have_been_held(tmp_path: Path) -> None:
    airline = Airline(fresh_within=timedelta(days=1))
    host = await airline.begun(tmp_path)
    await host.advance(9)
    await host.send(airline.bookings, Booking("B1", "F1"))
    too_old = "what it read was too old: stream `flights` was last heard 9 s before, and 5 s are allowed"

    ends = (await played(host, Airline(stale="refuse"))).candidate
    assert (ends.outcome, ends.cause) == ("stale", too_old)
    waits = (await played(host, Airline())).candidate
    assert (waits.outcome, waits.cause) == (
        "missed",
        f"held until it would have heard of its sources, since {too_old}",
    )
    other = Airline(stale="by rule")
    assert (await played(host, other)).candidate.outcome == "decided"
    assert [(answer, silent) for _, answer, silent in other.saw] == [(-1, ("flights",))]


async def test_how_old_something_was_that_no_recorded_decision_read_is_not_guessed(tmp_path: Path) -> None:
    airline = Airline(fresh_within=timedelta(days=1))

    @airline.app.agent(wakes_on=airline.placed, fresh_within=timedelta(days=1))
    async def note(turn: Turn, booking: Booking) -> None:
        pass

    host = Host(airline.app, tmp_path / "log")
    await host.send(airline.feed, Flight("F1"))
    await host.advance(9)
    host.engine.heartbeat(airline.feed)
    await host.send(airline.placed, Booking("B1", "F1"))
    version = candidate(host.declared, "note")

    async def reads_more(turn: Turn, booking: Booking) -> None:
        turn.fresh(airline.flights, timedelta(seconds=5))

    version.agent.function = reads_more
    host.flush()
    (found,) = await Backtest(host.declared, host.store, [version]).run()
    assert (found.candidate.outcome, found.candidate.cause) == (
        "missed",
        "how old stream `flights` was then, the log does not tell",
    )
