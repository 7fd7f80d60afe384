"""What comes in: one arrival is one record (or one deletion) on one stream, at one moment; a batch is several."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.log import Position
from extrovert.core.record import Record

__all__ = ["Arrival", "Batch", "Spoilt"]


class Spoilt(msgspec.Struct, frozen=True):
    """Something that a source could not make a record of: where it was, what it was, and why."""

    line: int | None
    raw: bytes
    cause: str


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One record handed to the engine by a source.

    `at_us` is when the source hands it over. `data` is None for a tombstone, which deletes `key` from the table that
    folds the stream; `key` is otherwise taken from the record. `line` is its place in a file, `spoilt` stands for what
    is no record, and `position` is that of the source after it, where that is not a count of arrivals.
    """

    at_us: int
    stream: str
    data: Record | None
    key: Any = None
    line: int | None = None
    spoilt: Spoilt | None = None
    position: Position = None


class Batch(msgspec.Struct, frozen=True):
    """What a live source hands over at once: `text` is JSON lines, of which the first is line `line` of `where`.

    `position` is that of the source after the batch. `spoilt` is what it could not make a line of; an empty line in the
    text then keeps the count.
    """

    position: Position
    text: bytes = b""
    line: int = 1
    where: str = ""
    spoilt: tuple[Spoilt, ...] = ()
