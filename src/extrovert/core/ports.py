"""What the engine needs from outside, as protocols; stores, connectors and models implement them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from extrovert.core.event import Arrival
from extrovert.core.log import Entry

__all__ = ["Embedder", "Store", "TimedSource"]


class Store(Protocol):
    """The durable log, with snapshots beside it. Entries are in order of their offsets, without gaps."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Writes the entries as one unit and returns when they are durable: after a crash all are there, or none."""
        ...

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """The entries with offsets from `since` on, in order."""
        ...

    def save_snapshot(self, offset: int, state: bytes) -> None:
        """Keeps `state`, the fold of all entries below `offset`; the newest snapshot wins."""
        ...

    def load_snapshot(self) -> tuple[int, bytes] | None:
        """The newest snapshot and its offset."""
        ...

    def set_meta(self, name: str, value: str) -> None:
        """Keeps a named fact about this store."""
        ...

    def meta(self, name: str) -> str | None:
        """A named fact, or None."""
        ...

    def close(self) -> None: ...


class TimedSource(Protocol):
    """A source that knows when each record is due, such as a replay; it is read in order of `Arrival.at_us`."""

    name: str

    def read(self, position: int) -> Iterator[Arrival]:
        """The arrivals after the first `position` ones."""
        ...

    def heard_us(self, now_us: int) -> int:
        """When the source was last heard, heartbeats included, as of `now_us`."""
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
