"""What comes in: one arrival is one record (or one deletion) on one stream, at one moment."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.record import Record

__all__ = ["Arrival"]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One record handed to the engine by a source.

    `at_us` is when the source hands it over. `data` is None for a tombstone, which deletes `key` from the table that
    folds the stream; `key` is otherwise taken from the record.
    """

    at_us: int
    stream: str
    data: Record | None
    key: Any = None
