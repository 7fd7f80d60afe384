"""Tracked reads: what a view or a turn may look at, and the record of what it looked at.

Everything readable is a `Readable` with selectors (a key, an index value, an interval). Looking gives a value and a
token; the token stays the same exactly as long as looking again would give the same answer. A read set is a dict from
(readable, selector) to token, so one rule validates all kinds of reads: the token is still the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from extrovert.core.errors import TurnError

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.shards import Border

__all__ = ["Look", "ReadSet", "Readable", "Scope", "Watcher", "changed", "current", "reading", "scope", "swap"]


class Watcher(Protocol):
    """Whoever wants to know that something it read has changed: a view's node, a running turn."""

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands among the watchers that one change touches; the same in each run."""
        ...


class Readable:
    """Something that can be read by selector: a table's rows, an index, a view, the clock.

    `kind` is the word for it in the ledger. `watchers` maps a selector to those who read it.
    """

    __slots__ = ("kind", "name", "watchers")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.watchers: dict[Any, dict[Watcher, None]] = {}

    def look(self, selector: Any) -> tuple[Any, Any]:
        """The present value at `selector` and its token."""
        raise NotImplementedError

    def token(self, selector: Any) -> Any:
        """The token alone; cheaper where the value costs something."""
        return self.look(selector)[1]

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        """Raises `ShardBreach` where what was found at `selector` lies beyond the border of the reader's shard."""

    def watch(self, selector: Any, watcher: Watcher) -> None:
        self.watchers.setdefault(selector, {})[watcher] = None

    def unwatch(self, selector: Any, watcher: Watcher) -> None:
        present = self.watchers.get(selector)
        if present is not None:
            present.pop(watcher, None)
            if not present:
                del self.watchers[selector]


ReadSet = dict[tuple[Readable, Any], Any]
Look = Callable[[Readable, Any], tuple[Any, Any]]


def changed(reads: ReadSet) -> Iterator[tuple[Readable, Any]]:
    """The reads that would be answered differently now."""
    return ((of, at) for (of, at), token in reads.items() if of.token(at) != token)


def current(reads: ReadSet) -> bool:
    """Whether every read would be answered the same now."""
    for (of, at), token in reads.items():  # noqa: SIM110 -- quicker than `all`, and every decision comes this way
        if of.token(at) != token:
            return False
    return True


class Scope:
    """Where reads happen: the context to look at, and the read set that records it (None: not recorded).

    `label` names the reader in errors. A turn's scope adds its own writes on top (see `turns.scope`). Where shards are
    strict, `border` is that of the reader's shard.
    """

    __slots__ = ("border", "context", "label", "reads")

    def __init__(self, context: LiveContext, label: str, reads: ReadSet | None = None) -> None:
        self.context = context
        self.label = label
        self.reads = reads
        self.border: Border | None = None

    def look(self, of: Readable, selector: Any) -> Any:
        """The value at `selector`, recorded."""
        value, token = of.look(selector)
        if self.reads is not None:
            self.reads[of, selector] = token
        if self.border is not None:
            of.visited(self.border, selector, value)
        return value

    def row(self, table: str, key: Any) -> Any:
        """The row of `table` at `key`, or None."""
        return self.look(self.context.tables[table], key)

    def as_of(self, table: str, key: Any, at_us: int) -> Any:
        """The row of `table` at `key` as of an event time, or None."""
        return self.look(self.context.tables[table].history, (key, at_us))  # pyright: ignore[reportArgumentType]

    def rows(self, table: str, of: Readable, selector: Any, _matches: Callable[[Any], bool]) -> Iterable[Any]:
        """Several rows of `table` found through `of`, ordered as it orders them."""
        return self.look(of, selector)

    def count(self, table: str, of: Readable, selector: Any, _matches: Callable[[Any], bool]) -> int:
        """How many rows of `table` there are at `selector`."""
        return self.look(of, selector)

    def written(self, _table: str) -> Mapping[Any, Any]:
        """The rows of `table` that the reader has written itself, by key (None: deleted)."""
        return {}


class _Current:
    """The scope in force. One thread runs views and turns, so this is a plain attribute."""

    scope: Scope | None = None


_current = _Current()


def scope() -> Scope:
    """The scope in force. Raises `TurnError` outside a view, a turn and a running engine."""
    found = _current.scope
    if found is None:
        raise TurnError(
            "Live context was read outside a view, a turn and a running engine. Read it inside one of these, "
            "or use `engine.reading()`."
        )
    return found


@contextmanager
def reading(inner: Scope | None) -> Generator[None]:
    """Puts `inner` in force for the block."""
    outer = _current.scope
    _current.scope = inner
    try:
        yield
    finally:
        _current.scope = outer


def swap(inner: Scope | None) -> Scope | None:
    """Puts `inner` in force and returns what was: `reading` for the hot path; the caller restores in a `finally`."""
    outer = _current.scope
    _current.scope = inner
    return outer
