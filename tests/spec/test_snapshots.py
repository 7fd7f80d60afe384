"""Recovery is a snapshot and the tail of the log after it, and gives what the whole log gives."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, Arrival, CorruptionError, Turn, before
from extrovert.core.log import Attempted, Decided, EffectStep
from extrovert.engine.hosting import hosted
from extrovert.engine.loop import Settings
from extrovert.engine.recovery import recover
from extrovert.engine.snapshots import Cut
from extrovert.stores.sqlite import SqliteStore
from extrovert.testing.world import START
from tests.hosts import Host, Rule, replayed, until
from tests.picture import picture
from tests.spec.airline import Booking, Choice, Flight, Rebooking, Seats

performed: list[str] = []
NOON = START + timedelta(seconds=30)


def airline(*, limit: int = 90, only_cancelled: bool = False) -> App:
    """The app, in two editions: what counts as disrupted may change from one start to the next."""
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    seats = app.table("seats", Seats, key=Seats.flight_id)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)
    bookings.index(Booking.flight_id)
    flights.range_index(Flight.destination, Flight.delay_minutes)

    @app.view(over=bookings)
    def disrupted(booking: Booking) -> Booking | None:
        flight = flights[booking.flight_id]
        late = not only_cancelled and flight.delay_minutes >= limit
        return booking if flight.cancelled or (late and before(NOON)) else None

    @app.effect
    async def announce(text: str) -> None:
        performed.append(text)

    @app.agent(wakes_on=disrupted, model="policy:anyone", concurrency=1)
    async def rebook(turn: Turn, booking: Booking) -> None:
        choice = await turn.ask(Choice(booking.booking_id, ["F2"]), output=Rebooking)
        turn.put(bookings, booking.but(flight_id=choice.flight_id))
        turn.put(seats, Seats(choice.flight_id, seats[choice.flight_id].left - 1))
        turn.effect(announce, booking.booking_id)

    @app.policy
    def anyone(choice: Choice) -> Rebooking:
        return Rebooking(choice.options[0])

    return app


def host_of(app: App, path: Path) -> Host:
    return Host(app, path, {"agent:rebook": Rule(Rebooking("F2"), thinks=2)})


async def some_history(host: Host) -> None:
    """B1 was rebooked, B2 is being thought about, B3 waits, F4 is deleted."""
    tables = {table.name: table for table in host.declared.tables}
    host.hand_in(tables["flights"], Flight("F1"), Flight("F2"), Flight("F3"))
    host.hand_in(tables["seats"], Seats("F2", 9))
    host.hand_in(tables["bookings"], Booking("B1", "F1"), Booking("B2", "F1"), Booking("B3", "F1"), Booking("B9", "F3"))
    host.hand_in(tables["flights"], Flight("F1", cancelled=True), Flight("F3", delay_minutes=60))
    await host.advance(3)


@pytest.fixture(autouse=True)
def nothing_performed() -> None:
    performed.clear()


async def test_a_snapshot_and_the_tail_give_what_the_whole_log_gives(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.engine.keep_snapshot()
    await host.advance(3)
    host.flush()
    state = picture(host.fold)
    assert picture(replayed(host)) == state
    host.crash()
    assert picture(host.fold) == state


async def test_only_the_tail_is_read(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.engine.keep_snapshot()
    end = host.fold.end
    before_the_last = "DELETE FROM log WHERE offset < (SELECT max(offset) FROM log)"
    host.store._connection.execute(before_the_last)  # pyright: ignore[reportPrivateUsage]
    state = picture(host.fold)
    host.crash()
    assert host.fold.end == end
    assert picture(host.fold) == state


async def test_a_clean_stop_leaves_a_snapshot_of_all(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    await host.stop()
    host.begin()
    found = host.store.load_snapshot()
    assert found is not None
    assert found[0] == host.fold.end


async def test_a_turn_goes_on_where_it_was_after_a_restart_from_a_snapshot(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.engine.keep_snapshot()
    host.crash()
    await host.settle()
    assert [turn.key for turn in host.decisions()] == ["B1", "B2", "B3"]
    sent = [one for one in host.bodies(Attempted) if one.key == "B2" and one.asks]
    assert len(sent) == 1  # the ask in flight was taken up again, not sent anew


async def test_replay_wakes_nobody_and_performs_nothing(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    await host.settle()
    assert performed == ["B1", "B2", "B3"]
    entries = len(host.entries())
    for _ in range(2):
        host.crash()
        await host.settle()
    assert performed == ["B1", "B2", "B3"]
    assert len(host.entries()) == entries


async def test_rows_folded_by_an_earlier_version_are_folded_again_from_the_log(tmp_path: Path) -> None:
    def app(factor: int) -> App:
        made = App("airline")
        events = made.stream("delays", Flight, key=Flight.flight_id)

        def fold(row: Flight | None, event: Flight) -> Flight:
            return event.but(delay_minutes=event.delay_minutes * factor)

        def other_fold(row: Flight | None, event: Flight) -> Flight:
            return event.but(delay_minutes=event.delay_minutes * 60)

        made.table("flights", Flight, key=Flight.flight_id, source=events, fold=fold if factor == 1 else other_fold)
        return made

    host = Host(app(1), tmp_path / "log")
    host.hand_in(host.declared.streams[0], Flight("F1", delay_minutes=2))
    await host.stop()
    again = Host(app(60), tmp_path / "log")
    assert again.fold.context.tables["flights"].rows == {"F1": Flight("F1", delay_minutes=120)}


@pytest.mark.parametrize("from_snapshot", [True, False])
async def test_a_new_edition_of_a_view_wakes_who_is_due_by_it(tmp_path: Path, from_snapshot: bool) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    await host.advance(10)
    if from_snapshot:
        host.engine.keep_snapshot()
    host.flush()
    host.kill()
    stricter = host_of(airline(limit=45), tmp_path / "log")
    await stricter.settle()
    assert [turn.key for turn in stricter.decisions()][-1] == "B9"


@pytest.mark.parametrize("from_snapshot", [True, False])
async def test_a_new_edition_of_a_view_leaves_alone_who_is_due_no_more(tmp_path: Path, from_snapshot: bool) -> None:
    host = Host(airline(limit=45), tmp_path / "log", acting=False)
    await some_history(host)
    if from_snapshot:
        host.engine.keep_snapshot()
    host.flush()
    host.kill()
    milder = host_of(airline(only_cancelled=True), tmp_path / "log")
    await milder.settle()
    assert [turn.key for turn in milder.decisions()] == ["B1", "B2", "B3"]


async def test_a_log_that_does_not_fit_the_app_is_refused(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.flush()
    host.kill()
    with pytest.raises(CorruptionError, match=r"Entry 1 \(events\) does not fit this app.*renamed"):
        Host(App("another"), tmp_path / "log")


async def test_a_log_with_a_gap_is_refused(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.flush()
    host.store._connection.execute("DELETE FROM log WHERE kind = 'answered'")  # pyright: ignore[reportPrivateUsage]
    host.kill()
    with pytest.raises(CorruptionError, match=r"goes on at offset \d+, but \d+ was expected"):
        host.begin()
    host.kill()


async def test_what_was_decided_stays_decided(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    await host.settle()
    decided = [turn.turn for turn in host.bodies(Decided)]
    steps = len(host.bodies(EffectStep))
    await host.stop()
    host.begin()
    await host.settle()
    assert [turn.turn for turn in host.bodies(Decided)] == decided
    assert len(host.bodies(EffectStep)) == steps


@pytest.mark.parametrize("lost", ["WHERE offset >= 6", ""])
async def test_a_snapshot_that_is_ahead_of_its_log_is_passed_over(tmp_path: Path, lost: str) -> None:
    """As where the machine lost power with durability="os", or somebody deleted the log."""
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    host.engine.keep_snapshot()
    host.store._connection.execute(f"DELETE FROM log {lost}")  # pyright: ignore[reportPrivateUsage]
    host.crash()
    assert picture(host.fold) == picture(replayed(host))
    await host.settle()
    host.engine.keep_snapshot()
    host.crash()
    assert picture(host.fold) == picture(replayed(host))


async def test_the_next_snapshot_writes_only_what_changed(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    flights = next(table for table in host.declared.tables if table.name == "flights")
    host.hand_in(flights, *(Flight(f"F{number}") for number in range(500)))
    host.engine.keep_snapshot()
    host.hand_in(flights, Flight("F7", delay_minutes=5), Flight("F900"))
    host.engine.intake.arrivals("tower", [Arrival(host.clock.now_us(), "flights", None, "F8")], 1)
    cut = Cut(host.declared, host.fold, host.engine.snapshots.at)
    places = {place.place: place for place in cut.places}
    assert sorted(key for key, *_ in places["flights"].rows) == ["F7", "F900"]
    assert places["flights"].gone == ["F8"]
    host.flush()
    state = picture(host.fold)
    host.crash()
    assert picture(host.fold) == state


def two_views(*, least: int = 60) -> App:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    bookings = app.table("bookings", Booking, key=Booking.booking_id)

    @app.view(over=bookings)
    def late(booking: Booking) -> Flight | None:
        flight = flights[booking.flight_id]
        return flight if flight.delay_minutes >= least else None

    @app.view(over=flights)
    def cancelled(flight: Flight) -> bool | None:
        return flight.cancelled or None

    return app


def evaluated(host: Host) -> dict[str, list[str]]:
    """The keys that were evaluated since the snapshot, by view."""
    places = Cut(host.declared, host.fold, host.engine.snapshots.at).places
    keys = {place.place: sorted(key for key, *_ in place.rows) for place in places}
    return {place.removeprefix("view "): found for place, found in keys.items() if place.startswith("view ")}


def begun(path: Path) -> Host:
    """An engine that kept a snapshot of two bookings on flights that are there, and one on a flight that is not."""
    host = Host(two_views(), path)
    flights, bookings = host.declared.tables
    host.hand_in(flights, Flight("F1", delay_minutes=50), Flight("F2", delay_minutes=70), Flight("F3", cancelled=True))
    host.hand_in(bookings, Booking("B1", "F1"), Booking("B2", "F2"), Booking("B3", "F9"))
    host.engine.keep_snapshot()
    return host


async def test_views_come_from_the_snapshot_with_what_they_read(tmp_path: Path) -> None:
    host = begun(tmp_path / "log")
    state = picture(host.fold)
    host.crash()
    assert picture(host.fold) == state
    assert evaluated(host) == {"late": [], "cancelled": []}
    host.hand_in(host.declared.tables[0], Flight("F2", delay_minutes=80), Flight("F9", delay_minutes=90))
    assert evaluated(host) == {"late": ["B2", "B3"], "cancelled": ["F2", "F9"]}
    assert sorted(host.fold.context.views["late"].values) == ["B2", "B3"]


async def test_a_view_that_has_changed_is_evaluated_anew_and_the_rest_of_the_snapshot_holds(tmp_path: Path) -> None:
    host = begun(tmp_path / "log")
    version = host.fold.context.views["late"].versions["B2"]
    host.store._connection.execute("DELETE FROM log WHERE offset < (SELECT max(offset) FROM log)")  # pyright: ignore[reportPrivateUsage]
    host.kill()
    again = Host(two_views(least=40), tmp_path / "log")
    late = again.fold.context.views["late"]
    assert sorted(late.values) == ["B1", "B2"]
    assert late.versions["B2"] == version  # its value is what it was
    assert evaluated(again) == {"late": ["B1", "B2", "B3"], "cancelled": []}


async def test_a_snapshot_shows_one_moment_though_it_is_written_later(tmp_path: Path) -> None:
    host = host_of(airline(), tmp_path / "log")
    await some_history(host)
    before = picture(replayed(host))
    cut = Cut(host.declared, host.fold, 0)
    store = SqliteStore(None)
    store.append(host.entries())
    await host.settle()
    cut.save(store)
    fold, begins = recover(host.declared, store)
    assert begins == before["end"]
    assert picture(fold) == before
    store.close()


async def test_a_running_engine_saves_beside_its_loop(tmp_path: Path) -> None:
    app = App("gates")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    settings = Settings(snapshot_every=50)
    async with hosted(app.declared(), tmp_path, settings=settings) as engine:
        for number in range(400):
            engine.intake.lines("flights", b'{"flight_id":"F%d"}' % number)
            engine.nudge()
            await asyncio.sleep(0)
        await until(lambda: engine.snapshots.at > 300)
        assert not engine.writing.behind or engine.snapshots.at <= engine.writing.durable + 1
    store = SqliteStore(tmp_path / "log.sqlite")
    assert len(list(store.snapshot_rows(flights.name))) == 400
    store.close()
