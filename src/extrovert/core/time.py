"""Engine time: whole microseconds since 1970-01-01 UTC, so that arithmetic is exact and cheap."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

__all__ = ["earliest", "from_us", "span_us", "to_us"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch. Raises `ValueError` for a moment without a time zone: it would mean two things."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give one, for example tzinfo=UTC")
    return (moment - _EPOCH) // _US


def from_us(at_us: int) -> datetime:
    """The moment `at_us` microseconds after the epoch, in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def span_us(span: timedelta | float) -> int:
    """A duration in microseconds; a bare number is seconds."""
    return span // _US if isinstance(span, timedelta) else round(span * 1_000_000)


def earliest(moments: Iterable[int | None]) -> int | None:
    """The first of the moments that there are; None where there is none."""
    found = [moment for moment in moments if moment is not None]
    return min(found) if found else None
