"""Writing: group commit of the log, and what is known to be durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from extrovert.core.ports import Store
from extrovert.engine.shard import Shard

__all__ = ["Writing"]

GATHER_S = 0.005
"""How far apart writes begin at least that nobody waits for, in seconds."""


class Writing:
    """Writes a shard's entries to its store: at once and in this thread, or in the background, all that has gathered.

    `durable` is the last durable offset. A prefix of the log that ends between two steps of the shard is written as
    one unit, so a crash never leaves half a step. After a write that failed nothing more is written: it would not
    follow what is there.
    """

    def __init__(self, shard: Shard, store: Store) -> None:
        self.shard = shard
        self.store = store
        self.durable = shard.fold.end - 1
        self.failure: BaseException | None = None
        self.before_write: Callable[[], None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="extrovert-log")
        self._write: asyncio.Future[None] | None = None
        self._beside: asyncio.Future[bool] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._began_s = 0.0
        self._gathering: asyncio.TimerHandle | None = None

    @property
    def behind(self) -> bool:
        """Whether something is not durable yet."""
        return self.durable < self.shard.fold.end - 1

    def flush(self) -> None:
        """Makes everything durable before it returns. Not to be mixed with a write in the background."""
        if self.failure is not None:
            raise self.failure
        entries = self.shard.unwritten
        if entries:
            if self.before_write is not None:
                self.before_write()
            self.shard.unwritten = []
            try:
                self.store.append(entries)
            except BaseException as failure:
                self.failure = failure
                raise
            self._landed(self.shard.fold.end - 1)

    def start(self, done: Callable[[], None], *, hurry: bool = False) -> None:
        """Begins to write what has gathered in the background, unless a write is under way; `done` when durable.

        Where there is no `hurry`, and nobody waits, it gathers a little first: a write costs the loop as much as taking
        in an event.
        """
        if self._write is not None or self.failure is not None or not self.shard.unwritten:
            return
        loop = asyncio.get_running_loop()
        if not (hurry or self._waiting):
            rest_s = self._began_s + GATHER_S - loop.time()
            if rest_s > 0:
                if self._gathering is None:
                    self._gathering = loop.call_later(rest_s, self._gathered, done)
                return
        self._began_s = loop.time()
        entries, self.shard.unwritten = self.shard.unwritten, []
        end = self.shard.fold.end - 1
        self._write = loop.run_in_executor(self._thread, self.store.append, entries)

        def finished(write: asyncio.Future[None]) -> None:
            self._write = None
            self.failure = write.exception()
            if self.failure is None:
                self._landed(end)
            else:
                self._lost(self.failure)
            done()

        self._write.add_done_callback(finished)

    def _gathered(self, done: Callable[[], None]) -> None:
        self._gathering = None
        self.start(done)

    def beside(self, work: Callable[[], bool], done: Callable[[bool], None]) -> None:
        """Does `work` on the log between two writes, in the thread that writes it; `done` with what it returned."""
        self._beside = asyncio.get_running_loop().run_in_executor(self._thread, work)

        def finished(found: asyncio.Future[bool]) -> None:
            self._beside = None
            if (failure := found.exception()) is not None:
                self.failure = failure
            done(failure is None and found.result())

        self._beside.add_done_callback(finished)

    async def wait_for(self, offset: int) -> None:
        """Returns when everything up to `offset` is durable. Raises what made that impossible."""
        if self.failure is not None:
            raise self.failure
        if self.durable < offset:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((offset, waiter))
            await waiter

    async def close(self) -> None:
        """Makes everything durable and ends the thread."""
        if self._gathering is not None:
            self._gathering.cancel()
        under_way = [one for one in (self._write, self._beside) if one is not None]
        if under_way:
            await asyncio.wait(under_way)
        if self.failure is None:
            self.flush()
        self._thread.shutdown()

    def _lost(self, failure: BaseException) -> None:
        """Nobody is told that something is durable which never will be."""
        for _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(failure)
        self._waiting = []

    def _landed(self, offset: int) -> None:
        self.durable = offset
        if self._waiting:
            still: list[tuple[int, asyncio.Future[None]]] = []
            for wanted, waiter in self._waiting:
                if wanted > offset:
                    still.append((wanted, waiter))
                elif not waiter.done():
                    waiter.set_result(None)
            self._waiting = still
