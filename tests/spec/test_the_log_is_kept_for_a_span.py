"""Retention: the log is kept for the span that is declared, and with a base gives the state as of any moment in it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, DeclarationError, Turn
from extrovert.engine.hosting import hosted
from extrovert.engine.recovery import as_of, recover
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.retrying import letters, retry
from tests.hosts import Host
from tests.picture import picture
from tests.spec.airline import Flight

HOUR = 3600


def airline(*, factor: int = 1, retention: timedelta | None = timedelta(hours=4), more: bool = False) -> App:
    app = App("airline", retention=retention)
    events = app.stream("delays", Flight, key=Flight.flight_id)

    def fold(row: Flight | None, event: Flight) -> Flight:
        return event.but(delay_minutes=event.delay_minutes + (row.delay_minutes if row else 0))

    def other_fold(row: Flight | None, event: Flight) -> Flight:
        return event

    flights = app.table(
        "flights", Flight, key=Flight.flight_id, source=events, fold=fold if factor == 1 else other_fold
    )

    @app.view(over=flights)
    def late(flight: Flight) -> int | None:
        return flight.delay_minutes if flight.delay_minutes > 30 else None

    @app.agent(wakes_on=events, max_tries=1)
    async def look(turn: Turn, flight: Flight) -> None:
        if flight.delay_minutes == 99:
            raise ValueError("too much")

    if more:
        app.table("gates", Flight, key=Flight.flight_id)
    return app


async def live(host: Host, hours: int, minutes: int = 10) -> None:
    """A delay each hour."""
    for hour in range(hours):
        await host.send(host.declared.streams[0], Flight(f"F{hour % 3}", delay_minutes=minutes))
        await host.advance(HOUR)
    host.flush()


async def test_what_is_older_than_the_span_is_deleted_and_the_state_stays_the_same(tmp_path: Path) -> None:
    host, whole = Host(airline(), tmp_path / "log"), Host(airline(retention=None), None)
    await live(host, 20)
    await live(whole, 20)
    begins = host.store.begins()
    kept = list(host.store.entries())
    assert kept[0].offset == begins > 1
    oldest = host.store.bases()[0]
    assert oldest.offset >= begins
    assert oldest.at_us <= host.clock.now_us() - 4 * HOUR * 1_000_000  # the whole span can be told from it
    assert host.clock.now_us() - kept[0].at_us < 7 * HOUR * 1e6
    assert len(host.store.bases()) <= 6
    assert picture(host.fold) == picture(whole.fold)
    host.crash()
    assert picture(host.fold) == picture(whole.fold)
    assert host.store.ended(limit=1000)[-1].offset >= begins


async def test_the_state_as_of_any_offset_within_the_span_is_that_of_then(tmp_path: Path) -> None:
    host, whole = Host(airline(), tmp_path / "log"), Host(airline(retention=None), None)
    await live(host, 12)
    await live(whole, 12)
    for entry in host.entries():
        assert picture(as_of(host.declared, host.store, entry.offset)) == picture(
            as_of(whole.declared, whole.store, entry.offset)
        )
    with pytest.raises(DeclarationError, match=r"kept from offset \d+ on"):
        as_of(host.declared, host.store, 2)


async def test_without_its_snapshot_the_state_comes_from_the_newest_base(tmp_path: Path) -> None:
    host = Host(airline(), tmp_path / "log")
    await live(host, 12)
    state = picture(host.fold)
    host.store.drop_snapshot()
    host.crash()
    assert picture(host.fold) == state


async def test_another_fold_is_refused_when_the_log_is_not_whole_but_a_new_table_is_not(tmp_path: Path) -> None:
    host = Host(airline(), tmp_path / "log")
    await live(host, 12)
    state = host.fold.context.tables["flights"].rows
    await host.stop()
    with pytest.raises(DeclarationError, match="give it back as it was"):
        Host(airline(factor=2), tmp_path / "log")
    again = Host(airline(more=True), tmp_path / "log")
    assert again.fold.context.tables["flights"].rows == state
    assert again.fold.context.tables["gates"].rows == {}
    again.kill()


async def test_dead_letters_that_wait_stay_and_can_be_taken_up(tmp_path: Path) -> None:
    host = Host(airline(), tmp_path / "log")
    host.engine.intake.lines("delays", b'{"flight_id": 7}\n{"flight_id": 8}')
    await live(host, 1)
    waiting = [letter.offset for letter in letters(host.store)]
    assert len(waiting) == 2
    retry(host.engine, host.store, waiting[:1])  # rejected again: a new letter
    await live(host, 12)
    assert host.store.begins() > waiting[-1]
    left = [letter for letter in letters(host.store) if letter.taken_up is None]
    assert len(left) == 2
    assert left[0].offset == waiting[1]
    assert host.store.dead_waiting() == 2
    assert len(letters(host.store)) == 2  # the one that was taken up is gone, and the note with it


async def test_a_failed_wake_that_waits_keeps_what_it_saw(tmp_path: Path) -> None:
    host = Host(airline(), tmp_path / "log")
    await live(host, 1, minutes=99)
    await live(host, 12)
    [letter] = letters(host.store)
    assert host.store.begins() < letter.offset
    assert retry(host.engine, host.store, [letter.offset]) == [(letter.offset, "")]
    await live(host, 6)
    assert host.store.begins() > letter.offset


async def test_a_running_engine_deletes_beside_its_loop(tmp_path: Path) -> None:
    app = App("gates", retention=timedelta(milliseconds=200))
    flights = app.table("flights", Flight, key=Flight.flight_id)
    async with hosted(app.declared(), tmp_path) as engine:
        async with asyncio.timeout(20):
            while engine.store.begins() < 50:
                await engine.send(flights, [Flight("F1")])
        state = picture(engine.shard.fold)
    store = SqliteStore(tmp_path / "log.sqlite")
    fold, _ = recover(app.declared(), store)
    store.close()
    assert picture(fold)["rows"] == state["rows"]


def test_a_span_of_nothing_is_refused() -> None:
    with pytest.raises(DeclarationError, match="longer than nothing"):
        App("airline", retention=timedelta(0))
