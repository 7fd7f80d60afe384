"""Ahead: how far an event's time may be ahead of the engine's. Were a wrong clock believed, all else would be late."""

from __future__ import annotations

from datetime import timedelta

from extrovert.core.errors import DeclarationError
from extrovert.core.time import span_us

__all__ = ["LAST_US", "ahead_span", "limit", "too_far"]

LAST_US = 253_370_764_799_999_999
"""The end of the year 9998: no later moment is taken, so that the ends of spans still have a name."""


def ahead_span(where: str, ahead: timedelta | None) -> int | None:
    """What is declared as `ahead=`, in microseconds; None for any. Raises `DeclarationError`."""
    if ahead is not None and ahead < timedelta(0):
        raise DeclarationError(f"{where}: ahead= is less than nothing.")
    return None if ahead is None else span_us(ahead)


def limit(now_us: int, ahead_us: int | None) -> int:
    """The latest event time that is taken when the engine's time is `now_us`."""
    return LAST_US if ahead_us is None else min(LAST_US, now_us + ahead_us)


def too_far(at_us: int, limit_us: int) -> str:
    """Why an event time after the limit is not taken; "" for any other."""
    if at_us <= limit_us:
        return ""
    if limit_us == LAST_US:
        return "its time is after the year 9998, and no such time is taken"
    return (
        f"its time is {timedelta(microseconds=at_us - limit_us)} further ahead of the engine's than ahead= lets in; "
        f"were it taken, all before it would be late"
    )
