"""Copies of the live context as it was at some moments, kept by remembering what has changed since.

A copy costs nothing when it is made, and afterwards one entry per thing that changes. This is how agents can be given
a world that is refreshed now and then, to compare with the live one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extrovert.context.index import Interval, RangeIndexState, keys_in
from extrovert.context.reads import Readable

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Copies", "Copy"]


class Copy:
    """The context as it was at `at_us`; `kept` holds what has changed since, as it was before it changed."""

    __slots__ = ("at_us", "context", "entries", "kept")

    def __init__(self, context: LiveContext, at_us: int) -> None:
        self.context = context
        self.at_us = at_us
        self.kept: dict[tuple[Readable, Any], tuple[Any, Any]] = {}
        self.entries: dict[RangeIndexState, list[tuple[Any, ...]]] = {}

    def look(self, of: Readable, selector: Any) -> tuple[Any, Any]:
        """The value and token that `of` had at `selector`."""
        found = self.kept.get((of, selector))
        if found is not None:
            return found
        if isinstance(of, RangeIndexState):
            return self._look_in_range(of, selector)
        if of is self.context.expiry:
            ahead = self.at_us < selector
            return ahead, ahead
        return of.look(selector)

    def _look_in_range(self, of: RangeIndexState, interval: Interval) -> tuple[Any, Any]:
        entries = self.entries.get(of)
        keys = keys_in(of.in_order() if entries is None else entries, interval)
        seen = [self.look(of.table, key) for key in keys]
        return tuple([row for row, _ in seen]), tuple(
            [(key, version) for key, (_, version) in zip(keys, seen, strict=True)]
        )


class Copies:
    """The one copy in use, refreshed every `refresh_us` of engine time."""

    def __init__(self, context: LiveContext, refresh_us: int) -> None:
        self.context = context
        self.refresh_us = refresh_us
        self.latest = Copy(context, context.expiry.now_us)

    def at(self, now_us: int) -> Copy:
        """The copy to read at `now_us`: made at the latest multiple of the refresh interval."""
        due = now_us - now_us % self.refresh_us
        if due > self.latest.at_us:
            self.latest = Copy(self.context, due)
        return self.latest

    def keep(self, of: Readable, selector: Any) -> None:
        """`of` is about to change at `selector`: remembers how it is."""
        kept = self.latest.kept
        if (of, selector) not in kept:
            kept[of, selector] = of.look(selector)

    def keep_entries(self, of: RangeIndexState) -> None:
        """The entries of `of` are about to change: remembers them."""
        if of not in self.latest.entries:
            self.latest.entries[of] = list(of.in_order())
