"""Spans: how event time is cut into windows. Each is half open: it holds its start, and not its end."""

from __future__ import annotations

from datetime import timedelta

from extrovert.core.errors import DeclarationError
from extrovert.core.time import span_us

__all__ = ["Session", "Sliding", "Spans", "Tumbling"]

MOST = 1_000
"""How many windows one event may be in: each costs an update."""


class Sliding:
    """Windows of `size` that begin every `every`, counted from 1970-01-01T00:00Z plus `offset`; so they overlap."""

    def __init__(self, size: timedelta, every: timedelta, *, offset: timedelta = timedelta(0)) -> None:
        self.size_us = _positive("A window's size", size)
        self.every_us = _positive("The step of sliding windows", every)
        self.offset_us = span_us(offset)
        if self.every_us > self.size_us:
            raise DeclarationError(f"Windows of {size} every {every} leave gaps. Give a step that is no longer.")
        if self.size_us > MOST * self.every_us:
            raise DeclarationError(
                f"With windows of {size} every {every}, one event is in more than {MOST:,} of them, and updates each. "
                f"Give a longer step."
            )

    def first(self, at_us: int) -> int:
        """The start of the earliest window that holds the moment."""
        return self.latest(at_us - self.size_us) + self.every_us

    def latest(self, at_us: int) -> int:
        """The start of the latest window that holds the moment."""
        return at_us - (at_us - self.offset_us) % self.every_us

    def __repr__(self) -> str:
        return f"Sliding({self.size_us}, {self.every_us}, {self.offset_us})"


class Tumbling(Sliding):
    """Windows of `size`, one after the other, counted from 1970-01-01T00:00Z plus `offset`."""

    def __init__(self, size: timedelta, *, offset: timedelta = timedelta(0)) -> None:
        super().__init__(size, size, offset=offset)


class Session:
    """Windows that last as long as events of the key come less than `gap` apart.

    A session begins with its first event and ends `gap` after its last. An event between two joins them.
    """

    def __init__(self, gap: timedelta) -> None:
        self.size_us = _positive("The gap between sessions", gap)

    def __repr__(self) -> str:
        return f"Session({self.size_us})"


Spans = Tumbling | Sliding | Session


def _positive(what: str, span: timedelta) -> int:
    length_us = span_us(span)
    if length_us <= 0:
        raise DeclarationError(f"{what} must be longer than nothing, and is {span}.")
    return length_us
