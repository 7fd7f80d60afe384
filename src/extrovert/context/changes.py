"""Changes: a stream of a database's changes, as Debezium gives them, and the table that follows it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.timeline import Deleted
from extrovert.core.errors import InputError
from extrovert.core.record import Record

__all__ = ["Change", "Origin", "change_stream", "follow", "is_change_of"]

R = TypeVar("R", bound=Record)


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What a change's source says of it: `ts_ms` is when the database made it, in milliseconds since 1970."""

    ts_ms: int | None = None


class Change(Record, Generic[R]):
    """One row of a database before and after a change: without `before` it came, without `after` it went.

    The fields are those of Debezium's envelope (its `payload`); others are passed over. `ts_ms` is when the change was
    captured, in milliseconds since 1970; `source.ts_ms`, when it was made, goes before it.
    """

    before: R | None = None
    after: R | None = None
    op: str = ""
    ts_ms: int | None = None
    source: Origin | None = None

    @property
    def at_us(self) -> int | None:
        """When it was made, in microseconds since 1970, where that is known."""
        for ms in (self.source and self.source.ts_ms, self.ts_ms):
            if ms is not None:
                return ms * 1000
        return None


def change_stream(name: str, record: type[R], key: str) -> Stream[Change[R]]:
    """A stream of changes of `record` rows. The key of a change is that of its row."""
    stream: Stream[Change[R]] = Stream(name, Change[record], key)

    def key_of(change: Change[R]) -> Any:
        row = change.before if change.after is None else change.after
        if row is None:
            raise InputError(name, f"a change (op `{change.op}`) with neither a row before nor one after it")
        return getattr(row, key)

    stream.key_of = key_of
    return stream


def is_change_of(record: type[Record], stream: Stream[Any] | None) -> bool:
    """Whether a stream holds the changes of such rows."""
    return stream is not None and stream.event == Change[record]


def follow(_row: Any, change: Change[Any]) -> Any:
    """The fold of a table that follows changes: the row after the change, or its deletion, with its time."""
    return Deleted(change.at_us, change.before) if change.after is None else change.after
