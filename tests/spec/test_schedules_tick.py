"""A schedule makes an event of each of its moments: exact, across restarts and the change to summer time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from extrovert import App, DeclarationError, Record, Tick, Turn, before
from extrovert.context.schedule import Timetable
from extrovert.core.time import from_us, to_us
from extrovert.testing import World
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


def moments(every: timedelta, at: datetime | time | None, after: datetime, count: int) -> list[datetime]:
    timetable, at_us, found = Timetable("Schedule `s`", every, at), to_us(after), list[datetime]()
    for _ in range(count):
        at_us = timetable.next_us(at_us)
        found.append(from_us(at_us))
    return found


def clock(every: timedelta = timedelta(minutes=30), at: datetime | time | None = None) -> tuple[App, list[Tick]]:
    app = App("clock")
    seen: list[Tick] = []
    beat = app.schedule("beat", every=every, at=at)
    app.table("latest", Tick, key=Tick.schedule, source=beat)

    @app.agent(wakes_on=beat)
    async def hear(turn: Turn, tick: Tick) -> None:
        assert turn.now() >= tick.at
        seen.extend(turn.events)

    return app, seen


async def test_it_ticks_at_its_moments_from_the_engines_first_one_on() -> None:
    app, seen = clock(at=START + timedelta(minutes=10))
    with World(app) as world:
        await world.advance(timedelta(minutes=10) - timedelta(microseconds=1))
        assert seen == []
        await world.advance(timedelta(microseconds=1))
        assert seen == [Tick("beat", world.now)]
        await world.advance(timedelta(hours=1))
        assert [tick.at - START for tick in seen] == [timedelta(minutes=m) for m in (10, 40, 70)]
        assert [tick.missed for tick in seen] == [0, 0, 0]


async def test_the_first_moment_may_be_the_engines_first() -> None:
    app, seen = clock()
    with World(app) as world:
        await world.settle()
        assert seen == [Tick("beat", START)]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_restart_neither_loses_nor_repeats_a_tick(tmp_path: Path, snapshot: bool) -> None:
    app, _ = clock()
    host = Host(app, tmp_path / "log")
    for minutes in (25, 50, 75, 100, 125):
        await host.engine.run(until=to_us(START + timedelta(minutes=minutes)))
        host.flush()
        if snapshot:
            host.engine.keep_snapshot()
        host.crash()
    assert len(host.decisions()) == 5  # at 0, 30, 60, 90 and 120 minutes
    ticks = [one.wake.at_us - to_us(START) for one in host.decisions()]
    assert ticks == [minutes * 60_000_000 for minutes in (0, 30, 60, 90, 120)]
    assert picture(replayed(host)) == picture(host.fold)


@pytest.mark.parametrize("snapshot", [False, True])
async def test_moments_missed_while_the_engine_was_down_are_one_tick_that_counts_them(
    tmp_path: Path, snapshot: bool
) -> None:
    app, seen = clock()
    host = Host(app, tmp_path / "log")
    await host.advance(45 * 60)
    host.flush()
    if snapshot:
        host.engine.keep_snapshot()
    del seen[:]
    host.crash(away=100 * 60)  # it is 2:25
    await host.advance(0)
    assert seen == [Tick("beat", START + timedelta(minutes=120), missed=2)]
    await host.advance(5 * 60)
    assert seen[1:] == [Tick("beat", START + timedelta(minutes=150))]
    assert picture(replayed(host)) == picture(host.fold)


def test_a_time_of_day_stays_when_summer_time_begins_and_ends() -> None:
    spring = moments(DAY, time(2, 0, tzinfo=BERLIN), datetime(2026, 3, 27, 12, tzinfo=UTC), 4)
    assert [at.astimezone(BERLIN).strftime("%d %H:%M") for at in spring] == [
        "28 02:00",
        "29 03:00",  # there is no 2:00 on that day: the clock goes from 2 to 3
        "30 02:00",
        "31 02:00",
    ]
    autumn = moments(DAY, time(2, 30, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert autumn == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]


def test_weeks_are_counted_from_the_first_moment_by_the_clock_of_its_zone() -> None:
    monday = datetime(2026, 3, 23, 9, tzinfo=BERLIN)
    found = moments(7 * DAY, monday, datetime(2026, 1, 1, tzinfo=UTC), 2)
    assert found == [monday, datetime(2026, 3, 30, 9, tzinfo=BERLIN)]
    assert found[1] - found[0] == 7 * DAY - timedelta(hours=1)


def test_less_than_a_day_goes_by_elapsed_time() -> None:
    found = moments(timedelta(hours=6), datetime(2026, 3, 28, 20, tzinfo=BERLIN), datetime(2026, 3, 28, tzinfo=UTC), 3)
    assert [later - earlier for earlier, later in pairwise(found)] == [timedelta(hours=6)] * 2
    aligned = moments(timedelta(minutes=15), None, datetime(2026, 5, 5, 10, 7, tzinfo=UTC), 1)
    assert aligned == [datetime(2026, 5, 5, 10, 15, tzinfo=UTC)]


def test_the_latest_moment_is_counted_as_one_by_one() -> None:
    for every, at in [(timedelta(minutes=7), None), (DAY, time(2, 30, tzinfo=BERLIN))]:
        timetable = Timetable("Schedule `s`", every, at)
        first = timetable.next_us(to_us(datetime(2026, 3, 20, tzinfo=UTC)))
        present, number = first, 0
        for _ in range(40):
            following = timetable.next_us(present)
            assert timetable.latest(first, following - 1) == (present, number)
            present, number = following, number + 1


def test_what_cannot_be_a_timetable_is_told_at_once() -> None:
    app = App("clock")
    with pytest.raises(DeclarationError, match="every= must be above zero"):
        app.schedule("a", every=timedelta(0))
    with pytest.raises(DeclarationError, match="at= has no time zone"):
        app.schedule("b", every=DAY, at=time(2))
    with pytest.raises(DeclarationError, match="a time of day is for every"):
        app.schedule("c", every=7 * DAY, at=time(2, tzinfo=UTC))


class Parcel(Record):
    parcel_id: str
    due: datetime


def parcels(*, with_schedule: bool) -> App:
    """Moments pass in the log of this app, with or without a schedule."""
    app = App("parcels")

    @app.view(over=app.table("parcels", Parcel, key=Parcel.parcel_id))
    def late(parcel: Parcel) -> bool | None:
        return None if before(parcel.due) else True

    if with_schedule:
        beat = app.schedule("beat", every=timedelta(minutes=1), at=START + timedelta(seconds=30))
        app.table("latest", Tick, key=Tick.schedule, source=beat)
    return app


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_schedule_that_is_added_to_an_app_with_a_log_begins_at_its_end(tmp_path: Path, snapshot: bool) -> None:
    host = Host(parcels(with_schedule=False), tmp_path / "log")
    due = [Parcel(f"P{number}", START + timedelta(minutes=number)) for number in range(1, 6)]
    host.hand_in(host.declared.tables[0], *due)
    await host.advance(600)
    host.flush()
    if snapshot:
        host.engine.keep_snapshot()
    host.kill()
    host = Host(parcels(with_schedule=True), tmp_path / "log")
    assert host.fold.context.tables["latest"].rows == {}
    await host.advance(150)
    state, ticked = picture(host.fold), host.fold.context.tables["latest"].rows["beat"]
    assert ticked.missed == 0
    if snapshot:
        host.engine.keep_snapshot()
    host.flush()
    for _ in range(2):
        host.crash()
        assert picture(host.fold) == state
