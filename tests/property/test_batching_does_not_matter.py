"""Law: any batching of the same events gives the same state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
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
    """The state, without the offsets at which views took their values."""
    state = picture(fold)
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
