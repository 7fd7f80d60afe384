"""Sizing: the estimates are near what Python really took."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from extrovert import App, Record
from extrovert.context.index import IndexState
from extrovert.context.range_index import RangeIndexState
from extrovert.core.ids import canonical
from extrovert.surfaces.gauging import gauge
from extrovert.surfaces.sizing import index_bytes, size_of, table_bytes, view_bytes
from extrovert.testing import World

MANY = 20_000


class Reading(Record):
    sensor: str
    site: str
    celsius: float
    tags: list[str] = []


class Hot(Record):
    sensor: str
    fahrenheit: float


def declared(*, site: bool = False, celsius: bool = False, view: bool = False) -> tuple[App, Any]:
    app = App("weather")
    readings = app.table("readings", Reading, key=Reading.sensor)
    if site:
        readings.index(Reading.site)
    if celsius:
        readings.range_index(Reading.celsius)
    if view:

        @app.view(over=readings)
        def hot(reading: Reading) -> Hot | None:
            return Hot(reading.sensor, reading.celsius * 1.8 + 32)

        assert hot
    return app, readings


def taken(**what: bool) -> tuple[int, World]:
    """The bytes that a world with many readings takes beyond an empty one."""
    app, _ = declared(**what)
    world = World(app)
    lines = [
        b"\n".join(
            canonical(Reading(f"sensor-{number:06}", f"site {number % 700}", number / 7, [f"tag {number}"]))
            for number in range(at, at + 1_000)
        )
        for at in range(0, MANY, 1_000)
    ]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for some in lines:
        world.engine.intake.lines("readings", some)
        world.engine.writing.shard.unwritten.clear()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before, world


def test_tables_indexes_and_views_are_estimated_apart() -> None:
    plain, world = taken()
    context = world.engine.shard.fold.context
    assert table_bytes(context.tables["readings"]) == pytest.approx(plain, rel=0.15)
    for what in ("site", "celsius"):
        with_index, world = taken(**{what: True})
        (index,) = world.engine.shard.fold.context.tables["readings"].indexes
        assert isinstance(index, IndexState | RangeIndexState)
        assert index_bytes(index) == pytest.approx(with_index - plain, rel=0.3)
    with_view, world = taken(view=True)
    assert view_bytes(world.engine.shard.fold.context.views["hot"]) == pytest.approx(with_view - plain, rel=0.3)


def test_what_is_held_twice_counts_once() -> None:
    text = "x" * 1_000
    assert size_of([text, text]) < 1_500 < size_of([text, "y" * 1_000])
    assert size_of(None) == size_of(True) == 0


async def test_an_empty_app_has_gauges_too() -> None:
    found = gauge(World(App("empty")).engine)
    assert (found.tables, found.views, found.agents, found.effects, found.sources) == ([], [], [], [], [])
    assert found.engine.offset == 0
