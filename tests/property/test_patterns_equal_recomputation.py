"""Law: a pattern finds what looking for it afresh among all events finds, however they are batched, wherever the engine
is stopped, and, in event time, in whatever order they come within the declared disorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Record, Shape, when
from extrovert.core.time import from_us
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
from tests.picture import picture
from tests.property.programs import BEGIN_US

S = 1_000_000
DISORDER_S = 5


class A(Record, tag=True):
    key: str
    number: int
    value: int
    at: datetime


class B(Record, tag=True):
    key: str
    number: int
    value: int
    at: datetime


class C(Record):
    key: str
    number: int
    value: int
    at: datetime


class Found(Record):
    key: str
    numbers: list[int]


class All(Record):
    key: str
    found: list[list[int]] = []


Test = Callable[[list[Any], Any], bool]


class Plain(NamedTuple):
    """A shape as the naive search knows it: what comes (a test of the events before and this one), and, for each number
    of events matched, what must not come."""

    steps: list[Test]
    bars: dict[int, Test]
    span_s: int


def is_a(_: list[Any], e: Any) -> bool:
    return type(e) is A


def is_b(_: list[Any], e: Any) -> bool:
    return type(e) is B


def is_c(_: list[Any], e: Any) -> bool:
    return type(e) is C


def is_another_c(m: list[Any], e: Any) -> bool:
    return type(e) is C and e.value != m[0].value


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


def is_rising(m: list[Any], e: Any) -> bool:
    return type(e) is A and e.value > m[0].value


def is_as_high(m: list[Any], e: Any) -> bool:
    return type(e) is B and e.value >= m[0].value


def is_low(_: list[Any], e: Any) -> bool:
    return type(e) is B and e.value < 2


def is_positive(_: list[Any], e: Any) -> bool:
    return type(e) is A and e.value > 0


def is_equal(m: list[Any], e: Any) -> bool:
    return type(e) is not A and e.value == m[-1].value


def is_equal_c(m: list[Any], e: Any) -> bool:
    return type(e) is C and is_equal(m, e)


def is_equal_b(m: list[Any], e: Any) -> bool:
    return type(e) is B and is_equal(m, e)


def shapes() -> list[tuple[Any, Plain]]:
    a_b_c = when(A).then(B, lambda a, b: b.value >= a.value).then(C, lambda a, b, c: c.value != a.value)
    brute = when(A).without(C, lambda a, c: c.value == a.value).times(2).then(B, lambda a, b: b.value < 2 == len(a))
    unequal = when(A, lambda a: a.value > 0).without(B, lambda a, b: b.value == a.value)
    return [
        (when(A).then(B).within(seconds(10)), Plain([is_a, is_b], {}, 10)),
        (a_b_c.within(seconds(12)), Plain([is_a, is_as_high, is_another_c], {}, 12)),
        (when(A).without(B).within(seconds(5)), Plain([is_a], {1: is_b}, 5)),
        (unequal.within(seconds(6)), Plain([is_positive], {1: is_equal_b}, 6)),
        (when(A).times(3).within(seconds(10)), Plain([is_a] * 3, {}, 10)),
        (brute.within(seconds(15)), Plain([is_a, is_a, is_low], {1: is_equal_c}, 15)),
        (when(A).without(C).then(B).without(A).within(seconds(9)), Plain([is_a, is_b], {1: is_c, 2: is_a}, 9)),
        (when(A).then(A, lambda a, b: b.value > a.value).within(seconds(8)), Plain([is_a, is_rising], {}, 8)),
    ]


SHAPES = shapes()


class Hit(NamedTuple):
    """What is found, in the order in which it is complete: what time completes comes before an event of that time."""

    at: datetime
    by_event: bool
    end: int
    start: int
    numbers: list[int]


def hit_from(plain: Plain, events: Sequence[Any], start: int) -> Hit | None:
    """What begins with the event at place `start`."""
    matched, over = [events[start]], events[start].at + seconds(plain.span_s)
    if not plain.steps[0]([], matched[0]):
        return None
    in_time = [place for place, event in enumerate(events) if event.at < over]
    for place in in_time[start + 1 :]:
        event, bar = events[place], plain.bars.get(len(matched))
        if len(matched) < len(plain.steps) and plain.steps[len(matched)](matched, event):
            matched.append(event)
            if len(matched) == len(plain.steps) and len(matched) not in plain.bars:
                return Hit(event.at, True, place, start, [one.number for one in matched])
        elif bar is not None and bar(matched, event):
            return None
    if len(matched) < len(plain.steps):
        return None
    return Hit(over, False, in_time[-1], start, [one.number for one in matched])


def afresh(plain: Plain, events: Sequence[Any], overlapping: bool) -> list[list[int]]:
    """What there is to be found among the events of one key, which are in order of time."""
    hits = sorted(hit for start in range(len(events)) if (hit := hit_from(plain, events, start)) is not None)
    kept: list[list[int]] = []
    taken = -1
    for hit in hits:
        if overlapping or hit.start > taken:
            kept.append(hit.numbers)
            taken = hit.end
    return kept


def app_of(shape: Shape[*tuple[Any, ...]], overlapping: bool, event_time: bool) -> App:
    app = App("app")
    ab = app.stream("ab", A | B, key="key")
    c = app.stream("c", C, key="key")

    def make(*matched: Any) -> Found:
        first = list(matched[0] if isinstance(matched[0], tuple) else matched[:1])  # pyright: ignore[reportUnknownArgumentType]
        return Found(first[0].key, [one.number for one in [*first, *matched[1:]]])

    found = app.pattern(
        "found",
        Found,
        key="key",
        on=[ab, c],
        match=shape,
        make=make,
        at="at" if event_time else None,
        disorder=seconds(DISORDER_S) if event_time else None,
        overlapping=overlapping,
    )

    def collect(row: All | None, event: Found) -> All:
        return All(event.key, [*(row.found if row else []), event.numbers])

    app.table("all", All, key="key", source=found, fold=collect)
    return app


class Life:
    """An engine that is fed at given moments, and stopped and started again."""

    def __init__(self, app: App) -> None:
        self.declared = app.declared()
        self.store = SqliteStore(None)
        self.now_us = BEGIN_US
        self.begin()

    def begin(self) -> None:
        self.engine = Engine(self.declared, self.store, VirtualClock(self.now_us), Settings(acting=False))
        self.engine.start()

    def hand_in(self, at_us: int, stream: str, events: Sequence[Any]) -> None:
        self.now_us = at_us
        self.engine.shard.advance(at_us)
        self.engine.intake.lines(stream, b"\n".join(map(msgspec.json.encode, events)))

    def again(self, snapshot: bool) -> None:
        """Ends, with or without a snapshot, and begins again."""
        before = picture(self.engine.shard.fold)
        self.engine.writing.flush()
        if snapshot:
            self.engine.keep_snapshot()
        self.begin()
        assert picture(self.engine.shard.fold) == before

    def end(self) -> dict[str, list[list[int]]]:
        """All that is found when all is over."""
        self.engine.shard.advance(self.now_us + 1_000 * S)
        self.engine.writing.flush()
        replayed = self.declared.fold()
        for entry in self.store.entries():
            replayed.replay(entry)
        replayed.context.clock_is(self.now_us + 1_000 * S)
        assert picture(replayed) == picture(self.engine.shard.fold)
        assert list(self.store.dead()) == []
        self.store.close()
        return {key: row.found for key, row in replayed.context.tables["all"].rows.items()}


def events_of(drawn: Sequence[tuple[int, str, type, int]]) -> list[Any]:
    at_us, events = BEGIN_US, list[Any]()
    for number, (gap_s, key, kind, value) in enumerate(drawn):
        at_us += gap_s * S
        events.append(kind(key, number, value, from_us(at_us)))
    return events


def expected(plain: Plain, events: Sequence[Any], overlapping: bool) -> dict[str, list[list[int]]]:
    by_key = {key: [event for event in events if event.key == key] for key in ("k1", "k2")}
    found = {key: afresh(plain, mine, overlapping) for key, mine in by_key.items()}
    return {key: numbers for key, numbers in found.items() if numbers}


_drawn = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 1, 2, 4, 5]),
        st.sampled_from(["k1", "k1", "k2"]),
        st.sampled_from([A, A, B, C]),
        st.integers(0, 2),
    ),
    max_size=25,
)
_cuts = st.lists(st.booleans(), min_size=25, max_size=25)
_stops = st.dictionaries(st.integers(0, 25), st.booleans(), max_size=3)


@settings(max_examples=400)
@given(st.sampled_from(SHAPES), _drawn, _cuts, _stops, st.booleans())
def test_in_engine_time(
    shape: Any, drawn: list[Any], cuts: list[bool], stops: dict[int, bool], overlapping: bool
) -> None:
    events = events_of(drawn)
    life = Life(app_of(shape[0], overlapping, False))
    parts: list[list[Any]] = []
    for event, cut in zip(events, cuts, strict=False):
        same = parts and parts[-1][-1].at == event.at and (type(event) is C) == (type(parts[-1][-1]) is C)
        if cut or not same:
            parts.append([])
        parts[-1].append(event)
    for place, part in enumerate(parts):
        if place in stops:
            life.again(stops[place])
        at_us = (part[0].at - from_us(0)) // timedelta(microseconds=1)
        life.hand_in(at_us, "c" if type(part[0]) is C else "ab", part)
    assert life.end() == expected(shape[1], events, overlapping)


@settings(max_examples=400)
@given(st.sampled_from(SHAPES), _drawn, st.data(), _stops, st.booleans(), st.booleans())
def test_in_event_time(
    shape: Any, drawn: list[Any], data: st.DataObject, stops: dict[int, bool], overlapping: bool, batched: bool
) -> None:
    events = events_of(drawn)
    delays = data.draw(st.lists(st.integers(0, DISORDER_S), min_size=len(events), max_size=len(events)))
    late = zip(events, delays, strict=True)
    arrivals = sorted((event.at + seconds(delay), place, event) for place, (event, delay) in enumerate(late))
    life = Life(app_of(shape[0], overlapping, True))
    for place, ((at, of_c), part) in enumerate(groupby(arrivals, lambda one: (one[0], type(one[2]) is C))):
        batch = [event for _, _, event in part]
        if place in stops:
            life.again(stops[place])
        at_us = (at - from_us(0)) // timedelta(microseconds=1)
        for some in [batch] if batched else [[event] for event in batch]:
            life.hand_in(at_us, "c" if of_c else "ab", some)
    in_order = sorted((event for _, _, event in arrivals), key=lambda event: event.at)
    assert life.end() == expected(shape[1], in_order, overlapping)
