"""Laws of live context: whatever is read equals its recomputation, a token tells every change, and whoever read what
changed is told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert.context.copies import Copies
from extrovert.context.interval import Interval
from extrovert.context.live import LiveContext
from extrovert.context.reads import Readable
from extrovert.core.record import Record
from tests.property.oracle import Model
from tests.property.programs import BEGIN_US, KEYS, PARTS, Cell, app_of

TABLES = ("facts", "items", "notes")
REFRESH_US = 300_000

_cells = st.builds(Cell, key=st.sampled_from(KEYS), group=st.integers(0, 2), value=st.integers(0, 9))


class Upsert(Record):
    table: str
    cells: list[Cell]


class Delete(Record):
    table: str
    key: str


class Pass(Record):
    """Time goes by."""

    ms: int


Op = Upsert | Delete | Pass
_ops = st.lists(
    st.builds(Upsert, table=st.sampled_from(TABLES), cells=st.lists(_cells, min_size=1, max_size=8))
    | st.builds(Delete, table=st.sampled_from(TABLES), key=st.sampled_from(KEYS))
    | st.builds(Pass, ms=st.sampled_from([1, 99, 300, 500, 1_000])),
    max_size=25,
)


class Witness:
    """Watches one thing that can be read."""

    def __init__(self, place: tuple[Readable, Any], number: int) -> None:
        self.place = place
        self.number = number

    @property
    def order(self) -> tuple[Any, ...]:
        return (2, self.number)


class Pair:
    """A live context, and a model that is plain dicts."""

    def __init__(self) -> None:
        declared = app_of([]).declared()
        self.context = LiveContext(declared.tables, declared.views)
        self.model = Model()
        self.offset = 0
        self.context.clock_is(BEGIN_US)

    def do(self, op: Op) -> None:
        context = self.context
        match op:
            case Upsert():
                context.offset = self.offset + len(op.cells)
                first = self.offset + 1
                self.offset += len(op.cells)
                context.fold(op.table, [cell.key for cell in op.cells], list(op.cells), range(first, self.offset + 1))
                for cell in op.cells:
                    self.model.tables[op.table][cell.key] = (cell.key, cell.group, cell.value)
            case Delete():
                self.offset += 1
                context.offset = self.offset
                context.tables[op.table].put(op.key, None, self.offset)
                self.model.tables[op.table].pop(op.key, None)
            case Pass():
                self.until(self.model.at_us + op.ms * 1000)
        context.settle()

    def until(self, at_us: int) -> None:
        while (due_us := self.context.expiry.next_us()) is not None and due_us <= at_us:
            self.offset += 1
            self.context.offset = self.offset
            self.context.passed(due_us, self.offset)
            self.context.settle()
        self.context.clock_is(at_us)
        self.model.at_us = at_us

    def places(self) -> Iterator[tuple[Readable, Any]]:
        """Everything that can be read here."""
        context = self.context
        for table in context.tables.values():
            yield table.whole, None
            yield table.sizes, None
            for key in [*KEYS, *PARTS]:
                yield table, key
        for index in context.indexes.values():
            for group in range(3):
                yield index, group
                yield index.counts, group
        for state, interval in itertools.product(context.ranges.values(), intervals()):
            yield state, interval
            yield state.counts, Interval((*interval[:2], None), interval.bounds)
        for view in context.views.values():
            for key in [*KEYS, *PARTS] if view.made is None else ():
                yield view, key
        for second in range(3):
            yield context.expiry, BEGIN_US + second * 1_000_000

    def expected(self, of: Readable, at: Any) -> Any:
        """What reading there should give, from the dicts alone."""
        if of.kind == "view":
            return self.model.view("view" if of.name == "summary" else of.name, at)
        if of.kind == "before":
            return self.model.at_us < at
        table = of.name.split(".")[0]
        rows = sorted((self.model.parts() if table == "parts" else self.model.tables[table]).values())
        match of.kind:
            case "row":
                return next((row for row in rows if row[0] == at), None)
            case "table":
                return rows
            case "index":
                return [row for row in rows if row[1] == at]
            case "count" if at is None:
                return len(rows)
            case "count" if isinstance(at, Interval):
                return len([row for row in rows if within(row, at)])
            case "count":
                return len([row for row in rows if row[1] == at])
            case _:
                ordered = sorted(rows, key=lambda row: (row[1], row[2], row[0]), reverse=at.descending)
                return [row for row in ordered if within(row, at)][: at.limit]


def within(row: tuple[str, int, int], interval: Interval) -> bool:
    low, high = interval.low or (), interval.high
    place = (row[1], row[2])
    left, right = interval.bounds
    if place[: len(low)] < low or (left == "(" and low and place[: len(low)] == low):
        return False
    return high is None or place[: len(high)] < high or (right == "]" and place[: len(high)] == high)


def intervals() -> Iterator[Interval]:
    bounds: list[Any] = [None, (1,), (1, 4), (2, 0)]
    for low, high, limit in itertools.product(bounds, bounds, [None, 2]):
        yield Interval((low, high, limit))
    for low, high in itertools.product(bounds, bounds):
        yield Interval((low, high, None), "()")
        yield Interval((low, high, 2), "[)", descending=True)
        yield Interval((low, high, 1), "(]", descending=True)


def plain(value: Any) -> Any:
    if isinstance(value, Cell):
        return (value.key, value.group, value.value)
    return [plain(one) for one in cast(tuple[Any, ...], value)] if isinstance(value, tuple) else value


@settings(max_examples=150)
@given(_ops)
def test_whatever_is_read_equals_its_recomputation(ops: list[Op]) -> None:
    pair = Pair()
    for op in ops:
        pair.do(op)
        for of, at in pair.places():
            value, token = of.look(at)
            assert plain(value) == pair.expected(of, at), (of.kind, of.name, at)
            assert of.token(at) == token


@settings(max_examples=150)
@given(_ops)
def test_a_token_tells_every_change_and_whoever_watches_is_told(ops: list[Op]) -> None:
    pair = Pair()
    for number, place in enumerate(pair.places()):
        place[0].watch(place[1], Witness(place, number))
    for op in ops:
        before = {place: place[0].look(place[1]) for place in pair.places()}
        pair.do(op)
        told = {watcher.place for watcher in pair.context.take_touched() if isinstance(watcher, Witness)}
        for (of, at), (value, token) in before.items():
            new_value, new_token = of.look(at)
            if new_value != value:
                assert new_token != token, (of.kind, of.name, at)
            if new_token != token:
                assert (of, at) in told, (of.kind, of.name, at)


@settings(max_examples=100)
@given(_ops)
def test_a_copy_equals_a_deep_copy_taken_when_it_was_due(ops: list[Op]) -> None:
    pair = Pair()
    copies = pair.context.copies = Copies(pair.context, REFRESH_US)
    deep = {place: place[0].look(place[1])[0] for place in pair.places()}
    for op in ops:
        if isinstance(op, Pass):
            at_us = pair.model.at_us + op.ms * 1000
            due_us = at_us - at_us % REFRESH_US
            if due_us > pair.model.at_us:
                pair.until(due_us)
                deep = {place: place[0].look(place[1])[0] for place in pair.places()}
            pair.until(at_us)
        else:
            pair.do(op)
        copy = copies.at(pair.model.at_us)
        assert copy.at_us == max(pair.model.at_us - pair.model.at_us % REFRESH_US, BEGIN_US)
        assert {place: copy.look(*place)[0] for place in pair.places()} == deep


def test_the_first_second_of_the_model_is_the_engines() -> None:
    pair = Pair()
    pair.until(BEGIN_US + timedelta(seconds=1) // timedelta(microseconds=1))
    assert pair.model.before(2)
    assert not pair.model.before(1)
