"""Freshness: when the source of each stream was last heard, and whether that is long ago.

A source is heard when an event of it comes, and when it says that there is nothing new. Whether it was heard within a
length of time is a tracked read: it expires when that time is over, as `before(t)` does, and is true again when the
source is heard again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from extrovert.context.reads import Readable, Watcher, scope
from extrovert.context.stream import Stream
from extrovert.core.errors import TurnError
from extrovert.core.time import span_us

if TYPE_CHECKING:
    from extrovert.context.expiry import ExpiryState
    from extrovert.context.index import Index
    from extrovert.context.keyed import Keyed
    from extrovert.context.live import LiveContext
    from extrovert.context.range_index import RangeIndex
    from extrovert.context.search import Search

__all__ = ["FreshState", "Freshness", "bound_us", "heard_within"]

Heard = tuple[int | None, str]
"""When a stream was last heard, and the declared source that last brought events of it."""


def heard_within(
    of: Keyed[Any, Any] | Search[Any, Any] | Index[Any, Any] | RangeIndex[Any, Any] | Stream[Any], within: timedelta
) -> bool:
    """Whether all sources of a table, window, view, search, index or stream were heard within that time.

    A tracked read, in views, turns and guards: it changes when they have been silent for longer, and when they are
    heard again. What turns write has no source, and is always fresh.
    """
    here, limit_us = scope(), bound_us(within)
    context = here.context
    return all(here.look(context.freshness.state(name), limit_us) for name in sorted(context.origins.of(of)))


def bound_us(within: timedelta) -> int:
    """A length of time, in microseconds. Raises `TurnError` where it is negative."""
    if within < timedelta(0):
        raise TurnError(f"Nothing was heard within {within}: give a length of time that is not negative.")
    return span_us(within)


class FreshState(Readable):
    """One stream: `heard_us` is when its source was last heard (None: never), `source` the declared source that
    brought its latest events.

    A selector is a length of time in microseconds, its token whether the source was heard within it. One that has no
    source that could be heard does not grow old.
    """

    __slots__ = ("_expiry", "_owner", "_silent", "heard_us", "must", "source")

    def __init__(self, stream: str, owner: Freshness, expiry: ExpiryState) -> None:
        super().__init__("fresh", stream)
        self.heard_us: int | None = None
        self.source = ""
        self.must = False
        self._owner = owner
        self._expiry = expiry
        self._silent: set[int] = set()

    @property
    def ages(self) -> bool:
        """Whether there is a source that should be heard."""
        return self.must or self.heard_us is not None

    def look(self, selector: Any) -> tuple[bool, bool]:
        fresh = not self.ages or (self.heard_us is not None and self._expiry.now_us - self.heard_us <= selector)
        return fresh, fresh

    def watch(self, selector: Any, watcher: Watcher) -> None:
        super().watch(selector, watcher)
        self._owner.watched[self] = None
        if not self.look(selector)[0]:
            self._silent.add(selector)

    @property
    def missed(self) -> bool:
        """Whether somebody waits for it to be heard."""
        self._silent &= self.watchers.keys()
        return bool(self._silent)

    def heard(self, at_us: int) -> Iterator[dict[Watcher, None]]:
        """Its source was heard at `at_us`; gives those who are told that it is fresh again."""
        self.heard_us = at_us if self.heard_us is None else max(self.heard_us, at_us)
        if self._silent:
            back = {within for within in self._silent if self.look(within)[0]}
            self._silent -= back
            for within in sorted(back):
                yield self.watchers.get(within, {})

    def next_us(self) -> int | None:
        """The moment at which it will have been silent for longer than somebody reckons with."""
        awaited = self.watchers.keys() - self._silent
        return self.heard_us + min(awaited) + 1 if awaited and self.heard_us is not None else None

    def expired(self) -> Iterator[dict[Watcher, None]]:
        """Gives those who are told that it has been silent for too long."""
        for within in sorted(self.watchers.keys() - self._silent):
            if not self.look(within)[0]:
                self._silent.add(within)
                yield self.watchers[within]


class Freshness:
    """The streams of one live context, by name. `watched` are those whose freshness somebody may have read."""

    def __init__(self, context: LiveContext) -> None:
        self._context = context
        self._states: dict[str, FreshState] = {}
        self._made: set[str] = set()
        self._by_turns: set[str] = set()
        self.watched: dict[FreshState, None] = {}

    def declare(self, streams: Iterable[Stream[Any]]) -> None:
        """Says which streams are made inside. Those that feed tables have sources; a table without `source=` is
        written by turns, and its stream has one only where one is declared or has said that it is there."""
        for stream in streams:
            if stream.made_by:
                self._made.add(stream.name)
            else:
                self.state(stream.name)
        for table in self._context.tables.values():
            stream = table.declared.stream
            if stream and table.declared.fed and stream not in self._made:
                self.state(stream).must = True
            elif stream and not table.declared.fed:
                self._by_turns.add(stream)

    def is_made(self, stream: str) -> bool:
        """Whether the events of a stream are made inside, of others or of time."""
        return stream in self._made

    def state(self, stream: str) -> FreshState:
        """The freshness of a stream."""
        found = self._states.get(stream)
        if found is None:
            found = self._states[stream] = FreshState(stream, self, self._context.expiry)
        return found

    def states(self) -> Mapping[str, FreshState]:
        """All of which anything is known."""
        return self._states

    def came(self, stream: str, source: str, at_us: int, *, declared: bool) -> None:
        """Events came on a stream; `declared` where a declared source brought them, and no program sent them."""
        state = self.state(stream)
        if declared:
            state.source = source
        if declared or state.ages or stream not in self._by_turns:
            self._tell(state.heard(at_us))

    def heard(self, stream: str, at_us: int) -> None:
        """The source of a stream said that there was nothing new up to `at_us`."""
        self._tell(self.state(stream).heard(at_us))

    def _tell(self, watchers: Iterable[dict[Watcher, None]]) -> None:
        for told in watchers:
            self._context.touch(told)

    def missed(self) -> list[str]:
        """The streams that somebody waits to hear of."""
        return [state.name for state in self.watched if state.missed]

    def next_us(self) -> int | None:
        """The earliest moment at which what somebody has read will be too old."""
        if not self.watched:
            return None
        for state in [state for state in self.watched if not state.watchers]:
            del self.watched[state]
        return min((due_us for state in self.watched if (due_us := state.next_us()) is not None), default=None)

    def due(self, at_us: int) -> list[str]:
        """The streams that will be too old at `at_us`, unless they are heard before."""
        return [state.name for state in self.watched if state.next_us() == at_us]

    def expired(self) -> Iterator[dict[Watcher, None]]:
        """Gives those who are told that what they have read is too old now."""
        for state in self.watched:
            yield from state.expired()

    def save(self) -> dict[str, Heard]:
        """What is a fold of the log."""
        return {name: (state.heard_us, state.source) for name, state in sorted(self._states.items()) if state.ages}

    def load(self, saved: Mapping[str, Heard]) -> None:
        """Takes up what was saved."""
        for name, (heard_us, source) in saved.items():
            state = self.state(name)
            state.heard_us, state.source = heard_us, source
