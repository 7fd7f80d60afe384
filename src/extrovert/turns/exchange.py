"""What a model says when it calls tools, and what it is told then: the steps of an ask that has tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.record import Record

__all__ = ["Calling", "Calls", "Exchange", "Result", "calls_of"]

MARK = "$calls"
"""The field by which an answer that calls tools is told from one that is the answer."""
_BEGINS = canonical({MARK: 0})[:-2]


class Calling(Record):
    """A model calls the tool `tool` with these `arguments`, by name; what is no object will not fit the tool."""

    tool: str
    arguments: Any


class Calls(Record, omit_defaults=True):
    """An answer that calls tools, in this order, before the answer proper; `text` is what the model says beside it.

    `kept` is what its provider wants to hear again with them (its thoughts, for some), as it gave it.
    """

    calls: list[Calling] = msgspec.field(name=MARK)
    text: str = ""
    kept: msgspec.Raw = msgspec.Raw(b"null")

    @classmethod
    def of(cls, tool: str, arguments: Mapping[str, Any], *more: tuple[str, Mapping[str, Any]]) -> Calls:
        """Calls of tools with their arguments by name: `Calls.of("seats_left", {"flight_id": "F2"})`."""
        return cls([Calling(name, dict(given)) for name, given in ((tool, arguments), *more)])


class Result(Record, omit_defaults=True):
    """What came of one call of a tool: its `value`, or the `error` that the model is told."""

    tool: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class Exchange(Record):
    """One step: what the model `said`, as it is remembered, and the results of its calls, in their order."""

    said: msgspec.Raw
    results: list[Result]


_calls = msgspec.json.Decoder(Calls)


def calls_of(answer: msgspec.Raw) -> Calls | None:
    """The calls in an answer; None where it is the answer proper. Raises `msgspec.ValidationError` for bad ones."""
    return _calls.decode(answer) if bytes(answer).startswith(_BEGINS) else None
