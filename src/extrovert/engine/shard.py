"""One shard: takes in events and answers, runs the turns that are due, and gives out log entries, calls and effects.

It is the engine's single writer. It does no I/O and reads no clock: time, answers and outcomes are handed in, and what
it wants done is collected for its host in `unwritten`, `calls` and `cancelled`. Validate, append and apply are one
step, since nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import msgspec

from extrovert.context.copies import Copies
from extrovert.core.log import Body, Dead, EffectMoved, EffectStep, Entry, Events, Heard, Invalidated, Passed, Retried
from extrovert.engine.following import Following
from extrovert.turns.fold import Fold
from extrovert.turns.request import Place, Request

__all__ = ["Call", "Options", "Shard"]

_encode = msgspec.json.Encoder().encode
_KINDS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Body)}


class Call(msgspec.Struct, frozen=True, eq=False):
    """An ask to be answered: `at_us` is when it was asked, also where that was before a restart.

    Where it has limits, `begun_us` is when it was let through, and `to` who answers, if not the model that was asked;
    or `error` says why it can never be.
    """

    turn: str
    agent: str
    key: Any
    place: Place
    request: Request
    at_us: int
    to: str = ""
    begun_us: int | None = None
    error: Exception | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How turns are run.

    `validate=False` resumes an attempt where it waited, whatever has changed, and commits it unchecked; with
    `refresh_us` turns read a copy of the context that is made anew that often. These two show what the engine is for.
    `recheck_us` is how often at most a waiting turn looks again when what it read changes. A wake to which `max_hops`
    decisions have led, one after the other, becomes a dead letter. `hears` says when the source of a stream was last
    heard, as far as that was known at some moment.
    """

    seed: int = 0
    validate: bool = True
    refresh_us: int | None = None
    recheck_us: int = 5_000
    max_hops: int = 100
    heard_us: Callable[[int], int] = lambda now_us: now_us
    hears: Callable[[str, int], int | None] = lambda stream, at_us: None
    wall_us: Callable[[], int] = lambda: 0


class Shard:
    """The state (`fold`) of one shard and what goes in and out of it. Turns are run by `engine.turning.Turning`."""

    def __init__(self, fold: Fold, options: Options) -> None:
        self.fold = fold
        self.options = options
        self.now_us = fold.at_us
        self.unwritten: list[Entry] = []
        self.calls: list[Call] = []
        self.cancelled: list[tuple[str, Place]] = []
        self.following = Following(fold)
        if options.refresh_us is not None:
            fold.context.copies = Copies(fold.context, options.refresh_us)

    def log(
        self,
        body: Body,
        apply: Callable[[int], Any],
        *,
        count: int = 1,
        about: tuple[str, str, str] | None = None,
        encoded: bytes | None = None,
        since_us: int | None = None,
    ) -> Any:
        """Appends `body` and applies it, in one step. `since_us` is the wall time at which the work on it began.

        Returns what `apply(offset)` returns.
        """
        wall = self.options.wall_us
        started = wall() if since_us is None else since_us
        offset = self.fold.end
        raw = _encode(body) if encoded is None else encoded
        self.fold.end = offset + count
        result = apply(offset)
        invalid = () if self.fold.corrections is None else self.fold.corrections.take()
        self.fold.moved(offset + count, self.now_us)
        self.unwritten.append(Entry(offset, self.now_us, _KINDS[type(body)], count, raw, wall() - started, about))
        self.following.logged(body)
        if self.fold.spoiled:
            self._bury_spoiled()
        for one in invalid:
            self._invalidate(one)
        return result

    def _invalidate(self, body: Invalidated) -> None:
        """Notes that a decision had read what is not true any more."""
        self.log(body, lambda offset: self.fold.invalidated(body, offset, self.now_us))

    def _bury_spoiled(self) -> None:
        """Keeps what operators made of events and nobody could take."""
        spoiled, self.fold.spoiled = self.fold.spoiled, []
        for made, cause in spoiled:
            raw = _encode(made.record).decode()
            self.bury(Dead(stream=made.stream, cause=cause, raw=raw, event=made.offset))

    def advance(self, now_us: int) -> None:
        """The time is now `now_us`; the moments on the way that a view or a turn waits for pass one by one."""
        context = self.fold.context
        while (due_us := context.next_us()) is not None and due_us <= now_us:
            if self.hear(context.freshness.due(due_us), due_us - 1):
                continue  # what would have been too old is not
            self.now_us = max(self.now_us, due_us)
            self.log(Passed(), lambda offset: self.fold.passed(offset, self.now_us))
        self.now_us = max(self.now_us, now_us)
        context.clock_is(self.now_us)

    def hear(self, streams: Iterable[str], at_us: int) -> bool:
        """Notes that the sources of these streams were heard, as far as that was known at `at_us`, where it is news."""
        hears, state = self.options.hears, self.fold.context.freshness.state
        found = {stream: heard_us for stream in streams if (heard_us := hears(stream, at_us)) is not None}
        news = {stream: us for stream, us in found.items() if us > (state(stream).heard_us or 0)}
        if news:
            self.now_us = max(self.now_us, at_us)
            self.fold.context.clock_is(self.now_us)
            body = Heard(news)
            self.log(body, lambda offset: self.fold.heard(body, offset, self.now_us))
        return bool(news)

    def ages(self, streams: Iterable[str], now_us: int) -> dict[str, int | None]:
        """How long ago the sources of these streams were last heard; None: never. Those without a source are left
        out."""
        found: dict[str, int | None] = {}
        for stream in sorted(streams):
            state, heard_us = self.fold.context.freshness.state(stream), self.options.hears(stream, now_us)
            if heard_us is None and not state.ages:
                continue
            if heard_us is None or (state.heard_us is not None and state.heard_us > heard_us):
                heard_us = state.heard_us
            found[stream] = None if heard_us is None else max(0, now_us - heard_us)
        return found

    def resume(self, now_us: int) -> None:
        """The engine begins, or is back: the moments that came meanwhile have passed, all in one entry."""
        due_us = self.fold.context.next_us()
        self.now_us = max(self.now_us, now_us)
        if due_us is not None and due_us <= now_us:
            self.log(Passed(), lambda offset: self.fold.passed(offset, self.now_us))
        self.fold.context.clock_is(self.now_us)

    # ---- what comes in

    def accept(
        self, body: Events, records: Sequence[Any], *, encoded: bytes | None = None, since_us: int | None = None
    ) -> int:
        """Appends and folds a batch of good records of one stream. Returns the first one's offset.

        Records that a table cannot fold stay in the log, with a dead letter that says why.
        """
        first = self.fold.end
        failures = self.log(
            body,
            lambda offset: self.fold.events(body, list(records), offset, self.now_us),
            count=max(1, len(records)),
            encoded=encoded,
            since_us=since_us,
        )
        for place, cause in failures:
            raw = _encode(records[place]).decode()
            self.bury(Dead(stream=body.stream, cause=cause, raw=raw, source=body.source, event=first + place))
        return first

    def bury(self, letter: Dead) -> int:
        """Keeps a dead letter; returns its offset."""
        offset = self.fold.end
        self.log(letter, lambda _offset: None)
        return offset

    def take_up(self, letter: int, dead: Dead, events: Sequence[tuple[int, msgspec.Raw]] = ()) -> None:
        """Notes that the dead letter at `letter` was tried again; a failed wake is due once more, with its `events`."""
        body = Retried(letter, dead.agent, dead.key, list(events))
        self.log(body, lambda offset: self.fold.retried(body, offset, self.now_us))

    def move_effects(self, moves: list[EffectMoved]) -> None:
        """Notes steps of effects."""
        self.step_effects(EffectStep(moves))

    def step_effects(self, body: EffectStep) -> None:
        """Notes steps of effects, and undos that begin."""
        self.log(body, lambda offset: self.fold.stepped(body, offset, self.now_us))
