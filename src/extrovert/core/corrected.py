"""The log's entry about a decision that had read what was not true, as is known since."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.record import Record

__all__ = ["Invalidated", "RowCorrected"]


class RowCorrected(Record):
    """A row that is another now, in the past: that of `table` at `key` as of `as_of_us` (null: none), since `version`.

    `through` names the reads by which a decision had come to it.
    """

    table: str
    key: Any
    as_of_us: int
    old: msgspec.Raw
    new: msgspec.Raw
    version: int
    through: list[str]


class Invalidated(Record, omit_defaults=True, tag="invalidated", tag_field="kind"):
    """A late or corrected row has changed what the decision `turn` had read, as of its event time.

    `hops` and `via` are those of what wrote the row, as in `Wake`.
    """

    turn: str
    agent: str
    key: Any
    rows: list[RowCorrected]
    hops: int = 0
    via: list[str] = []
