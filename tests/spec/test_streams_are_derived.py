"""A stream can be derived from others: its events follow from theirs, typed and keyed anew, in replay too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from typing_extensions import TypeIs

from extrovert import App, DeclarationError, Record, Turn
from extrovert.surfaces.retrying import retry
from extrovert.testing import World
from tests.hosts import Host, replayed
from tests.picture import picture


class Delayed(Record, tag=True):
    flight_id: str
    minutes: int


class Cancelled(Record, tag=True):
    flight_id: str


class Gone(Record):
    airport: str
    flight_id: str
    minutes: int = 0


Event = Delayed | Cancelled

app = App("airport")
events = app.stream("events", Event, key=Delayed.flight_id)
cancelled = app.stream("cancelled", Cancelled, key=Cancelled.flight_id, source=events.only(Cancelled))


def is_long(event: Delayed) -> bool:
    if event.minutes == 13:
        raise ValueError("13 is not a number of minutes")
    return event.minutes >= 60


def by_airport(event: Delayed) -> Gone:
    return Gone(event.flight_id[:3], event.flight_id, event.minutes)


def both_ends(event: Cancelled) -> Iterable[Gone]:
    return [Gone(event.flight_id[:3], event.flight_id), Gone(event.flight_id[3:6], event.flight_id)]


gone = app.stream(
    "gone",
    Gone,
    key=Gone.airport,
    source=events.only(Delayed).filter(is_long).map(by_airport).merge(cancelled.flat_map(both_ends)),
)
latest = app.table("latest", Gone, key=Gone.airport, source=gone)
seen = app.table("seen", Gone, key=Gone.airport)


@app.agent(wakes_on=gone)
async def look(turn: Turn, event: Gone) -> None:
    turn.put(seen, event.but(minutes=sum(one.minutes for one in turn.events)))


def is_delayed(event: Event) -> TypeIs[Delayed]:
    return isinstance(event, Delayed)


async def test_what_a_filter_keeps_is_made_into_events_under_another_key() -> None:
    with World(app) as world:
        await world.send(events, Delayed("JFKBOS1", 30), Delayed("JFKORD2", 90), Delayed("LGABOS3", 60))
        assert [latest.get(airport) for airport in ("JFK", "LGA", "BOS")] == [
            Gone("JFK", "JFKORD2", 90),
            Gone("LGA", "LGABOS3", 60),
            None,
        ]


async def test_streams_are_derived_from_derived_ones_and_merged() -> None:
    with World(app) as world:
        await world.send(events, Delayed("JFKORD2", 90), Cancelled("JFKBOS1"))
        assert latest["JFK"] == Gone("JFK", "JFKBOS1")
        assert latest["BOS"] == Gone("BOS", "JFKBOS1")


async def test_agents_wake_on_derived_events() -> None:
    with World(app) as world:
        await world.send(events, Delayed("JFKORD2", 90), Delayed("JFKORD3", 70), Delayed("JFKORD3", 10))
        assert seen["JFK"] == Gone("JFK", "JFKORD3", 160)
        (decision,) = world.decisions(look)
        assert decision.id == "look:JFK@1"  # the offset of what the event follows from


async def test_an_event_of_which_a_step_raises_goes_to_the_dead_letters() -> None:
    with World(app) as world:
        await world.send(events, Delayed("JFKORD2", 90), Delayed("LGAORD3", 13), Delayed("LGAORD4", 61))
        assert latest["LGA"].flight_id == "LGAORD4"
        (letter,) = world.dead_letters()
        assert letter.cause == ("stream `gone`, derived from `events`: ValueError: 13 is not a number of minutes")
        assert letter.event == 2


async def test_a_derived_event_without_a_good_key_is_a_dead_letter() -> None:
    with World(app) as world:
        await world.send(events, Cancelled("JFK"))
        (letter,) = world.dead_letters()
        assert "the key `airport` must be a whole number or 1 to 512 characters of text" in letter.cause
        assert latest.get("JFK") is None  # all that follows from an event, or nothing


async def test_replay_and_recovery_derive_the_same(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    await host.send(events, Delayed("JFKORD2", 90), Cancelled("JFKBOS1"), Delayed("LGAORD3", 13))
    live = picture(host.fold)
    assert picture(replayed(host)) == live
    host.flush()
    host.engine.keep_snapshot()
    host.crash()
    assert picture(host.fold) == live
    await host.settle()
    assert len(host.dead_letters()) == 1


async def test_nothing_is_sent_or_emitted_to_a_derived_stream() -> None:
    made = App("airport")
    source = made.stream("source", Delayed, key=Delayed.flight_id)
    long = made.stream("long", Delayed, key=Delayed.flight_id, source=source.filter(is_long))

    @made.agent(wakes_on=source)
    async def meddle(turn: Turn, event: Delayed) -> None:
        turn.emit(long, event)

    with World(made) as world:
        with pytest.raises(DeclarationError, match="Nothing can be sent to stream `long`: its events are made by"):
            world.hand_in(long, Delayed("F1", 90))
        await world.send(source, Delayed("F1", 90))
        (letter,) = world.dead_letters()
        assert "emitted to stream `long`, whose events are made by what comes on source" in letter.cause


def test_a_filter_narrows_the_type() -> None:
    flow = events.filter(is_delayed).map(by_airport)
    assert [made.airport for made in flow.of("events", Delayed("JFKBOS1", 1))] == ["JFK"]
    assert list(flow.of("events", Cancelled("JFKBOS1"))) == []


async def test_a_failed_wake_on_a_derived_stream_can_be_taken_up_again(tmp_path: Path) -> None:
    made = App("airport")
    source = made.stream("source", Delayed, key=Delayed.flight_id)
    long = made.stream("long", Gone, key=Gone.airport, source=source.filter(is_long).map(by_airport))
    told = made.table("told", Gone, key=Gone.airport)
    broken = [True]

    @made.agent(wakes_on=long, max_tries=1)
    async def tell(turn: Turn, event: Gone) -> None:
        if broken[0]:
            raise ValueError("the line is dead")
        turn.put(told, event)

    host = Host(made, tmp_path / "log")
    await host.send(source, Delayed("JFKBOS1", 90))
    letter = next(entry.offset for entry in host.entries() if entry.kind == "dead")
    broken[0] = False
    assert retry(host.engine, host.store, [letter]) == [(letter, "")]
    await host.settle()
    assert host.row(told, "JFK") == Gone("JFK", "JFKBOS1", 90)
    assert picture(replayed(host)) == picture(host.fold)
