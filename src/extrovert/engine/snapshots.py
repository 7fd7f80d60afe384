"""Snapshots without stopping the loop: a cut is taken at once, and encoded and written beside it.

Rows are immutable, so a cut only gathers what was written since the last snapshot (the first gathers all). It is
encoded in a thread that lets the loop go on after every few hundred. A cut is written only when the log up to it is
durable, so that a snapshot is never ahead of its log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from extrovert.context.keeping import take
from extrovert.core.ports import Store
from extrovert.engine.declared import Declared
from extrovert.engine.saved import state_of
from extrovert.turns.fold import Fold

__all__ = ["Cut", "Snapshots"]


class Cut:
    """The state of a fold at one moment. `since` is the offset of the snapshot that it follows; 0: it is the first.

    With `base` it is kept as a base too.
    """

    def __init__(self, declared: Declared, fold: Fold, since: int, *, base: bool = False) -> None:
        self.offset = fold.end
        self.at_us = fold.at_us
        self.base = base
        self.since = since
        self.encode_state = state_of(declared, fold)
        self.places = take(fold.context, whole=not since)

    def save(self, store: Store) -> None:
        """Encodes and writes it."""
        store.save_snapshot(self.offset, self.encode_state(), self.places)
        if self.base:
            store.keep_base(self.at_us)


class Snapshots:
    """The snapshots of one engine. `at` is the offset of the latest one, `saving` whether one is being written."""

    def __init__(self, declared: Declared, fold: Fold, store: Store, at: int) -> None:
        self.declared = declared
        self.fold = fold
        self.store = store
        self.at = at
        self.failure: BaseException | None = None
        self._cut: Cut | None = None
        self._saved: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="extrovert-snapshot")

    @property
    def saving(self) -> bool:
        return self._cut is not None

    def keep(self, *, base: bool = False) -> None:
        """Saves the present state now; the log is to be durable up to here, and nothing to be under way."""
        cut = Cut(self.declared, self.fold, self.at, base=base)
        cut.save(self.store)
        self.at = cut.offset

    def begin(self, *, base: bool = False) -> None:
        """Takes a cut, to be written as soon as `go_on` finds that the log is durable up to it."""
        self._cut = Cut(self.declared, self.fold, self.at, base=base)

    def go_on(self, durable: int, done: Callable[[], None]) -> None:
        """Writes the cut that waits, beside the loop, if it may; `done` is called in the loop when it has been."""
        cut = self._cut
        if cut is None or self._saved is not None or durable < cut.offset - 1:
            return
        self._saved = asyncio.get_running_loop().run_in_executor(self._thread, cut.save, self.store)

        def finished(saved: asyncio.Future[None]) -> None:
            self._saved = self._cut = None
            self.failure = saved.exception()
            if self.failure is None:
                self.at = cut.offset
            done()

        self._saved.add_done_callback(finished)

    async def close(self) -> None:
        """Returns when nothing is being written any more. A cut that was not begun to be written is dropped."""
        if self._saved is not None:
            await asyncio.wait([self._saved])
        elif self._cut is not None:
            self._cut, self.at = None, 0  # what it knew of rows that changed is lost, so the next one is whole
        self._thread.shutdown()
