"""Seen: the ids of a stream's events that came within its horizon, so that a duplicate counts once.

They are a fold of the log, and looked at before something is logged: a duplicate never is. The horizon runs from the
first time that an id came, in engine time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.table import field_name
from extrovert.core.declaring import records
from extrovert.core.errors import DeclarationError
from extrovert.core.time import span_us

__all__ = ["Seen", "SeenIds", "check_ids"]

SeenIds = list[tuple[int, str, list[Any]]]
"""(when they are dropped, source, ids), in order of time."""


class Seen:
    """The ids of one stream, by source. What is due is dropped as soon as time is heard of."""

    def __init__(self, stream: Stream[Any]) -> None:
        self._id_of = stream.id_of
        self._horizon_us = stream.horizon_us
        self._ids: dict[str, set[Any]] = {}
        self._due: deque[tuple[int, str, list[Any]]] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))

    def fresh(self, source: str, events: Sequence[Any], now_us: int) -> list[bool]:
        """Which of `events` are no duplicates, neither of what came before nor of each other.

        A tombstone, or an event whose id is None, is never a duplicate.
        """
        self.drop(now_us)
        known, here = self._ids.get(source, frozenset[Any]()), set[Any]()
        found: list[bool] = []
        for event in events:
            one = None if event is None else self._id_of(event)
            found.append(one is None or not (one in known or one in here))
            here.add(one)
        return found

    def note(self, source: str, events: Iterable[Any], at_us: int) -> None:
        """These events are in the log since `at_us`."""
        self.drop(at_us)
        known = self._ids.get(source, set[Any]())
        came = dict.fromkeys(self._id_of(event) for event in events if event is not None)
        ids = [one for one in came if one is not None and one not in known]
        if ids:
            self._ids.setdefault(source, known).update(ids)
            self._due.append((at_us + self._horizon_us, source, ids))

    def drop(self, now_us: int) -> None:
        """Forgets what came a horizon ago or longer."""
        while self._due and self._due[0][0] <= now_us:
            _, source, ids = self._due.popleft()
            known = self._ids[source]
            known.difference_update(ids)
            if not known:
                del self._ids[source]

    def save(self) -> SeenIds:
        """The state, for a snapshot."""
        return list(self._due)

    def load(self, saved: SeenIds) -> None:
        """Takes up a saved state."""
        for due_us, source, ids in saved:
            self._ids.setdefault(source, set()).update(ids)
            self._due.append((due_us, source, ids))


def check_ids(name: str, event: Any, field: Any, horizon: timedelta | None) -> tuple[str, int]:
    """The name of a stream's id field and its horizon in microseconds; ("", 0) where it has none.

    Raises `DeclarationError` where there is only one of the two, or the field is no id.
    """
    where = f"Stream `{name}`"
    if (field is None) != (horizon is None):
        raise DeclarationError(f"{where}: id= and horizon= go together: ids are remembered for the horizon.")
    if field is None or horizon is None:
        return "", 0
    if horizon <= timedelta(0):
        raise DeclarationError(f"{where}: its horizon must be longer than nothing, for example timedelta(hours=1).")
    names = {_id_name(where, record, field) for record in records(where, event)}
    return names.pop(), span_us(horizon)


def _id_name(where: str, record: Any, field: Any) -> str:
    name = field_name(where, record, field)
    info = msgspec.inspect.type_info(record)
    assert isinstance(info, msgspec.inspect.StructType)
    kind = next(one.type for one in info.fields if one.name == name)
    options = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    good = msgspec.inspect.StrType | msgspec.inspect.IntType | msgspec.inspect.NoneType
    if not all(isinstance(option, good) for option in options):
        raise DeclarationError(f"{where}: its id `{name}` must be a `str` or an `int`, or one of these and None.")
    return name
