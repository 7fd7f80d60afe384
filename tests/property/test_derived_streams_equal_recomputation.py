"""Derived streams under any batching: what follows is what a plain loop over the same events makes."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from extrovert import App, Record
from tests.hosts import Host


class Count(Record):
    key: str
    number: int


class Sum(Record):
    parity: int
    total: int = 0


def is_big(event: Count) -> bool:
    return event.number > 3


def halves(event: Count) -> Iterable[Count]:
    return [event.but(number=event.number // 2)] * (event.number % 3)


def by_parity(event: Count) -> Sum:
    return Sum(event.number % 2, event.number)


def add(row: Sum | None, event: Sum) -> Sum:
    return event.but(total=event.total + (row.total if row else 0))


app = App("counts")
counts = app.stream("counts", Count, key=Count.key)
big = app.stream("big", Count, key=Count.key, source=counts.filter(is_big))
sums = app.stream("sums", Sum, key=Sum.parity, source=big.map(by_parity).merge(counts.flat_map(halves).map(by_parity)))
totals = app.table("totals", Sum, key=Sum.parity, source=sums, fold=add)

events = st.builds(Count, st.sampled_from("abc"), st.integers(0, 9))


@given(st.lists(st.lists(events, min_size=1, max_size=6), max_size=6))
def test_any_batching_gives_what_a_plain_loop_gives(batches: list[list[Count]]) -> None:
    host = Host(app, None)
    for batch in batches:
        host.hand_in(counts, *batch)
    expected: dict[int, Sum] = {}
    for event in (event for batch in batches for event in batch):
        for made in [*([event] if is_big(event) else []), *halves(event)]:
            total = by_parity(made)
            expected[total.parity] = add(expected.get(total.parity), total)
    assert host.fold.context.tables["totals"].rows == expected
    host.store.close()
