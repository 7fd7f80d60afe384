"""What an engine's gauges tell of its operators."""

from __future__ import annotations

from datetime import datetime, timedelta

from extrovert import App, Record, Tumbling, Turn, when
from extrovert import aggregates as agg
from extrovert.surfaces.gauges import OperatorGauge
from extrovert.surfaces.gauging import gauge
from extrovert.testing import World
from tests.hosts import Host

MINUTE = timedelta(minutes=1)


class Reading(Record):
    sensor: str
    at: datetime
    celsius: float


class PerMinute(Record):
    sensor: str
    starts_at: datetime
    ends_at: datetime
    closed: bool
    readings: int


class Silence(Record):
    sensor: str


app = App("sensors")
readings = app.stream("readings", Reading, key=Reading.sensor)
warm = app.stream("warm", Reading, key=Reading.sensor, source=readings.filter(lambda one: one.celsius > 20))
per_minute = app.window(readings, PerMinute, at=Reading.at, spans=Tumbling(MINUTE), readings=agg.count())
silence = app.pattern(
    "silence",
    Silence,
    key=Silence.sensor,
    on=[readings],
    match=when(Reading).without(Reading).within(5 * MINUTE),
    make=lambda reading: Silence(reading.sensor),
)
hourly = app.schedule("hourly", every=60 * MINUTE)
texts = app.table("texts", Silence, key=Silence.sensor)
app.search("words", over=texts, text=Silence.sensor)


@app.agent(wakes_on=warm)
async def later(turn: Turn, reading: Reading) -> None:
    turn.emit(readings, reading.but(celsius=0.0), at=turn.now() + timedelta(hours=1))


async def test_operators_tell_how_far_they_are_and_what_they_hold(world: World) -> None:
    start = world.now
    await world.send(readings, Reading("a", start, 10.0), Reading("b", start + MINUTE / 2, 30.0))
    await world.advance(MINUTE + timedelta(seconds=1))
    await world.send(readings, Reading("a", start + MINUTE, 10.0), Reading("a", start, 1.0))
    found = {one.operator: one for one in gauge(world.engine).operators}
    assert found["per_minute"] == OperatorGauge(
        "per_minute",
        "window",
        ["readings"],
        "windows",
        1,
        late=1,
        quarantined=0,
        latest=start + MINUTE,
        watermark=start + MINUTE,
        next=start + MINUTE + timedelta(seconds=31),
    )
    assert (found["silence"].kind, found["silence"].held, found["silence"].next) == ("pattern", 2, start + 5 * MINUTE)
    assert (found["warm"].kind, found["warm"].follows) == ("stream", ["readings"])
    assert found["hourly"].next == start + 60 * MINUTE
    assert (found["delayed events"].held, found["delayed events"].next) == (1, start + 60 * MINUTE)
    assert found["words"].kind == "search"


async def test_turns_that_wait_to_hear_of_a_source_are_held() -> None:
    desk = App("desk")
    feed = desk.stream("rates", Silence, key=Silence.sensor)
    rates = desk.table("rates", Silence, key=Silence.sensor, source=feed)
    orders = desk.table("orders", Silence, key=Silence.sensor)

    @desk.agent(wakes_on=orders, fresh_within=timedelta(seconds=5))
    async def offer(turn: Turn, order: Silence) -> None:
        rates.get(order.sensor)

    host = Host(desk, None)
    await host.send(feed, Silence("usd"))
    await host.advance(6)
    await host.send(orders, Silence("usd"), Silence("eur"))
    (found,) = gauge(host.engine).agents
    assert (found.running, found.asking, found.limited, found.held) == (2, 0, 0, 2)
    await host.send(feed, Silence("usd"))
    (found,) = gauge(host.engine).agents
    assert (found.running, found.held) == (0, 0)
