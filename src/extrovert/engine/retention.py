"""Retention: the log is kept for a span of the engine's time, and what lies before it is deleted, a little at a time.

Every quarter of the span a snapshot is kept as a base. The newest base that is older than the span, and the log since
then, give the state as of any moment within the span; what is before that base goes, but for what something unfinished
still needs: a turn, an effect, or a failed wake that waits among the dead letters with the events that it saw. Turns
that were under way at the base stay whole, since what they asked later may be told by what they asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from extrovert.core.log import Dead, Decided, Ended, Retried
from extrovert.core.ports import Base, Store
from extrovert.turns.fold import Fold

__all__ = ["Retention"]

Beside = Callable[[Callable[[], bool], Callable[[bool], None]], None]
STEP = 1_000
"""So many entries are deleted at once; an append waits no longer than that takes, some milliseconds."""

_letter: msgspec.json.Decoder[Dead | Retried] = msgspec.json.Decoder(Dead | Retried)
_ended: msgspec.json.Decoder[Decided | Ended] = msgspec.json.Decoder(Decided | Ended)


class _UnderWay(msgspec.Struct):
    trail: list[int]


class _State(msgspec.Struct):
    """What of a snapshot's state says which turns were under way."""

    running: list[_UnderWay]


class Retention:
    """What of one engine's log is kept. `span_us` None: all of it."""

    def __init__(self, span_us: int | None, fold: Fold, store: Store) -> None:
        self.span_us = span_us
        self.fold = fold
        self.store = store
        self._latest: Base | None = None if span_us is None else next(reversed(store.bases()), None)
        self._look_us = 0
        self._deleting = False
        self._began: tuple[Base, int] | None = None

    def wants_base(self, now_us: int) -> bool:
        """Whether a snapshot taken now is to be kept as a base."""
        latest, end = self._latest, self.fold.end
        if self.span_us is None or end == 1:
            return False
        return latest is None or (now_us - latest.at_us >= self.span_us // 4 and end > latest.offset)

    def take_base(self, now_us: int) -> bool:
        """The same, for a snapshot that is being taken."""
        wanted = self.wants_base(now_us)
        if wanted:
            self._latest = Base(self.fold.end, self.fold.at_us)
        return wanted

    def work(self, now_us: int) -> Callable[[], bool] | None:
        """What deletes a little of what is over, and says whether there is more; to be run in the log's thread.

        None where it is not time yet.
        """
        if self.span_us is None or now_us < self._look_us:
            return None
        self._look_us = now_us + self.span_us // 16
        until_us = now_us - self.span_us
        needed = min(self._unfinished(), default=self.fold.end)
        return lambda: self._delete(until_us, needed)

    def step(self, now_us: int, beside: Beside | None, nudge: Callable[[], None]) -> None:
        """Deletes a little of what is over, `beside` the loop, if it is time; without `beside` all of it, at once."""
        if self._deleting or (work := self.work(now_us)) is None:
            return
        if beside is None:
            while work():
                pass
            return
        self._deleting = True

        def done(more: bool) -> None:
            self._deleting = False
            if more:
                self.again()
            nudge()

        beside(work, done)

    def again(self) -> None:
        """There is more to delete."""
        self._look_us = 0

    def _delete(self, until_us: int, needed: int) -> bool:
        old = [base for base in self.store.bases() if base.at_us <= until_us]
        for base in old[:-1]:
            self.store.drop_base(base)
        if not old:
            return False
        before = min(self._began_before(old[-1]), needed, *self._seen_by_failed_wakes())
        return self.store.forget(before, STEP)

    def _began_before(self, base: Base) -> int:
        """Where the first of the turns began that were under way at a base, or the base's own offset."""
        if self._began is None or self._began[0] != base:
            saved = self.store.open_base(base)
            try:
                found = saved.load()
            finally:
                saved.close()
            running = [] if found is None else msgspec.json.decode(found[1], type=_State).running
            self._began = base, min([base.offset, *(at for turn in running for at in turn.trail[:1])])
        return self._began[1]

    def _unfinished(self) -> Iterator[int]:
        """The offsets of what turns and effects that are not at their end go back to."""
        for turn in self.fold.running.values():
            yield from (turn.wake.offset, *turn.trail[:1], *(offset for offset, _ in turn.events))
        for book in self.fold.books.values():
            yield from (waiting[0][0] for waiting in book.events.values() if waiting)
        for pending in self.fold.outbox.pending.values():
            yield pending.offset

    def _seen_by_failed_wakes(self) -> list[int]:
        """The offsets of what failed wakes saw that wait among the dead letters, to be taken up again."""
        waiting = dict[int, Dead]()
        for entry in self.store.dead():
            body = _letter.decode(entry.body)
            if isinstance(body, Retried):
                waiting.pop(body.letter, None)
            elif body.agent and not body.events:
                waiting[entry.offset] = body
        found: list[int] = []
        for dead in waiting.values():
            for entry in self.store.ended(turn=dead.turn, limit=1):
                found += [entry.offset, *_ended.decode(entry.body).wake.events]
        return found
