"""Streams: ordered, replayable sequences of events of one type, from outside or derived from others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, overload

from typing_extensions import TypeIs

from extrovert.context.flow import Flow
from extrovert.core.keys import KEY_RULE, good_keys
from extrovert.core.zones import without_zone

__all__ = ["Stream"]

T = TypeVar("T")
U = TypeVar("U")


class Stream(Generic[T]):
    """A stream as declared: the type of its events and the field that holds their key. Made by `App.stream`.

    `made_by` says what makes its events; "" is whoever sends or emits them. Where it has an `id` field, an event whose
    id came from the same source within `horizon_us` is a duplicate.
    """

    def __init__(
        self,
        name: str,
        event: Any,
        key: str,
        *,
        made_by: str = "",
        shard_by: str = "",
        id: str = "",  # noqa: A002
        horizon_us: int = 0,
    ) -> None:
        self.name = name
        self.event = event
        self.key = key
        self.made_by = made_by
        self.key_of: Callable[[Any], Any] = attrgetter(key)
        self.id = id
        self.horizon_us = horizon_us
        self.id_of: Callable[[Any], Any] = attrgetter(id or key)
        self.shard_of: Callable[[Any], Any] = attrgetter(shard_by or key)
        kinds = get_args(event) if isinstance(event, UnionType) else (event,)
        self._types: tuple[type, ...] = tuple(get_origin(kind) or kind for kind in kinds)

    def holds(self, record: object) -> bool:
        """Whether a record is of a type of its events."""
        return isinstance(record, self._types)

    def wrong(self, record: object) -> str:
        """What is wrong with a record as an event of this stream; "" for a good one."""
        if not self.holds(record):
            return f"it is a {type(record).__name__}"
        if not good_keys((self.key_of(record),)):
            return f"the key `{self.key}` {KEY_RULE}"
        return without_zone(record, self.event)

    # ---- what can be derived from it

    @overload
    def filter(self, keep: Callable[[T], TypeIs[U]]) -> Flow[U]: ...
    @overload
    def filter(self, keep: Callable[[T], bool]) -> Flow[T]: ...
    def filter(self, keep: Any) -> Any:
        """The events for which `keep` is true."""
        return self.flow().filter(keep)

    def only(self, kind: type[U]) -> Flow[U]:
        """The events of one of the stream's record types."""
        return self.flow().only(kind)

    def map(self, make: Callable[[T], U]) -> Flow[U]:
        """What `make` makes of each event."""
        return self.flow().map(make)

    def flat_map(self, make: Callable[[T], Iterable[U]]) -> Flow[U]:
        """All that `make` makes of each event, in order."""
        return self.flow().flat_map(make)

    def merge(self, other: Stream[U] | Flow[U]) -> Flow[T | U]:
        """The events of this stream and of another one, in the order in which they come."""
        return self.flow().merge(other if isinstance(other, Flow) else other.flow())

    def flow(self) -> Flow[T]:
        """All its events, to derive others from."""
        return Flow(((self.name, ()),))
