"""Derived streams: events that follow from those of other streams, each at the offset of what it follows from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from extrovert.context.flow import Flow
from extrovert.context.operator import Failure, Figures
from extrovert.context.stream import Stream

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Derived"]


class Derived:
    """A derived stream as declared: `stream` is made by `flow`. It keeps nothing, so it is its own state."""

    def __init__(self, stream: Stream[Any], flow: Flow[Any]) -> None:
        self.stream = stream
        self.flow = flow
        self.name = f"stream {stream.name}"
        self.on = flow.parents
        self.makes = stream.name
        self.definition = flow.definition

    def begin(self, context: LiveContext) -> _Deriving:
        return _Deriving(self, context)


class _Deriving:
    def __init__(self, declared: Derived, context: LiveContext) -> None:
        self.stream = declared.stream
        self.flow = declared.flow
        self.context = context

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        """Derives from each record; a tombstone has nothing to derive from. All of one record follows, or nothing."""
        failures: list[Failure] = []
        name = self.stream.name
        for place, (record, offset) in enumerate(zip(records, offsets, strict=True)):
            if record is None:
                continue
            try:
                made: list[Any] = list(self.flow.of(stream, record))
                wrong = next((wrong for event in made if (wrong := self.stream.wrong(event))), "")
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
                made = []
            if wrong:
                failures.append((place, f"stream `{name}`, derived from `{stream}`: {wrong}"))
                continue
            for event in made:
                self.context.produce(name, event, offset)
        return failures

    def passed(self, offset: int) -> None:
        """It waits for no moment."""

    def save(self) -> bytes:
        return b"null"

    def load(self, state: bytes) -> None:
        """It keeps nothing."""

    def figures(self) -> Figures:
        """There is nothing to tell of it."""
        return Figures("stream")
