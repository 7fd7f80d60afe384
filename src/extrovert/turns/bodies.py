"""The bodies of the log's entries, decoded by the types that the app declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import msgspec

from extrovert.context.stream import Stream
from extrovert.core.log import Body, Entry, Events, is_null

__all__ = ["Bodies"]

_BODY: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_BEGINNING = b'{"kind":"events","stream":"'
"""How the body of a batch begins, so that it can be decoded in one go, by the type of its stream's events."""


def _batch_decoder(event: Any) -> msgspec.json.Decoder[Any]:
    """Decodes the body of a batch with its records."""
    rest = [(field.name, field.type, field.default) for field in msgspec.structs.fields(Events)[2:]]
    data = ("data", list[Optional[event]])  # noqa: UP045 -- `|` does not take what is only known when it runs
    return msgspec.json.Decoder(msgspec.defstruct("Batch", [("kind", str), ("stream", str), data, *rest]))


def _stream_of(body: bytes) -> str:
    """The stream of a batch, if its body begins as bodies do; else ""."""
    if not body.startswith(_BEGINNING):
        return ""
    return body[len(_BEGINNING) : body.find(b'"', len(_BEGINNING))].decode()


class Bodies:
    """Decodes entries; `decoders` has one for the events of each stream."""

    def __init__(self, streams: Mapping[str, Stream[Any]]) -> None:
        self.decoders: dict[str, msgspec.json.Decoder[Any]] = {
            name: msgspec.json.Decoder(stream.event) for name, stream in streams.items()
        }
        self._batches = {name: _batch_decoder(stream.event) for name, stream in streams.items()}

    def decode(self, entry: Entry) -> tuple[Body, list[Any]]:
        """The body, and the records of a batch (its `data` may be left out).

        Raises `msgspec.DecodeError`, and `KeyError` for a stream that is not declared.
        """
        typed = self._batches.get(_stream_of(entry.body)) if entry.kind == "events" else None
        if typed is not None:
            batch = typed.decode(entry.body)
            return Events(batch.stream, [], batch.source, batch.position, batch.keys), batch.data
        body = _BODY.decode(entry.body)
        if not isinstance(body, Events):
            return body, []
        decode = self.decoders[body.stream].decode
        return body, [None if is_null(raw) else decode(raw) for raw in body.data]
