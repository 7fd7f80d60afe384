"""Timeline: a table in the order of an event time. A late row enters history only."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context.ahead import ahead_span, limit, too_far
from extrovert.context.history import HistoryState
from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record
from extrovert.core.time import span_us, to_us

if TYPE_CHECKING:
    from datetime import timedelta

    from extrovert.context.table import TableState

__all__ = ["Deleted", "Timeline", "Timing", "timing"]


class Deleted(msgspec.Struct, frozen=True):
    """A deletion that has a time of its own, `at_us`, and knows the row that was there before."""

    at_us: int | None = None
    before: Any = None


class Timing(msgspec.Struct, frozen=True):
    """What a table declares about time: the field that orders it, how long history and rows are kept, and how far
    ahead of the engine's time that of a row may be (None: any)."""

    order_by: str | None = None
    history_us: int | None = None
    ttl_us: int | None = None
    ahead_us: int | None = None


def timing(
    where: str,
    record: type[Record],
    order_by: str | None,
    history: timedelta | None,
    ttl: timedelta | None,
    ahead: timedelta | None,
    *,
    folds: bool,
) -> Timing:
    """What is declared about time, checked. Raises `DeclarationError`.

    `folds` says that a row hangs on the one before it: then a late event cannot be put in its place.
    """
    if order_by is not None and folds:
        raise DeclarationError(
            f"{where} has an order, and a fold or fields that turns own: a late event would be folded onto a row that "
            f"came after it. Order a table of the events themselves, and keep what is folded in another."
        )
    if order_by is not None:
        info = msgspec.inspect.type_info(record)
        assert isinstance(info, msgspec.inspect.StructType)
        kind = next(field.type for field in info.fields if field.name == order_by)
        if not isinstance(kind, msgspec.inspect.DateTimeType):
            raise DeclarationError(f"{where}: order_by= names `{order_by}`, which must be a `datetime`, without None.")
    elif history is not None:
        raise DeclarationError(f"{where} keeps history, but of which time? Name an event time: order_by=<a datetime>.")
    for name, span in (("history", history), ("ttl", ttl)):
        if span is not None and span_us(span) <= 0:
            raise DeclarationError(f"{where}: {name}= must be longer than nothing, not {span}.")
    history_us, ttl_us = (None if span is None else span_us(span) for span in (history, ttl))
    return Timing(order_by, history_us, ttl_us, ahead_span(where, ahead))


class Timeline:
    """Decides what a write of a table that is ordered by an event time does: it shows, or it is late.

    A row older than the present one, or than its deletion, is late; of equal times the later offset wins. A deletion
    without a time of its own is as of the engine time, but never before the row that it deletes. A row that has
    outlived its time to live when it comes enters history only, and whatever was there is gone too.
    """

    __slots__ = ("ahead_us", "history", "moment_of", "table", "ttl_us")

    def __init__(self, table: TableState, timing: Timing) -> None:
        assert timing.order_by is not None
        self.table = table
        self.moment_of: Callable[[Any], Any] = attrgetter(timing.order_by)
        self.ttl_us = timing.ttl_us
        self.ahead_us = timing.ahead_us
        self.history = None if timing.history_us is None else HistoryState(table, timing.history_us, timing.ttl_us)

    def time_of(self, row: Any) -> int:
        """The event time of a row."""
        return to_us(self.moment_of(row))

    def check(self, row: Any) -> None:
        """Raises `ValueError` where the time of a row from outside, or of a deletion, is not to be believed."""
        at_us = row and self.written_us(row, None)
        if at_us is not None and (wrong := too_far(at_us, limit(self.table.context.expiry.now_us, self.ahead_us))):
            raise ValueError(wrong)

    def take(self, key: Any, row: Any, offset: int) -> tuple[Any, bool]:
        """The row as it is to be shown (None: gone) and whether it is, for a write of `row` at `key`."""
        old = self.table.rows.get(key)
        at_us = self.written_us(row, old)
        if at_us is None:
            return None, False
        history = self.history
        shown = None if isinstance(row, Deleted) else row
        if history is None:
            latest = old is None or at_us >= self.time_of(old)
        else:
            if shown is not None or (row is not None and row.at_us is not None):
                history.passes(at_us)
            latest = history.put(key, (at_us, offset, shown))
            history.drop_due()
        if shown is not None and self.ttl_us is not None and at_us + self.ttl_us <= self.table.context.expiry.now_us:
            shown = None
        return shown, latest

    def written_us(self, row: Any, old: Any) -> int | None:
        """The time as of which a write counts; None for the deletion of nothing, without a time."""
        if row is not None and not isinstance(row, Deleted):
            return self.time_of(row)
        if row is not None and row.at_us is not None:
            return row.at_us if row.before is None else max(row.at_us, self.time_of(row.before))
        if old is None:
            return None
        return max(self.table.context.expiry.now_us, self.time_of(old))
