"""Operators: what follows streams and the passing of time, and makes rows and events of its own.

Derived streams, windows, patterns and schedules are operators. Like tables they are folds of what is applied, in the
same step: what they make hangs on nothing but the log, so it is not logged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["DeclaredOperator", "Failure", "Figures", "Operator"]

Failure = tuple[int, str]
"""The place in a batch of a record that could not be taken, and why."""


class Figures(NamedTuple):
    """How an operator is doing: its `kind`, and how much it has `held` of what `holds` names.

    `latest_us` is the latest event time that it has seen, `reached_us` its watermark, `next_us` the moment that it
    waits for. `late` counts what came too late, `quarantined` the rows that could not be made.
    """

    kind: str
    holds: str = ""
    held: int = 0
    late: int = 0
    quarantined: int = 0
    latest_us: int | None = None
    reached_us: int | None = None
    next_us: int | None = None


class DeclaredOperator(Protocol):
    """An operator as declared: which streams it follows, the stream that it makes ("": none), and a definition that
    differs where results may."""

    @property
    def name(self) -> str: ...

    @property
    def on(self) -> Sequence[str]: ...

    @property
    def makes(self) -> str: ...

    @property
    def definition(self) -> str: ...

    def begin(self, context: LiveContext) -> Operator:
        """Its state in one live context, empty."""
        ...


class Operator(Protocol):
    """An operator's state in one live context.

    It writes rows with `context.tables[its own].put(key, row, offset)`, makes events with `context.produce`, and asks
    to be told of a moment with `context.wake_at`. Its time is `context.expiry.now_us`. It must not raise: what a
    user's function raises is a failure of that record.
    """

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        """Follows a batch of a stream's records (None: tombstone), each with the offset that it came at."""
        ...

    def passed(self, offset: int) -> None:
        """A moment has come that was asked for; `offset` is that of the entry that says so."""
        ...

    def save(self) -> bytes:
        """The state as JSON, for a snapshot. What lies in tables is not part of it."""
        ...

    def load(self, state: bytes) -> None:
        """Takes up a saved state, and asks again for the moments that it waits for."""
        ...

    def figures(self) -> Figures:
        """How it is doing, for whoever runs it."""
        ...
