"""Streams: ordered, replayable sequences of events of one type."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """A stream as declared: the type of its events and the field that holds their key. Made by `App.stream`."""

    def __init__(self, name: str, event: Any, key: str) -> None:
        self.name = name
        self.event = event
        self.key = key
        self.key_of: Callable[[Any], Any] = attrgetter(key)
