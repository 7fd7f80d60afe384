"""Beats: the moments at which a source was heard, as far back as a busy engine may have to ask."""

from __future__ import annotations

from collections import deque

__all__ = ["Beats"]

KEPT = 100


class Beats:
    """The latest moments of one source, in order. An engine that comes late to a moment asks what was heard before."""

    def __init__(self) -> None:
        self._moments: deque[int] = deque(maxlen=KEPT)

    def add(self, at_us: int) -> None:
        """It was heard at `at_us`."""
        self._moments.append(at_us)

    @property
    def latest_us(self) -> int | None:
        """When it was heard last."""
        return self._moments[-1] if self._moments else None

    def before_us(self, at_us: int) -> int | None:
        """When it had been heard last at `at_us`; None where nothing is known of it."""
        return next((moment for moment in reversed(self._moments) if moment <= at_us), None)
