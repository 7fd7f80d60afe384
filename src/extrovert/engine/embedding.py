"""Embedding: gives the rows that searches wait for their vectors, beside the loop and in batches, and logs these.

A vector is an entry of the log, so a replay needs no embedder. In virtual time a batch is embedded at once, a fixed
while after the first of it began to wait, so that the same inputs give the same log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import NamedTuple, ParamSpec, TypeVar

from extrovert.context.search_state import SearchState, Waiting
from extrovert.core.errors import TransientError
from extrovert.core.log import Dead, Embedded
from extrovert.core.ports import Embedder
from extrovert.engine.shard import Shard

__all__ = ["Embedding"]

P = ParamSpec("P")
T = TypeVar("T")
_LOG = logging.getLogger("extrovert")

BATCH = 64
VIRTUAL_DELAY_US = 100_000
RETRY_US = 1_000_000
MAX_RETRY_US = 60_000_000
CLOSING_S = 5.0
"""How long an engine that ends waits for a batch that is under way."""


class Outcome(NamedTuple):
    """What came of a batch: its vectors ("" where there is none), the causes by place, or why to try all again."""

    batch: Sequence[Waiting]
    vectors: Sequence[str]
    failures: Sequence[tuple[int, str]] = ()
    later: TransientError | None = None


class Embedding:
    """The embedding of one shard's searches. `changed` is called, in the loop, when a batch is ready."""

    def __init__(self, shard: Shard, *, virtual: bool, changed: Callable[[], None]) -> None:
        self.shard = shard
        self.virtual = virtual
        self.changed = changed
        operators = shard.fold.context.operators.values()
        self._searches = [one for one in operators if isinstance(one, SearchState) and one.embedder is not None]
        self._tasks: dict[SearchState, asyncio.Task[None]] = {}
        self._outcomes: dict[SearchState, Outcome] = {}
        self._retry_us: dict[SearchState, int] = {}
        self._waits_us: dict[SearchState, int] = {}

    @property
    def busy(self) -> bool:
        """Whether a batch is under way beside the loop, or ready."""
        return bool(self._tasks or self._outcomes)

    @property
    def ready(self) -> bool:
        """Whether `step` has something to log."""
        return bool(self._outcomes)

    def next_us(self) -> int | None:
        """When `step` has something to begin; None where it has nothing, or is at it."""
        if not self._searches:
            return None
        due = [self._due_us(search) for search in self._searches if search.waiting and search not in self._tasks]
        return min(due, default=None)

    def step(self, now_us: int) -> None:
        """Logs what is ready, and begins what is due."""
        for search in self._searches:
            outcome = self._outcomes.pop(search, None)
            if outcome is not None:
                self._log(search, outcome)
            if not search.waiting or search in self._tasks or self._due_us(search) > now_us:
                continue
            assert search.embedder is not None
            if self.virtual:
                self._log(search, _embedded(search.embedder, search.batch(BATCH)))
            else:
                self._tasks[search] = asyncio.create_task(self._work(search, search.embedder), name="embedding")

    async def close(self) -> None:
        """Waits a while for the batches under way; they are not logged, and begun anew after a restart."""
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_S)
        for search in self._tasks:
            told = (
                "The embedder of search `%s` has not answered in %s s, and is left behind; its rows are embedded anew."
            )
            _LOG.warning(told, search.name, CLOSING_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due_us(self, search: SearchState) -> int:
        delay_us = VIRTUAL_DELAY_US if self.virtual else 0
        return max(search.since_us + delay_us, self._retry_us.get(search, 0))

    async def _work(self, search: SearchState, embedder: Embedder) -> None:
        batch = search.batch(BATCH)
        try:
            self._outcomes[search] = await _beside(_embedded, embedder, batch)
        finally:
            del self._tasks[search]
            self.changed()

    def _log(self, search: SearchState, outcome: Outcome) -> None:
        shard, embedder = self.shard, search.embedder
        assert embedder is not None
        if outcome.later is not None:
            self._put_off(search, outcome.later)
            return
        self._waits_us.pop(search, None)
        self._retry_us.pop(search, None)
        body = Embedded(
            search.name,
            embedder.name,
            [one.key for one in outcome.batch],
            [one.mark for one in outcome.batch],
            list(outcome.vectors),
        )
        shard.log(body, lambda offset: shard.fold.embedded(body, offset, shard.now_us))
        for place, cause in outcome.failures:
            cause = f"search `{search.name}`: embedder `{embedder.name}`: {cause}"
            shard.bury(Dead(search.table.name, cause, raw=outcome.batch[place].text, key=outcome.batch[place].key))

    def _put_off(self, search: SearchState, error: TransientError) -> None:
        wait_us = min(2 * self._waits_us.get(search, RETRY_US // 2), MAX_RETRY_US)
        self._waits_us[search] = wait_us
        if error.retry_after_s is not None:
            wait_us = round(error.retry_after_s * 1_000_000)
        self._retry_us[search] = self.shard.now_us + wait_us


async def _beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does `work` in a thread of its own, which keeps nobody from ending: an embedder may hang."""
    done = Future[T]()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="embedding", daemon=True).start()
    return await asyncio.wrap_future(done)


def _embedded(embedder: Embedder, batch: Sequence[Waiting]) -> Outcome:
    """Embeds a batch; where that fails, one by one, to find out whose fault it is."""
    from extrovert.context.vectors import all_encoded

    def embed(some: Sequence[Waiting]) -> list[str]:
        vectors = embedder.embed([one.text for one in some])
        if len(vectors) != len(some):
            raise ValueError(f"{len(vectors)} vectors were given for {len(some)} texts")
        return all_encoded(vectors, embedder.dimensions)

    try:
        return Outcome(batch, embed(batch))
    except TransientError as error:
        return Outcome(batch, (), later=error)
    except Exception as error:
        if len(batch) == 1:
            return Outcome(batch, [""], [(0, f"{type(error).__name__}: {error}")])
    vectors: list[str] = []
    failures: list[tuple[int, str]] = []
    for place, one in enumerate(batch):
        alone = _embedded(embedder, [one])
        if alone.later is not None:
            return Outcome(batch, (), later=alone.later)
        vectors += alone.vectors
        failures += [(place, cause) for _, cause in alone.failures]
    return Outcome(batch, vectors, failures)
