"""Laws of windows: their rows are what recomputation over the same events gives, whatever the batches, whatever the
order within what is allowed, and wherever a snapshot is taken and taken up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from extrovert import Session, Sliding, Tumbling
from extrovert.core.time import from_us
from tests.property.windows import BEGIN_US, KEYS, Reading, Row, Running, Spans, rows_of

SECOND = 1_000_000
Window = tuple[str, int, int, list[Reading]]
"""Key, start, end, events."""

SPANS: list[Spans] = [
    Tumbling(timedelta(seconds=10)),
    Tumbling(timedelta(seconds=10), offset=timedelta(seconds=3)),
    Sliding(timedelta(seconds=10), timedelta(seconds=4)),
    Session(timedelta(seconds=5)),
]
_readings = st.builds(
    Reading,
    sensor_id=st.sampled_from(KEYS),
    taken_at=st.integers(0, 120).map(lambda s: from_us(BEGIN_US + s * SECOND // 2)),
    celsius=st.integers(-3, 3) | st.none(),
    room=st.sampled_from(["hall", "attic", "cellar"]),
)


SHORT: dict[str, Any] = {
    "spans": Session(timedelta(seconds=5)),
    "disorder": timedelta(0),
    "lateness": timedelta(0),
    "emit": "changes",
    "keep": timedelta(seconds=15),
}


def reading(sensor: str, at_s: float) -> Reading:
    return Reading(sensor, from_us(BEGIN_US + int(at_s * SECOND)), 0, "hall")


AS_A_FORGOTTEN_ONE = [reading("warm", 30.5), reading("cold", 35.5), reading("warm", 31), reading("warm", 30.5)]
"""A late event joins a session, which now begins when one did that is forgotten."""


_streams = st.lists(_readings, max_size=40)
_settings = st.fixed_dictionaries(
    {
        "spans": st.sampled_from(SPANS),
        "disorder": st.sampled_from([0, 3, 11]).map(lambda s: timedelta(seconds=s)),
        "lateness": st.sampled_from([0, 2, 15]).map(lambda s: timedelta(seconds=s)),
        "emit": st.sampled_from(["changes", "close"]),
        "keep": st.sampled_from([15, 30, 1_000]).map(lambda s: timedelta(seconds=s)),
    }
)


def naive(readings: Sequence[Reading], options: dict[str, Any]) -> tuple[list[Row], list[int]]:
    """The rows, and the places of what came too late, from lists of the events in each window."""
    spans = options["spans"]
    disorder, lateness, keep = (options[name] // timedelta(microseconds=1) for name in ("disorder", "lateness", "keep"))
    windows: list[Window] = []
    late: list[int] = []
    reached = -(1 << 62)
    for place, reading in enumerate(readings):
        at = int(reading.taken_at.timestamp()) * SECOND + reading.taken_at.microsecond
        reached = max(reached, at - disorder)
        key = reading.sensor_id
        windows = told_apart(windows, options, reached)
        held = [one for one in windows if one[0] == key and one[2] + lateness > reached]
        if isinstance(spans, Session):
            end = at + spans.size_us
            joined = [one for one in held if one[1] < end and at < one[2]]
            if not joined and end + lateness <= reached:
                late.append(place)
                continue
            members = [*(member for one in joined for member in one[3]), reading]
            span = min(at, *(one[1] for one in joined), at), max(end, *(one[2] for one in joined), end)
            windows = [one for one in windows if one not in joined] + [(key, *span, members)]
            continue
        starts = [s for s in range(spans.first(at), at + 1, spans.every_us) if s + spans.size_us + lateness > reached]
        for start in starts:
            found: Window | None = next((one for one in held if one[1] == start), None)
            if found is None:
                found = (key, start, start + spans.size_us, [])
                windows.append(found)
            found[3].append(reading)
        if not starts:
            late.append(place)
    shown = [
        one for one in told_apart(windows, options, reached) if one[2] + keep > reached and shows(one, options, reached)
    ]
    return sorted((summary(*one, closed=one[2] <= reached) for one in shown), key=rows_of), late


def shows(window: Window, options: dict[str, Any], reached: int) -> bool:
    return options["emit"] == "changes" or window[2] <= reached


def told_apart(windows: Sequence[Window], options: dict[str, Any], reached: int) -> list[Window]:
    """Late events may make a session that begins when a forgotten one did: its row takes the place of that one's."""
    shown = [one for one in windows if shows(one, options, reached)]
    return [one for one in windows if not any(one[:2] == other[:2] and one[2] < other[2] for other in shown)]


def summary(key: str, start: int, end: int, readings: Sequence[Reading], *, closed: bool) -> Row:
    numbers = sorted(reading.celsius for reading in readings if reading.celsius is not None)
    said = [reading for reading in readings if reading.celsius is not None]
    latest = max((reading.taken_at for reading in said), default=None)
    rooms = Counter(reading.room for reading in readings)
    return Row(
        sensor_id=key,
        starts_at=from_us(start),
        ends_at=from_us(end),
        closed=closed,
        readings=len(readings),
        total=sum(numbers),
        mean=sum(numbers) / len(numbers) if numbers else None,
        least=numbers[0] if numbers else None,
        most=numbers[-1] if numbers else None,
        median=numbers[ceil(len(numbers) / 2) - 1] if numbers else None,
        rooms=len(rooms),
        common=sorted(rooms.items(), key=lambda item: (-item[1], item[0]))[:2],
        newest=[reading.celsius for reading in said if reading.taken_at == latest][-1] if said else None,
        letters=sum(len(reading.room) for reading in readings),
    )


@settings(max_examples=200, deadline=None)
@given(_streams, _settings)
@example(AS_A_FORGOTTEN_ONE, SHORT)
@example(AS_A_FORGOTTEN_ONE, SHORT | {"emit": "close"})
@example([*AS_A_FORGOTTEN_ONE, reading("cold", 50.6)], SHORT)
@example([*AS_A_FORGOTTEN_ONE, reading("warm", 30)], SHORT | {"emit": "close"})
def test_the_rows_are_what_recomputation_gives(readings: list[Reading], options: dict[str, Any]) -> None:
    running = Running(**options)
    running.feed(readings)
    rows, late = naive(readings, options)
    assert running.rows() == rows
    assert running.failed == late
    assert running.state.late == len(late)


@settings(max_examples=200, deadline=None)
@given(_streams, _settings, st.data())
def test_batches_make_no_difference(readings: list[Reading], options: dict[str, Any], data: DataObject) -> None:
    at_once, bit_by_bit = Running(**options), Running(**options)
    at_once.feed(readings)
    left = readings
    while left:
        size = data.draw(st.integers(1, len(left)))
        bit_by_bit.feed(left[:size])
        left = left[size:]
    assert at_once.rows() == bit_by_bit.rows()
    assert at_once.failed == bit_by_bit.failed
    assert at_once.state.save() == bit_by_bit.state.save()


@settings(max_examples=200, deadline=None)
@given(_streams, _settings, st.data())
def test_disorder_that_is_allowed_makes_no_difference(
    readings: list[Reading], options: dict[str, Any], data: DataObject
) -> None:
    allowed = options["disorder"] + options["lateness"]
    delays = data.draw(st.lists(st.integers(0, 100), min_size=len(readings), max_size=len(readings)))
    in_order = sorted(readings, key=lambda reading: reading.taken_at)
    # The exact bound is the latest event time that came before, so none waits longer than what is allowed.
    late = sorted(zip(in_order, delays, strict=True), key=lambda one: one[0].taken_at + allowed * min(one[1], 99) / 100)
    end = Reading("end", from_us(BEGIN_US + 200 * SECOND), 0, "hall")
    first, second = Running(**options | {"keep": timedelta(hours=1)}), Running(**options | {"keep": timedelta(hours=1)})
    first.feed([*in_order, end])
    second.feed([*(reading for reading, _ in late), end])
    assert second.failed == []
    for one, other in zip(first.rows(), second.rows(), strict=True):  # of equal times, the newest came last
        assert one.but(newest=None) == other.but(newest=None)


@settings(max_examples=200, deadline=None)
@given(_streams, _settings, st.integers(0, 40), st.integers(0, 40))
@example(
    [reading("cold", 15), reading("warm", 14.5), reading("warm", 15)],  # a session that grows to the end of another
    SHORT | {"lateness": timedelta(seconds=2)},
    3,
    4,
)
@example([*AS_A_FORGOTTEN_ONE, reading("cold", 50.6)], SHORT, 4, 0)
@example([*AS_A_FORGOTTEN_ONE, reading("warm", 30), reading("cold", 60)], SHORT | {"emit": "close"}, 4, 0)
def test_a_snapshot_makes_no_difference(
    readings: list[Reading], options: dict[str, Any], at: int, silence_s: int
) -> None:
    options = options | {"idle_after": timedelta(seconds=7)}
    straight, broken = Running(**options), Running(**options)
    for running in (straight, broken):
        running.feed(readings[:at])
        running.wait(silence_s * SECOND)
    broken = broken.again()
    for running in (straight, broken):
        running.wait(silence_s * SECOND)
    assert straight.state.save() == broken.state.save()
    for running in (straight, broken):
        running.feed(readings[at:])
    assert straight.state.save() == broken.state.save()
    for running in (straight, broken):
        running.wait(60 * SECOND)
    assert straight.rows() == broken.rows()
    assert straight.failed[-len(broken.failed) :] == broken.failed or not broken.failed
    assert straight.state.save() == broken.state.save()


@settings(max_examples=200, deadline=None)
@given(st.lists(_streams, max_size=4), _settings)
def test_when_all_is_silent_every_window_closes(streams: list[list[Reading]], options: dict[str, Any]) -> None:
    running = Running(**options | {"idle_after": timedelta(seconds=7)})
    for readings in streams:
        running.feed(readings)
        running.wait(100 * SECOND)
        assert all(row.closed for row in running.rows())
        assert running.context.next_us() is None
