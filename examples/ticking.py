"""A source of made-up records that come as time goes by, at the times that they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from extrovert import Record
from extrovert.core.event import Batch

__all__ = ["Ticking"]


class Ticking:
    """Hands over what `make()` gives, which is the same each time: the first at once, the others as their `at` says.

    It is a `LiveSource` (see docs/sources.md) like one that reads a file: its position says that the only batch has
    been read, and the engine keeps how much of that has come. So it goes on where it was after a restart.
    """

    every_us: int | None = None
    at = "at"
    speed: float | None = 1.0

    def __init__(self, stream: str, make: Callable[[], Iterable[Record | dict[str, Any]]]) -> None:
        self.name = self.stream = stream
        self._make = make

    def read(self, position: Any) -> Batch | None:
        if position is not None:
            return None
        return Batch(1, msgspec.json.Encoder().encode_lines(self._make()), where=self.name)
