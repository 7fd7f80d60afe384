"""Laws of tables in time: history, lifetimes, counts and `where` equal a naive recomputation, however events come."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Change, Record, between
from extrovert.context.copies import Copies
from extrovert.context.history import BEYOND, HistoryState
from extrovert.context.live import LiveContext
from extrovert.context.reads import Readable, Scope, reading
from extrovert.core.time import to_us
from extrovert.testing.world import START
from tests.hosts import Host, replayed
from tests.picture import picture

KEYS = ["a", "b", "c"]
SPAN = 6
TTL = 4
BEGIN_US = to_us(START)
SECOND_US = 1_000_000
REFRESH_US = 3 * SECOND_US


class Row(Record):
    key: str
    at: datetime
    group: int = 0
    value: int = 0


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


def market() -> App:
    app = App("market")
    captured = app.changes("captured", Row, key=Row.key)
    span = timedelta(seconds=SPAN)
    ttl = timedelta(seconds=TTL)
    table = app.table("dated", Row, key=Row.key, source=captured, order_by=Row.at, history=span)
    table.index(Row.group)
    table.range_index(Row.group, Row.value)
    app.table("mortal", Row, key=Row.key, source=captured, order_by=Row.at, history=span, ttl=ttl)
    app.table("fleeting", Row, key=Row.key, source=captured, ttl=ttl)

    @app.view(over=app.table("fixed", Row, key=Row.key))
    def then(row: Row) -> int | None:
        found = table.as_of(row.key, row.at)
        return None if found is None else found.value

    return app


class Event(Record):
    """A row as of `at`, or (value None) its deletion then. `after` is how many seconds pass before it comes."""

    key: str
    at: int
    group: int
    value: int | None
    after: int = 0

    def change(self) -> Change[Row]:
        row = Row(self.key, second(self.at), self.group, self.value or 0)
        if self.value is None:
            return Change(before=row, op="d", ts_ms=round(row.at.timestamp() * 1000))
        return Change(after=row)


_events = st.builds(
    Event,
    key=st.sampled_from(KEYS),
    at=st.integers(0, 14),
    group=st.integers(0, 1),
    value=st.none() | st.integers(0, 9) | st.integers(0, 9),
    after=st.sampled_from([0, 0, 0, 1, 2, 5]),
)
_lists = st.lists(_events, max_size=25)
_upserts = st.lists(_events.filter(lambda event: event.value is not None), max_size=25)
_near = st.lists(
    st.builds(
        Event,
        key=st.sampled_from(KEYS),
        at=st.integers(0, SPAN),
        group=st.integers(0, 1),
        value=st.none() | st.integers(0, 9),
    ),
    max_size=25,
)
_cuts = st.lists(st.integers(1, 7), min_size=1, max_size=10)


class Pair:
    """A live context and the plain list of what came: (offset, event, when it came in seconds)."""

    def __init__(self) -> None:
        self.declared = market().declared()
        self.context = LiveContext(self.declared.tables, self.declared.views)
        self.came: list[tuple[int, Event, int]] = []
        self.offset = 0
        self.now = 0
        self.context.clock_is(BEGIN_US)

    def until(self, now: int) -> None:
        while (due_us := self.context.next_us()) is not None and due_us <= BEGIN_US + now * SECOND_US:
            self.offset += 1
            self.context.passed(due_us, self.offset)
            self.context.settle()
        self.now = now
        self.context.clock_is(BEGIN_US + now * SECOND_US)

    def take(self, events: Sequence[Event]) -> None:
        first = self.offset + 1
        self.offset += len(events)
        changes = [event.change() for event in events]
        offsets = range(first, self.offset + 1)
        assert self.context.fold("captured", [event.key for event in events], changes, offsets) == []
        self.came += [(offset, event, self.now) for offset, event in zip(offsets, events, strict=True)]
        self.context.settle()

    def history(self, name: str) -> HistoryState:
        history = self.context.tables[name].history
        assert history is not None
        return history

    # ---- what it should be, from the list alone

    def newest(self) -> int:
        return max(event.at for _, event, _ in self.came)

    def as_of(self, key: str, at: int, ttl: int | None) -> tuple[int | None, int]:
        """The value and the offset that wrote it, from all events in event-time order."""
        mine = [(event.at, offset, event.value) for offset, event, _ in self.came if event.key == key]
        found = max((one for one in mine if one[0] <= at), default=None)
        if found is None or found[2] is None or (ttl is not None and found[0] + ttl <= at):
            return None, 0
        return found[2], found[1]

    def present(self, key: str) -> int | None:
        return self.as_of(key, 1_000, None)[0]


def one_by_one(events: Iterable[Event]) -> Pair:
    pair = Pair()
    for event in events:
        pair.until(pair.now + event.after)
        pair.take([event])
    return pair


def histories_are_right(pair: Pair) -> None:
    for name, ttl in (("dated", None), ("mortal", TTL)):
        history = pair.history(name)
        for key, at in itertools.product(KEYS, range(-1, 17)):
            row, token = history.look((key, BEGIN_US + at * SECOND_US))
            if pair.came and at < pair.newest() - SPAN:
                assert token == BEYOND
            else:
                assert (row and row.value, token) == pair.as_of(key, at, ttl), (name, key, at)


@settings(max_examples=150)
@given(_upserts, st.randoms())
def test_rows_as_of_a_time_equal_all_events_in_their_order_however_they_came(events: list[Event], draw: Any) -> None:
    pair = one_by_one(events)
    histories_are_right(pair)
    shuffled = list(events)
    draw.shuffle(shuffled)
    histories_are_right(one_by_one(shuffled))
    for key in KEYS:
        row = pair.context.tables["dated"].rows.get(key)
        assert (row and row.value) == pair.present(key)


@settings(max_examples=150)
@given(_near)
def test_deletions_within_the_horizon_are_part_of_history(events: list[Event]) -> None:
    pair = one_by_one(events)
    histories_are_right(pair)
    for key in KEYS:
        row = pair.context.tables["dated"].rows.get(key)
        assert (row and row.value) == pair.present(key)


@settings(max_examples=150)
@given(_lists)
def test_rows_live_as_long_as_declared(events: list[Event]) -> None:
    pair = Pair()
    for event in [*events, *(Event("z", 14, 0, 0, 1) for _ in range(TTL + 1))]:
        for now in range(pair.now + 1, pair.now + event.after + 1):
            pair.until(now)
            lifetimes_are_right(pair)
        pair.take([event])
        lifetimes_are_right(pair)


def lifetimes_are_right(pair: Pair) -> None:
    for key in KEYS:
        writes = [(event, came) for _, event, came in pair.came if event.key == key]
        expected = None
        if writes and writes[-1][0].value is not None and writes[-1][1] + TTL > pair.now:
            expected = writes[-1][0].value
        row = pair.context.tables["fleeting"].rows.get(key)
        assert (row and row.value) == expected
    for row in pair.context.tables["mortal"].rows.values():
        assert to_us(row.at) + TTL * SECOND_US > BEGIN_US + pair.now * SECOND_US


@settings(max_examples=100)
@given(_lists, _cuts)
def test_any_batching_gives_the_same_rows_and_history(events: list[Event], cuts: list[int]) -> None:
    single, batched = Pair(), Pair()
    sizes, start = itertools.cycle(cuts), 0
    while start < len(events):
        batch = events[start : (start := start + next(sizes))]
        for pair in (single, batched):
            pair.until(pair.now + batch[0].after)
        batched.take(batch)
        for event in batch:
            single.take([event])
    for name in ("dated", "mortal", "fleeting"):
        one, other = single.context.tables[name], batched.context.tables[name]
        assert (one.rows, one.versions) == (other.rows, other.versions)
        assert (one.lifetime and one.lifetime.due_us) == (other.lifetime and other.lifetime.due_us)
        if one.history and other.history:
            assert one.history.versions == other.history.versions


class Witness:
    """Watches one thing that can be read."""

    def __init__(self, place: tuple[Readable, Any], number: int) -> None:
        self.place = place
        self.number = number

    @property
    def order(self) -> tuple[Any, ...]:
        return (2, self.number)


def places(context: LiveContext) -> Iterator[tuple[Readable, Any]]:
    for table in context.tables.values():
        yield table.sizes, None
        if table.history is not None:
            for key, at in itertools.product(KEYS, range(-1, 17)):
                yield table.history, (key, BEGIN_US + at * SECOND_US)


@settings(max_examples=100)
@given(_lists)
def test_whoever_read_as_of_a_time_is_told_just_when_the_answer_changes(events: list[Event]) -> None:
    pair = Pair()
    for number, place in enumerate(places(pair.context)):
        place[0].watch(place[1], Witness(place, number))
    for event in events:
        pair.until(pair.now + event.after)
        pair.context.take_touched()
        before = {place: place[0].token(place[1]) for place in places(pair.context)}
        pair.take([event])
        told = {one.place for one in pair.context.take_touched() if isinstance(one, Witness)}
        changed = {place for place, token in before.items() if place[0].token(place[1]) != token}
        assert changed <= told
        assert {place for place in told if isinstance(place[0], HistoryState)} <= changed


@settings(max_examples=100)
@given(_lists)
def test_a_copy_equals_what_was_true_when_it_was_due(events: list[Event]) -> None:
    pair = Pair()
    copies = pair.context.copies = Copies(pair.context, REFRESH_US)

    def tokens() -> dict[tuple[Readable, Any], Any]:
        return {(of, at): of.token(at) for of, at in places(pair.context)}

    deep = tokens()
    for event in events:
        for now in range(pair.now + 1, pair.now + event.after + 1):
            pair.until(now)
            if now % (REFRESH_US // SECOND_US) == BEGIN_US % REFRESH_US:
                deep = tokens()
        pair.take([event])
        copy = copies.at(BEGIN_US + pair.now * SECOND_US)
        assert {place: copy.look(*place)[1] for place in deep} == deep


@settings(max_examples=100)
@given(_lists, st.integers(0, 9), st.integers(0, 9), st.booleans(), st.none() | st.integers(0, 3))
def test_where_equals_a_plain_filter(
    events: list[Event], low: int, high: int, descending: bool, limit: int | None
) -> None:
    pair = one_by_one(events)
    dated: Any = next(table for table in pair.declared.tables if table.name == "dated")
    rows = [(row.value, row.key, row) for row in pair.context.tables["dated"].rows.values() if row.group == 1]
    with reading(Scope(pair.context, "the test")):
        for bounds in ("[]", "[)", "(]", "()"):
            expected = [
                row
                for value, _, row in sorted(rows, reverse=descending)
                if (value > low or (value == low and bounds[0] == "["))
                and (value < high or (value == high and bounds[1] == "]"))
            ]
            conditions = {Row.group: 1, Row.value: between(low, high, bounds=bounds)}
            found = dated.where(conditions, descending=descending, limit=limit)
            assert list(found) == expected[:limit]
            assert dated.indexes[1].count_between((1, low), (1, high), bounds=bounds) == len(expected)
        by_value = [row for _, _, row in sorted(rows, reverse=descending)]
        assert (
            list(dated.where({Row.group: 1}, order=Row.value, descending=descending, limit=limit)) == by_value[:limit]
        )
        by_key = sorted((row for _, _, row in rows), key=lambda row: row.key, reverse=descending)
        assert list(dated.where({Row.group: 1}, descending=descending, limit=limit)) == by_key[:limit]
        assert dated.count() == len(pair.context.tables["dated"].rows)


@settings(max_examples=40, deadline=None)
@given(_lists, st.integers(0, 25), st.lists(st.integers(0, 14), max_size=3))
def test_a_snapshot_keeps_history_and_due_times(events: list[Event], kept_at: int, fixed: list[int]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            host = Host(market(), Path(folder) / "log")
            tables = {table.name: table for table in host.declared.tables}
            captured = next(stream for stream in host.declared.streams if stream.name == "captured")
            host.hand_in(tables["fixed"], *(Row(KEYS[place], second(at)) for place, at in enumerate(fixed)))
            for number, event in enumerate(events):
                await host.advance(event.after)
                host.hand_in(captured, event.change())
                if number == kept_at:
                    host.engine.keep_snapshot()
            host.flush()
            state = picture(host.fold)
            assert picture(replayed(host)) == state
            host.crash()
            assert picture(host.fold) == state
            await host.advance(2 * TTL)
            assert picture(replayed(host)) == picture(host.fold)
            assert host.fold.context.tables["fleeting"].rows == {}
            host.kill()

    asyncio.run(live())
