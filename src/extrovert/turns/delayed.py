"""Delayed events: what decisions have emitted for a later moment, until that moment has passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context.operator import Failure, Figures

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Delayed"]

NAME = "delayed events"
"""Its name among the operators. It is no name that a user can give."""

_Saved = list[tuple[int, str, msgspec.Raw]]


class Delayed:
    """An operator that follows nothing and delivers each event at its moment, those of one moment in the order in which
    they were emitted."""

    def __init__(self, context: LiveContext, decoders: Mapping[str, msgspec.json.Decoder[Any]]) -> None:
        self._context = context
        self._decoders = decoders
        self._number = 0
        self._due: list[tuple[int, int, str, Any]] = []
        context.operators[NAME] = self

    def add(self, due_us: int, stream: str, event: Any) -> None:
        """`event` is to be delivered to `stream` at `due_us`."""
        self._number += 1
        heappush(self._due, (due_us, self._number, stream, event))
        self._context.wake_at(due_us, NAME)

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        return ()

    def passed(self, offset: int) -> None:
        while self._due and self._due[0][0] <= self._context.expiry.now_us:
            _, _, stream, event = heappop(self._due)
            self._context.produce(stream, event, offset)

    def save(self) -> bytes:
        saved = [
            (due_us, stream, msgspec.Raw(msgspec.json.encode(event))) for due_us, _, stream, event in sorted(self._due)
        ]
        return msgspec.json.encode(saved)

    def load(self, state: bytes) -> None:
        for due_us, stream, raw in msgspec.json.decode(state, type=_Saved):
            self.add(due_us, stream, self._decoders[stream].decode(raw))

    def figures(self) -> Figures:
        """The events that wait for their moment."""
        return Figures("delayed", "events", len(self._due), next_us=self._due[0][0] if self._due else None)
