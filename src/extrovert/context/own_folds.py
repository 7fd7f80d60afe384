"""A user's fold over a batch: each event is folded onto what the ones before it made, and rows are written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ne
from typing import TYPE_CHECKING, Any

from extrovert.core.zones import moments, without_zone

if TYPE_CHECKING:
    from extrovert.context.table import TableState

__all__ = ["fold_many"]

_NoneType = type(None)


def fold_many(
    table: TableState,
    keys: Sequence[Any],
    records: Sequence[Any],
    offsets: Sequence[int],
    fold_one: Callable[[int], None],
) -> None:
    """Folds a batch into a table with a fold: in the end the same as `fold_one(place)` for each place in it.

    Runs of events of which the fold makes good rows are written at once, as nobody can see what is in between. The
    others (deletions, and whatever is wrong) are left to `fold_one`.
    """
    start, end = 0, len(keys)
    while start < end:
        made = _made(table, keys[start:], records[start:])
        upto = start + len(made)
        if made:
            table.context.offset = offsets[upto - 1]
            table.put_many(keys[start:upto], made, offsets[start:upto])
        if upto < end:
            fold_one(upto)
        start = upto + 1


def _made(table: TableState, keys: Sequence[Any], records: Sequence[Any]) -> list[Any]:
    """The rows that the fold makes of these events, up to the first one of which it makes none, or a bad one."""
    fold, kind = table.declared.fold, table.declared.record
    assert fold is not None
    if _NoneType in set(map(type, records)):
        records = records[: list(records).index(None)]
    latest = dict(zip(keys, map(table.rows.get, keys), strict=True))
    rows: list[Any] = []
    try:
        # `map` is lazy: each row is in `latest` before the fold is given the next event
        for key, row in zip(keys, map(fold, map(latest.__getitem__, keys), records), strict=False):
            if type(row) is not kind:
                break
            latest[key] = row
            rows.append(row)
    except Exception:  # noqa: S110 -- the caller folds the event again by itself, and tells what it raises
        pass
    return rows[: _good(table, keys, rows)]


def _good(table: TableState, keys: Sequence[Any], rows: list[Any]) -> int:
    """How many of the rows, from the first on, have the key of their event, and times with a zone."""
    kind, own = table.declared.record, list(map(table.key_of, rows))
    good = len(rows)
    if own != list(keys[:good]):
        good = list(map(ne, own, keys)).index(True)
    if moments(kind):
        good = next((place for place in range(good) if without_zone(rows[place], kind)), good)
    return good
