"""What a decision had read, corrected since: for its story."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from extrovert.core.log import Invalidated
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.stores.sqlite import SqliteStore

__all__ = ["Corrected", "corrected"]

_invalidated: msgspec.json.Decoder[Invalidated] = msgspec.json.Decoder(Invalidated)


class Corrected(Record):
    """A row that the decision had read, as was known from `at` on to have been so as of `as_of`: `new`, not `old`.

    `through` names the reads that had led to the row; it was corrected `by` what is at the offset `version`.
    """

    at: datetime
    table: str
    key: Any
    as_of: datetime
    old: msgspec.Raw
    new: msgspec.Raw
    through: list[str]
    version: int
    by: str


def corrected(store: SqliteStore, turn: str, since: int, by: Callable[[int], str]) -> list[Corrected]:
    """What a decision had read that has been corrected since its offset; `by` tells in words what is at an offset."""
    found: list[Corrected] = []
    for entry in store.invalidated(turn, since):
        for row in _invalidated.decode(entry.body).rows:
            at, as_of = from_us(entry.at_us), from_us(row.as_of_us)
            found.append(
                Corrected(at, row.table, row.key, as_of, row.old, row.new, row.through, row.version, by(row.version))
            )
    return found
