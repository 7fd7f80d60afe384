"""Law: any batching of the same events gives the same state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Record
from extrovert.context.live import LiveContext
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
from extrovert.testing.world import START
from extrovert.turns.fold import Fold
from tests.picture import picture, values
from tests.property.programs import BEGIN_US, KEYS, Cell, Program, app_of

AGENTS = [Program("commands", ()), Program("facts", ()), Program("alarm", ())]
BAD = [b"", b"no", b'{"key":7}', b'{"key":"k1","group":"one"}', b'{"key":""}', b'{"key":"k1"} {"key":"k2"}', b"\xff"]

_cells = st.builds(Cell, key=st.sampled_from(KEYS), group=st.integers(0, 2), value=st.integers(0, 9))
_lines = _cells.map(msgspec.json.encode) | st.sampled_from(BAD)
_runs = st.lists(
    st.tuples(st.sampled_from(["commands", "facts", "notes", "items"]), st.lists(_lines, min_size=1, max_size=30)),
    max_size=6,
)
_cuts = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def batches(lines: Sequence[bytes], cuts: Iterator[int]) -> Iterable[tuple[int, list[bytes]]]:
    """The lines cut into batches, each with the number of its first line."""
    start = 0
    while start < len(lines):
        size = next(cuts)
        yield start + 1, list(lines[start : start + size])
        start += size


def cycle(cuts: Sequence[int]) -> Iterator[int]:
    while True:
        yield from cuts


def taken(runs: Sequence[tuple[str, Sequence[bytes]]], cuts: Sequence[int]) -> tuple[Fold, list[Any]]:
    """The state after these lines, handed in so; and (line, cause) of those that were no good."""
    store = SqliteStore(None)
    engine = Engine(app_of(AGENTS).declared(), store, VirtualClock(BEGIN_US), Settings(acting=False))
    engine.shard.advance(BEGIN_US)
    rejected: list[Any] = []
    sizes = cycle(cuts)
    for stream, lines in runs:
        for first_line, batch in batches(lines, sizes):
            report = engine.intake.lines(stream, b"\n".join(batch) + b"\n", first_line=first_line)
            rejected += [(stream, *one) for one in report.rejected]
    engine.writing.flush()
    replayed = engine.declared.fold()
    for entry in store.entries():
        replayed.replay(entry)
    assert picture(replayed) == picture(engine.shard.fold)
    store.close()
    return engine.shard.fold, rejected


def seen(fold: Fold) -> dict[str, Any]:
    """The state, without the offsets at which views took their values, or made their rows."""
    state = picture(fold)
    for offsets in (state["versions"], state["latest"]):
        del offsets["parts"]
    return {
        **values(fold),
        "versions": state["versions"],
        "latest": state["latest"],
        "end": state["end"],
        "due": {name: set(book.due) for name, book in fold.books.items()},
        "events": {name: dict(book.events) for name, book in fold.books.items()},
    }


@settings(max_examples=150)
@given(_runs, _cuts)
def test_any_batching_gives_the_same_state(runs: list[tuple[str, list[bytes]]], cuts: list[int]) -> None:
    one_by_one, its_rejected = taken(runs, [1])
    batched, rejected = taken(runs, cuts)
    at_once, all_rejected = taken(runs, [1_000])
    assert seen(batched) == seen(one_by_one)
    assert seen(at_once) == seen(one_by_one)
    assert rejected == its_rejected == all_rejected


class Sum(Record):
    """What a fold has made of a key's events so far."""

    key: str
    total: int
    events: list[int]
    at: datetime = START


def add(row: Sum | None, event: Cell) -> Any:
    """Adds up, and at some values does what a fold should not: raises, or makes another key, type or time of it."""
    match event.value:
        case 9:
            raise ValueError("nine")
        case 8:
            return event
        case 7:
            return Sum("another", 0, [])
        case 6:
            return None
        case 5:
            return Sum(event.key, 0, [], START.replace(tzinfo=None))
        case value if row is None:
            return Sum(event.key, value, [value])
        case value:
            return Sum(event.key, row.total + value, [*row.events, value])


def folded(events: Sequence[Cell | str], cuts: Sequence[int]) -> dict[str, Any]:
    """All there is to see of a table with that fold after these events (a text is the tombstone of that key)."""
    app = App("sums")
    cells = app.stream("cells", Cell, key=Cell.key)
    sums = app.table("sums", Sum, key=Sum.key, source=cells, fold=add)
    sums.index(Sum.total)

    @app.view(over=sums)
    def double(row: Sum) -> int:
        return 2 * row.total

    declared = app.declared()
    context = LiveContext(declared.tables, declared.views)
    failures: list[tuple[int, str]] = []
    start, sizes = 0, cycle(cuts)
    while start < len(events):
        batch = events[start : start + next(sizes)]
        keys = [event if isinstance(event, str) else event.key for event in batch]
        records = [None if isinstance(event, str) else event for event in batch]
        offsets = range(start + 1, start + 1 + len(batch))
        failures += [(start + place, cause) for place, cause in context.fold("cells", keys, records, offsets)]
        context.settle()
        start += len(batch)
    table = context.tables["sums"]
    return {
        "rows": table.rows,
        "versions": table.versions,
        "whole": table.whole.version,
        "buckets": {total: set(bucket.keys) for total, bucket in context.indexes["sums.total"].buckets.items()},
        "view": context.views["double"].values,
        "failures": failures,
    }


_facts = st.builds(Cell, key=st.sampled_from(KEYS), value=st.sampled_from([0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]))
_good = st.builds(Cell, key=st.sampled_from(KEYS), value=st.integers(0, 4))
_events = st.lists(_good, max_size=60) | st.lists(_good | _good | _facts | st.sampled_from(KEYS), max_size=60)


@settings(max_examples=300)
@given(_events, _cuts)
def test_any_batching_gives_the_same_rows_of_a_fold(events: list[Cell | str], cuts: list[int]) -> None:
    one_by_one = folded(events, [1])
    assert folded(events, cuts) == one_by_one
    assert folded(events, [1_000]) == one_by_one
