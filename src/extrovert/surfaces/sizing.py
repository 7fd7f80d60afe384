"""Sizing: how much memory tables, indexes and views take, estimated from a sample, so that asking costs little."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from itertools import islice
from sys import getsizeof
from typing import Any, cast

import msgspec

from extrovert.context.index import IndexState
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable
from extrovert.context.table import TableState
from extrovert.context.view import ViewState

__all__ = ["index_bytes", "size_of", "table_bytes", "view_bytes"]

SAMPLE = 50
"""How many rows are looked at: half of them the oldest, half the newest."""

NUMBER = 32
"""Bytes of a whole number beyond the small ones, such as an offset."""


def table_bytes(state: TableState) -> int:
    """The rows of a table with their versions, and who watches them; without its indexes."""
    rows = _mapping_bytes(state.rows) + getsizeof(state.versions) + NUMBER * len(state.versions)
    return rows + getsizeof(state.by_turns) + _watchers_bytes(state)


def index_bytes(state: IndexState | RangeIndexState) -> int:
    """An index without the rows that it leads to."""
    if isinstance(state, IndexState):
        buckets = state.buckets
        each = _mean(
            (
                getsizeof(value) + getsizeof(bucket) + getsizeof(bucket.keys) + getsizeof(bucket.order or 0)
                for value, bucket in _some(buckets, buckets.items())
            ),
        )
        return getsizeof(buckets) + round(each * len(buckets)) + _watchers_bytes(state)
    entry = next(iter(state.entries), ())
    return len(state.table.rows) * (getsizeof(entry) + 9) + _watchers_bytes(state)  # 9: its place in a block


def view_bytes(state: ViewState) -> int:
    """The values of a view, what it read for each key, and who watches it. A value that is the row itself counts 0."""
    rows = state.table.rows
    seen: set[int] = set()
    each = _mean(
        0 if value is rows.get(key) else size_of(value, seen)
        for key, value in _some(state.values, state.values.items())
    )
    reads = _mean(
        getsizeof(node) + getsizeof(node.reads) + 2 * NUMBER * len(node.reads)
        for _, node in _some(state.nodes, state.nodes.items())
    )
    known = getsizeof(state.values) + getsizeof(state.versions) + getsizeof(state.nodes)
    return known + round(each * len(state.values)) + round(reads * len(state.nodes)) + _watchers_bytes(state)


def size_of(value: Any, seen: set[int] | None = None) -> int:
    """The bytes of a value and of all that it holds; what is in `seen`, or shared by all programs, counts nothing."""
    known: set[int] = set() if seen is None else seen
    if value is None or isinstance(value, bool | type | Enum) or id(value) in known:
        return 0
    known.add(id(value))
    return getsizeof(value) + sum(size_of(part, known) for part in _parts(value))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value)
        return [*pairs, *pairs.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return cast("Collection[Any]", value)
    return ()


def _mapping_bytes(found: Mapping[Any, Any]) -> int:
    seen: set[int] = set()
    return getsizeof(found) + round(_mean(size_of(row, seen) for _, row in _some(found, found.items())) * len(found))


def _watchers_bytes(state: Readable) -> int:
    watchers = state.watchers
    each = _mean(getsizeof(selector) + getsizeof(who) for selector, who in _some(watchers, watchers.items()))
    return getsizeof(watchers) + round(each * len(watchers))


def _some(found: Collection[Any], pairs: Any) -> Iterable[tuple[Any, Any]]:
    """The oldest and the newest of a dict's items."""
    if len(found) <= SAMPLE:
        return pairs
    return [*islice(pairs, SAMPLE // 2), *islice(reversed(pairs), SAMPLE // 2)]


def _mean(sizes: Iterable[int]) -> float:
    known = list(sizes)
    return sum(known) / len(known) if known else 0.0
