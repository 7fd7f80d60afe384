"""Streams: ordered, replayable sequences of events of one type."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """A stream as declared: the type of its events and the field that holds their key. Made by `App.stream`.

    Where it has an `id` field, an event whose id came from the same source within `horizon_us` is a duplicate.
    """

    def __init__(self, name: str, event: Any, key: str, *, id: str = "", horizon_us: int = 0) -> None:  # noqa: A002
        self.name = name
        self.event = event
        self.key = key
        self.key_of: Callable[[Any], Any] = attrgetter(key)
        self.id = id
        self.horizon_us = horizon_us
        self.id_of: Callable[[Any], Any] = attrgetter(id or key)
