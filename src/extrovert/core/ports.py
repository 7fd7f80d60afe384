"""What the engine needs from outside, as protocols; stores, connectors and models implement them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from extrovert.core.event import Arrival, Batch
from extrovert.core.log import Entry, Position

__all__ = ["Base", "Embedder", "LiveSource", "SavedPlace", "SavedRow", "SavedState", "Store", "TimedSource"]

SavedRow = tuple[Any, int, bool, bytes]
"""A row in a snapshot: its key and version, whether a turn wrote it last, and what it is, as JSON."""


class SavedPlace(NamedTuple):
    """What is new at one place of a snapshot, such as a table: the rows written, and the keys of those that are gone.

    With `whole`, the rows are all that there is at this place.
    """

    place: str
    whole: bool
    gone: Sequence[Any]
    rows: Iterable[SavedRow]


class Base(NamedTuple):
    """A snapshot that is kept for later: the fold of all entries below `offset`, as of the engine time `at_us`."""

    offset: int
    at_us: int


class SavedState(Protocol):
    """A snapshot to be read."""

    def load(self) -> tuple[int, bytes] | None:
        """Its offset and state."""
        ...

    def rows(self, place: str) -> Iterator[SavedRow]:
        """The rows of one place in it."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """The durable log, with snapshots beside it. Entries are in order of their offsets, without gaps."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Writes the entries as one unit and returns when they are durable: after a crash all are there, or none.

        Raises `AlreadyRunning` where they do not follow the last one, since another engine has written meanwhile.
        """
        ...

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """The entries with offsets from `since` on, in order."""
        ...

    def end(self) -> int:
        """The offset after the last entry; the first is 1."""
        ...

    def save_snapshot(self, offset: int, state: bytes, places: Sequence[SavedPlace]) -> None:
        """Keeps the fold of all entries below `offset` in place of the snapshot before.

        What was there of places that are not named goes. It may be called from another thread than the rest. Raises
        `AlreadyRunning` where there is a newer snapshot, since another engine has gone on meanwhile.
        """
        ...

    def load_snapshot(self) -> tuple[int, bytes] | None:
        """The snapshot's offset and state."""
        ...

    def drop_snapshot(self) -> None:
        """Takes the snapshot away, durably."""
        ...

    def snapshot_rows(self, place: str) -> Iterator[SavedRow]:
        """The rows of one place in the snapshot."""
        ...

    def keep_base(self, at_us: int) -> None:
        """Keeps a copy of the snapshot, of the engine time `at_us`, as a base. It may be called from another thread."""
        ...

    def bases(self) -> list[Base]:
        """The bases that are kept, oldest first."""
        ...

    def open_base(self, base: Base) -> SavedState:
        """A base to be read, and closed."""
        ...

    def drop_base(self, base: Base) -> None:
        """Takes a base away."""
        ...

    def dead(self) -> list[Entry]:
        """The dead letters, and the notes that some were taken up again, in order."""
        ...

    def ended(
        self, *, turn: str | None = None, agent: str | None = None, key: str | None = None, limit: int = 20
    ) -> list[Entry]:
        """The latest entries that ended a turn, newest first, optionally of one turn, agent or key."""
        ...

    def begins(self) -> int:
        """The offset from which on the log is there. What lay before it was deleted, but for dead letters that wait and
        what models are told."""
        ...

    def forget(self, before: int, limit: int) -> bool:
        """Deletes about `limit` entries below `before`, oldest first, and says whether there are more to delete.

        Dead letters that wait stay, and so does what models are told, and the last entry.
        """
        ...

    def set_meta(self, name: str, value: str) -> None:
        """Keeps a named fact about this store."""
        ...

    def meta(self, name: str) -> str | None:
        """A named fact, or None."""
        ...

    def close(self) -> None: ...


class TimedSource(Protocol):
    """A source that knows when each record is due, such as a replay; it is read in order of `Arrival.at_us`.

    One that says at intervals that it is there has their length in an attribute `heartbeat_us`.
    """

    name: str

    def read(self, position: Any) -> Iterator[Arrival]:
        """The arrivals after `position`: a count of them, or the `Arrival.position` of the last; 0 at first."""
        ...

    def heard_us(self, now_us: int) -> int:
        """When the source was last heard, heartbeats included, as of `now_us`."""
        ...


class LiveSource(Protocol):
    """A source that is asked for what there is now, such as a file that grows.

    `every_us` is how long to wait after it had nothing; None: it is then at its end. With a `speed`, its records come
    at the times in their field `at`, so many times as fast; without one, as fast as they can be read.
    """

    name: str
    stream: str
    every_us: int | None
    at: str
    speed: float | None

    def read(self, position: Position) -> Batch | None:
        """The next batch after `position` (None: from the beginning), or None where there is nothing now.

        It is called in a thread of its own, and may wait a little. The same position gives the same records again. What
        it raises is said in a dead letter, and it is asked again later.
        """
        ...


class Embedder(Protocol):
    """Gives texts vectors that are near where the meanings are.

    The vector of a text must always be the same, and come without waiting for anything outside: that of a query is
    made while it is answered. `embed` is also called in a thread. Vectors are logged under `name`, so a change of the
    model must be one of its name.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
        """One vector for each of the texts."""
        ...
