"""The law of corrections: for any order of events, a decision is invalidated exactly when what it had read, recomputed
from all events as of its event time, becomes another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Change, Record
from extrovert.context.live import LiveContext
from extrovert.context.reads import ReadSet, Scope, reading
from extrovert.core.ids import canonical
from extrovert.core.log import Decided, Invalidated, Wake
from extrovert.core.time import to_us
from extrovert.testing.world import START
from extrovert.turns.chain import Chain
from extrovert.turns.corrections import Corrections, Watched
from extrovert.turns.ledger import notes

KEYS = ["a", "b", "c"]
BEGIN_US = to_us(START)
SECOND_US = 1_000_000
HORIZON = 12


class Row(Record):
    key: str
    at: datetime
    group: int = 0
    value: int = 0


class Fact(Record):
    key: str
    of: str


Known = tuple[str, int, int, int]
"""A row as the recomputation has it: key, time, group, value."""


def second(number: int) -> datetime:
    return START + timedelta(seconds=number)


class Event(Record):
    """A row as of `at`, or (value None) its deletion then. `after` is how many seconds pass before it comes."""

    key: str
    at: int
    group: int
    value: int | None
    after: int = 0


class Looks(Record):
    """A decision that reads in one way, after `after` seconds."""

    how: str
    key: str
    at: int
    after: int = 0


class Market:
    """A table in time with its indexes, and a view that reads it."""

    def __init__(self, span: int) -> None:
        app = App("market")
        captured = app.changes("captured", Row, key=Row.key)
        span_of = timedelta(seconds=span)
        self.table = app.table("dated", Row, key=Row.key, source=captured, order_by=Row.at, history=span_of)
        self.groups = self.table.index(Row.group)
        self.values = self.table.range_index(Row.group, Row.value)
        facts = app.table("facts", Fact, key=Fact.key)

        @app.view(over=facts)
        def value_of(fact: Fact) -> int:
            row = self.table.get(fact.of)
            return -1 if row is None else row.value

        self.view = value_of
        self.declared = app.declared()

    def look(self, looks: Looks) -> object:
        ways: dict[str, Callable[[], object]] = {
            "row": lambda: self.table.get(looks.key),
            "as_of": lambda: self.table.as_of(looks.key, second(looks.at)),
            "index": lambda: self.groups[1],
            "count": lambda: self.groups.count(1),
            "range": lambda: self.values.between((1, 2), (1, 6), bounds="[)"),
            "first": lambda: self.values.under(1, limit=1),
            "last": lambda: self.values.under(1, limit=1, descending=True),
            "range count": lambda: self.values.count_between((1, 2), (1, 6)),
            "all": self.table.all,
            "size": self.table.count,
            "view": lambda: self.view.get(looks.key),
        }
        return ways[looks.how]()


def answer(looks: Looks, rows: Sequence[Known]) -> object:
    """What a read finds in the rows that there were."""
    in_group = sorted((value, key, at) for key, at, group, value in rows if group == 1)
    match looks.how:
        case "row" | "as_of" | "view":
            return [row for row in rows if row[0] == looks.key]
        case "index":
            return in_group
        case "count":
            return len(in_group)
        case "range":
            return [row for row in in_group if 2 <= row[0] < 6]
        case "range count":
            return len([row for row in in_group if 2 <= row[0] <= 6])
        case "first":
            return in_group[:1]
        case "last":
            return in_group[-1:]
        case "all":
            return sorted(rows)
        case _:
            return len(rows)


class Made(Record):
    """A decision as the recomputation knows it: the moment of its read, and when it was made."""

    turn: str
    looks: Looks
    moment: int
    made: int


class World:
    """The live context and its corrections, beside the plain list of what came."""

    def __init__(self, span: int) -> None:
        self.span = span
        self.market = Market(span)
        self.context = LiveContext(self.market.declared.tables, self.market.declared.views)
        self.corrections = Corrections(self.context, HORIZON * SECOND_US, Chain())
        self.came: list[tuple[int, int, Event]] = []
        self.made: list[Made] = []
        self.told_before: set[str] = set()
        self.offset = 0
        self.now = 0
        self.context.clock_is(BEGIN_US)
        facts = [Fact(key, key) for key in KEYS]
        self.context.fold("facts", KEYS, facts, [1, 2, 3])
        self.context.settle()
        self.offset = 3

    def until(self, after: int) -> None:
        self.now += after
        self.context.clock_is(BEGIN_US + self.now * SECOND_US)
        self.corrections.passed(BEGIN_US + self.now * SECOND_US)

    def take(self, event: Event) -> list[Invalidated]:
        self.until(event.after)
        self.offset += 1
        row = Row(event.key, second(event.at), event.group, event.value or 0)
        change = Change(after=row)
        if event.value is None:
            change = Change(before=row, op="d", ts_ms=round(row.at.timestamp() * 1000))
        assert self.context.fold("captured", [event.key], [change], [self.offset]) == []
        self.came.append((event.at, self.offset, event))
        self.context.settle()
        return self.corrections.take()

    def decide(self, looks: Looks) -> None:
        self.until(looks.after)
        self.offset += 1
        reads: ReadSet = {}
        with reading(Scope(self.context, "the law", reads)):
            self.market.look(looks)
        turn = f"law:{looks.key}@{self.offset}"
        decided = Decided(turn, "law", looks.key, Wake("facts", self.offset, 0), 1, "woken", notes(reads))
        body = msgspec.json.decode(msgspec.json.encode(decided), type=Decided)
        self.corrections.watch(body, self.offset, BEGIN_US + self.now * SECOND_US)
        if self.came:
            moment = looks.at if looks.how == "as_of" else self.newest()
            self.made.append(Made(turn, looks, moment, self.now))

    def restart(self) -> None:
        saved = msgspec.json.decode(msgspec.json.encode(self.corrections.save()), type=list[Watched])
        self.corrections = Corrections(self.context, HORIZON * SECOND_US, Chain())
        self.corrections.load(saved)

    # ---- what it should be, from the list alone

    def newest(self) -> int:
        return max(at for at, _, _ in self.came)

    def rows_as_of(self, moment: int) -> list[Known]:
        found = {event.key: event for at, _, event in sorted(self.came, key=_place) if at <= moment}
        return [(e.key, e.at, e.group, e.value) for e in found.values() if e.value is not None]

    def answers(self) -> dict[str, object]:
        return {one.turn: answer(one.looks, self.rows_as_of(one.moment)) for one in self.made}

    def judged(self, one: Made) -> bool:
        """Whether a decision is within the horizon, and its moment within history."""
        return self.now < one.made + HORIZON and one.moment >= self.newest() - self.span


def _place(came: tuple[int, int, Event]) -> tuple[int, int]:
    return came[0], came[1]


def holds(steps: Sequence[Event | Looks | None], span: int) -> None:
    world = World(span)
    for step in steps:
        if step is None:
            world.restart()
        elif isinstance(step, Looks):
            if step.how != "as_of" or not world.came or step.at >= world.newest() - span:
                world.decide(step)
        else:
            before = world.answers()
            told = {one.turn: one for one in world.take(step)}
            after = world.answers()
            for one in world.made:
                # A read with a limit is known by where its last row was then, so only its first correction is judged.
                if one.looks.how in ("first", "last") and one.turn in world.told_before:
                    continue
                expected = before[one.turn] != after[one.turn] and world.judged(one)
                assert (one.turn in told) == expected, (one, before[one.turn], after[one.turn])
                if expected and one.looks.how in ("row", "as_of", "view"):
                    values_are_right(told[one.turn], before[one.turn], after[one.turn])
            world.told_before |= {turn for turn in after if before.get(turn) != after[turn]}


def values_are_right(told: Invalidated, before: Any, after: Any) -> None:
    (row,) = told.rows
    for raw, known in ((row.old, before), (row.new, after)):
        rows = [Row(key, second(at), group, value) for key, at, group, value in known]
        assert bytes(raw) == canonical(rows[0] if rows else None)


_hows = ["row", "as_of", "index", "count", "range", "first", "last", "range count", "all", "size", "view"]
_upserts = st.builds(
    Event,
    key=st.sampled_from(KEYS),
    at=st.integers(0, 12),
    group=st.sampled_from([0, 1, 1]),
    value=st.integers(0, 8),
    after=st.sampled_from([0, 0, 0, 1, 4]),
)
_deletions = st.builds(
    Event, key=st.sampled_from(KEYS), at=st.integers(0, 12), group=st.just(1), value=st.none(), after=st.just(0)
)
_looks = st.builds(
    Looks,
    how=st.sampled_from(_hows),
    key=st.sampled_from(KEYS),
    at=st.integers(0, 12),
    after=st.sampled_from([0, 0, 1]),
)


@settings(max_examples=300)
@given(st.lists(_upserts | _upserts | _deletions | _looks | _looks | st.none(), max_size=30))
def test_a_decision_is_invalidated_just_when_what_it_read_is_another_as_of_its_time(
    steps: list[Event | Looks | None],
) -> None:
    holds(steps, 20)


@settings(max_examples=200)
@given(st.lists(_upserts | _upserts | _looks | _looks | st.none(), max_size=30))
def test_nothing_is_guessed_of_what_history_does_not_hold_any_more(steps: list[Event | Looks | None]) -> None:
    holds(steps, 5)
