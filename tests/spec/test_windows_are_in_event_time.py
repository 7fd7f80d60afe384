"""Windows are in event time: neither silence nor disorder nor a wrong clock keeps them from being right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from extrovert import App, DeclarationError, MissingRow, Record, Session, Sliding, Stream, Tumbling, Turn, Window
from extrovert import aggregates as agg
from extrovert.context.windowing import WindowState
from extrovert.testing import World
from extrovert.testing.world import START

MINUTE = timedelta(minutes=1)


class Reading(Record):
    sensor_id: str
    taken_at: datetime
    celsius: float


class PerMinute(Record):
    sensor_id: str
    starts_at: datetime
    ends_at: datetime
    readings: int
    hottest: float
    closed: bool


def at(seconds: float, celsius: float = 20.0, sensor: str = "s1") -> Reading:
    return Reading(sensor, START + timedelta(seconds=seconds), celsius)


def house(**options: Any) -> tuple[App, Stream[Reading], Window[PerMinute]]:
    app = App("house")
    readings = app.stream("readings", Reading, key=Reading.sensor_id)
    given: dict[str, Any] = {"spans": Tumbling(MINUTE), "ahead": timedelta(hours=1)} | options
    told: dict[str, Any] = {"readings": agg.count(), "hottest": agg.max(Reading.celsius)}
    window: Window[PerMinute] = app.window(readings, PerMinute, at=Reading.taken_at, **given, **told)
    return app, readings, window


async def test_a_window_is_a_row_of_a_table() -> None:
    app, readings, per_minute = house()
    with World(app) as world:
        await world.send(readings, at(0, 20), at(59, 22), at(61, 19))
        first = PerMinute("s1", START, START + MINUTE, 2, 22.0, closed=True)
        assert per_minute["s1", START] == per_minute["s1@2026-01-01T00:00:00Z"] == first
        assert per_minute.get("s1", START + 2 * MINUTE) is None
        assert per_minute.at("s1", START + timedelta(seconds=30)) == first
        assert [row.readings for row in per_minute.of("s1")] == [2, 1]
        assert per_minute.latest("s1") == per_minute["s1", START + MINUTE]
        assert per_minute.latest("s2") is None
        with pytest.raises(MissingRow, match="Window `per_minute` has no row `s2@2026-01-01T00:00:00Z`"):
            per_minute["s2", START]


async def test_a_view_over_a_window_follows_it() -> None:
    app, readings, per_minute = house()

    @app.view(over=per_minute)
    def hot(row: PerMinute) -> float | None:
        before = per_minute.get(row.sensor_id, row.starts_at - MINUTE)
        return row.hottest - (before.hottest if before else 0) if row.hottest > 30 else None

    with World(app) as world:
        await world.send(readings, at(0, 20), at(60, 31))
        assert hot["s1@2026-01-01T00:01:00Z"] == 11
        await world.send(readings, at(62, 33))
        assert hot["s1@2026-01-01T00:01:00Z"] == 13


async def test_an_agent_wakes_once_for_each_closed_window() -> None:
    app, readings, per_minute = house(emit="close")
    seen: list[int] = []

    @app.agent(wakes_on=per_minute)
    async def note(turn: Turn, row: PerMinute) -> None:
        seen.append(row.readings)

    with World(app) as world:
        await world.send(readings, at(0), at(30))
        await world.send(readings, at(40))
        assert seen == []
        await world.send(readings, at(60))
        assert seen == [3]
        await world.advance(timedelta(hours=1))
        assert seen == [3, 1]


async def test_a_window_that_tells_changes_says_when_it_is_closed() -> None:
    app, readings, per_minute = house()
    seen: list[int] = []

    @app.agent(wakes_on=per_minute, when=lambda row: row.closed)
    async def note(turn: Turn, row: PerMinute) -> None:
        seen.append(row.readings)

    with World(app) as world:
        await world.send(readings, at(0))
        await world.send(readings, at(30))
        assert per_minute["s1", START].readings == 2
        assert seen == []
        await world.send(readings, at(60))
        assert seen == [2]


async def test_a_silent_key_is_closed_by_the_others() -> None:
    app, readings, per_minute = house()
    with World(app) as world:
        await world.send(readings, at(0, sensor="quiet"), at(30))
        await world.send(readings, at(60))
        assert per_minute["quiet", START].closed


async def test_a_silent_stream_is_closed_by_engine_time() -> None:
    app, _, per_minute = house(idle_after=timedelta(seconds=20))
    with World(app) as world:
        world.hand_in("readings", at(50))
        await world.advance(timedelta(seconds=19))
        assert not per_minute["s1", START].closed
        await world.advance(timedelta(seconds=1))  # it is silent, and in its own time it is 70 s past
        assert per_minute["s1", START].closed
        world.hand_in("readings", at(61))
        await world.advance(timedelta(seconds=58))
        assert not per_minute["s1", START + MINUTE].closed
        await world.advance(timedelta(seconds=1))
        assert per_minute["s1", START + MINUTE].closed


async def test_without_idle_after_only_events_let_time_go_on() -> None:
    app, readings, per_minute = house(idle_after=None)
    with World(app) as world:
        await world.send(readings, at(0))
        await world.advance(timedelta(days=1))
        assert not per_minute["s1", START].closed


async def test_disorder_is_waited_for() -> None:
    app, readings, per_minute = house(disorder=timedelta(seconds=10))
    with World(app) as world:
        await world.send(readings, at(0), at(69))
        await world.send(readings, at(59))
        assert per_minute["s1", START].readings == 2
        assert not per_minute["s1", START].closed
        await world.send(readings, at(70))
        assert per_minute["s1", START].closed


async def test_a_late_event_corrects_a_closed_window() -> None:
    app, readings, per_minute = house(lateness=timedelta(seconds=30), emit="close")
    with World(app) as world:
        await world.send(readings, at(0, 20), at(60))
        assert per_minute["s1", START].hottest == 20
        await world.send(readings, at(5, 25))
        assert per_minute["s1", START] == PerMinute("s1", START, START + MINUTE, 2, 25.0, closed=True)


async def test_what_comes_later_still_is_counted_and_kept_with_how_late_it_was() -> None:
    app, readings, per_minute = house(lateness=timedelta(seconds=30))
    with World(app) as world:
        await world.send(readings, at(0), at(90))
        await world.send(readings, at(5))
        assert per_minute["s1", START].readings == 1
        (letter,) = world.dead_letters()
        assert "came 0:01:25 behind the watermark, too late for the window that ended at 2026-01-01T00:01:00Z" in (
            letter.cause
        )
        state = world.engine.shard.fold.context.operators["per_minute"]
        assert isinstance(state, WindowState)
        assert state.late == 1


async def test_a_time_far_in_the_future_does_not_drag_time_away() -> None:
    app, readings, per_minute = house(ahead=timedelta(minutes=5))
    with World(app) as world:
        await world.send(readings, at(0), at(3600), at(1))
        assert per_minute["s1", START].readings == 2
        (letter,) = world.dead_letters()
        assert "its time is 0:55:00 further ahead of the engine's than ahead= lets in" in letter.cause


@pytest.mark.parametrize("year", [1, 9999])
async def test_the_ends_of_the_calendar_are_dead_letters(year: int) -> None:
    app, readings, per_minute = house(ahead=None, spans=Tumbling(timedelta(days=7)))
    with World(app) as world:
        await world.send(readings, Reading("s1", datetime(year, 1, 1, tzinfo=UTC), 1.0))
        assert len(world.dead_letters()) == 1
        assert list(per_minute.all()) == []


async def test_old_windows_are_dropped() -> None:
    app, readings, per_minute = house(keep=2 * MINUTE)
    with World(app) as world:
        await world.send(readings, at(0), at(60), at(179))
        assert [row.starts_at.minute for row in per_minute.of("s1")] == [0, 1, 2]
        await world.send(readings, at(180))
        assert [row.starts_at.minute for row in per_minute.of("s1")] == [1, 2, 3]


async def test_sliding_windows_overlap() -> None:
    app, readings, per_minute = house(spans=Sliding(MINUTE, timedelta(seconds=20)))
    with World(app) as world:
        await world.send(readings, at(0), at(25))
        assert [row.readings for row in per_minute.of("s1")] == [1, 2, 2, 1]
        first = per_minute.at("s1", START + timedelta(seconds=25))
        assert first is not None
        assert first.starts_at == START - timedelta(seconds=20)


async def test_a_late_event_joins_two_sessions() -> None:
    app, readings, visits = house(spans=Session(timedelta(seconds=30)), lateness=MINUTE)
    with World(app) as world:
        await world.send(readings, at(0, 10), at(40, 20))
        assert [row.readings for row in visits.of("s1")] == [1, 1]
        await world.send(readings, at(20, 15))
        assert visits.of("s1") == (PerMinute("s1", START, START + timedelta(seconds=70), 3, 20.0, closed=False),)
        assert visits.at("s1", START + timedelta(seconds=69)) == visits.latest("s1")


async def test_a_session_may_turn_out_to_have_begun_earlier() -> None:
    app, readings, visits = house(spans=Session(timedelta(seconds=30)), disorder=MINUTE)
    with World(app) as world:
        await world.send(readings, at(20))
        await world.send(readings, at(0))
        assert [row.starts_at for row in visits.of("s1")] == [START]


async def test_what_a_users_aggregate_raises_concerns_that_event_alone() -> None:
    app = App("house")
    readings = app.stream("readings", Reading, key=Reading.sensor_id)

    def add(most: float, reading: Reading) -> float:
        return max(most, 100 / reading.celsius)

    class Inverse(Record):
        sensor_id: str
        starts_at: datetime
        ends_at: datetime
        readings: int
        most: float

    window = app.window(
        readings, Inverse, at=Reading.taken_at, spans=Tumbling(MINUTE), readings=agg.count(), most=agg.own(float, add)
    )
    with World(app) as world:
        await world.send(readings, at(0, 50), at(1, 0), at(2, 20), at(3, 0, "s2"))
        assert window["s1", START] == Inverse("s1", START, START + MINUTE, 2, 5.0)
        assert window.get("s2", START) is None
        assert [letter.cause for letter in world.dead_letters()] == [
            "window `inverse`: ZeroDivisionError: float division by zero"
        ] * 2


async def test_a_result_that_does_not_fit_its_field_leaves_the_row_as_it_was() -> None:
    app = App("house")
    readings = app.stream("readings", Reading, key=Reading.sensor_id)

    class Wrong(Record):
        sensor_id: str
        starts_at: datetime
        ends_at: datetime
        most: int

    def half(_: float, reading: Reading) -> float:
        return reading.celsius / 2

    def whole(state: float) -> int | float:
        return int(state) if state.is_integer() else state

    most = agg.own(float, half, result=whole)
    window = app.window(readings, Wrong, at=Reading.taken_at, spans=Tumbling(MINUTE), most=most)
    with World(app) as world:
        await world.send(readings, at(0, 2.0))
        await world.send(readings, at(0, 3.0))
        assert window["s1", START].most == 1
        assert "window `wrong` at `s1@2026-01-01T00:00:00Z`: ValidationError" in world.dead_letters()[0].cause


class NoEnd(Record):
    sensor_id: str
    starts_at: datetime
    readings: int


class Wide(PerMinute):
    also: int


class Narrow(Record):
    sensor_id: str
    starts_at: datetime
    ends_at: datetime
    hottest: int


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (PerMinute, {"at": "celsius"}, "at= must be a `datetime`, and `celsius` is none"),
    (PerMinute, {"at": "taken"}, "has no field `taken`"),
    (PerMinute, {"emit": "never"}, 'emit= is "changes" or "close"'),
    (PerMinute, {"lateness": MINUTE, "keep": timedelta(0)}, "it must be kept as long"),
    (PerMinute, {"hottest": agg.max("none")}, "`hottest`: `Reading` has no field `none`"),
    (PerMinute, {"hottest": agg.sum("sensor_id")}, "over `Reading.sensor_id`, which does not hold numbers"),
    (PerMinute, {"spans": Session(MINUTE), "readings": agg.own(int, lambda n, _: n)}, "say how with merge="),
    (NoEnd, {}, "has no field `ends_at`"),
    (Wide, {}, "nothing says what `Wide.also` is"),
    (Narrow, {"hottest": agg.max(Reading.celsius)}, "`Narrow.hottest` cannot hold what it gives.* `float`"),
]


@pytest.mark.parametrize(("record", "options", "error"), WRONG)
def test_what_is_declared_wrongly_is_found_out_early(record: Any, options: dict[str, Any], error: str) -> None:
    app = App("house")
    readings = app.stream("readings", Reading, key=Reading.sensor_id)
    given: dict[str, Any] = {"at": Reading.taken_at, "spans": Tumbling(MINUTE), "readings": agg.count()}
    given |= {"hottest": agg.max(Reading.celsius)}
    if record is Narrow:
        del given["readings"]
    with pytest.raises(DeclarationError, match=error):
        app.window(readings, record, **given | options)


def test_a_thousand_keys_keep_flat_memory() -> None:
    import tracemalloc

    app, _, _ = house(keep=3 * MINUTE, disorder=timedelta(seconds=10), ahead=None, idle_after=None)
    context = app.declared().fold().context
    keys = [f"s{number}" for number in range(1_000)]
    sizes: list[int] = []
    tracemalloc.start()
    for minute in range(30):
        batch = [at(minute * 60 + second, second, key) for second in (0, 30) for key in keys]
        context.fold("readings", keys * 2, batch, range(minute * 2_000 + 1, minute * 2_000 + 2_001))
        if minute % 3 == 2:
            held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/extrovert/*")])
            sizes.append(sum(one.size for one in held.traces))  # without what others in this process allocate
    tracemalloc.stop()
    assert len(context.tables["per_minute"].rows) == 4_000
    assert max(sizes[5:]) < 1.15 * max(sizes[2:5])
