"""Latest: the events that an agent's latest turn about a key saw, as far as the log has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from extrovert.core.log import Attempted, Body, Decided, Ended, Events, is_null
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import log_of
from extrovert.turns.declare import Agent

__all__ = ["latest_events"]

_body: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)


def latest_events(engine: Engine, data: Path, agent: Agent[Any], key: Any) -> list[tuple[int, Any]]:
    """The (offset, event) pairs, oldest first. Those of a derived stream are not in the log themselves."""
    decode = msgspec.json.Decoder(engine.shard.fold.streams[agent.on].event).decode
    store = SqliteStore(log_of(data), read_only=True)
    try:
        ended = store.ended(agent=agent.name, key=str(key), limit=1)
        body = _body.decode(ended[0].body) if ended else None
        offsets = body.wake.events if isinstance(body, Decided | Ended) else []
        found = [(offset, raw) for offset in offsets for raw in _event(store, agent.on, offset)]
    finally:
        store.close()
    try:
        return [(offset, decode(raw)) for offset, raw in found]
    except msgspec.DecodeError:  # from an earlier edition of the app
        return []


def _event(store: SqliteStore, stream: str, offset: int) -> Iterator[msgspec.Raw]:
    """The event at this offset, if it is one of this stream."""
    entry = store.at(offset)
    if entry is None:
        return
    body, place = _body.decode(entry.body), offset - entry.offset
    if isinstance(body, Events) and body.stream == stream and place < len(body.data):
        raw = body.data[place]
    elif isinstance(body, Attempted | Decided) and place and body.emits[place - 1].to == stream:
        raw = body.emits[place - 1].data
    else:
        return
    if not is_null(raw):
        yield raw
