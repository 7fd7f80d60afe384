"""Forgetting: deleting a little at a time, beside the loop, what the log need not keep any more."""

from __future__ import annotations

from collections.abc import Callable

from extrovert.engine.retention import Retention
from extrovert.engine.writing import Writing

__all__ = ["Forgetting"]


class Forgetting:
    """Does the work that a retention has, one part after the other; in virtual time all at once."""

    def __init__(self, retention: Retention, writing: Writing, nudge: Callable[[], None], *, virtual: bool) -> None:
        self._retention = retention
        self._writing = writing
        self._nudge = nudge
        self._virtual = virtual
        self._under_way = False

    def step(self, now_us: int) -> None:
        """Deletes a little, if it is time."""
        if self._under_way or (work := self._retention.work(now_us)) is None:
            return
        if self._virtual:
            while work():
                pass
            return
        self._under_way = True
        self._writing.beside(work, self._done)

    def _done(self, more: bool) -> None:
        self._under_way = False
        if more:
            self._retention.again()
        self._nudge()
