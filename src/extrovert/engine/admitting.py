"""Admitting: which wakes become turns now: by the agents' priority, then by each agent's order, then by age."""

from __future__ import annotations

from collections.abc import Iterator

from extrovert.core.time import earliest
from extrovert.engine.ending import end
from extrovert.engine.shard import Shard
from extrovert.turns.chain import cycle
from extrovert.turns.running import Running

__all__ = ["Admitting"]


class Admitting:
    """The due wakes of one shard."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._books = sorted(shard.fold.books.values(), key=lambda book: -book.agent.priority)

    def begun(self, most: int) -> Iterator[Running]:
        """Begins the turns that are due, at most so many, one after the other: each is run before the next begins."""
        fold, now_us = self.shard.fold, self.shard.now_us
        for book in self._books:
            if book.empty:
                continue
            book.release(now_us)
            while most > 0 and book.due and book.room > 0:
                key = book.next_key()
                if key is None:
                    break
                most -= 1
                turn = fold.begin(book, key, now_us)
                if cause := cycle(turn.wake, turn.agent.name, self.shard.options.max_hops):
                    turn.value, turn.version = fold.present(turn.agent, key)
                    end(self.shard, turn, "cycle", cause)
                else:
                    yield turn

    def next_us(self) -> int | None:
        """When the next key that is left alone may be served; None where there is none."""
        return earliest([book.next_us() for book in self._books])
