"""Requests: what a turn asks of the outside, and under which hash the answer is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.record import Record

__all__ = ["Answer", "Refusal", "Request"]

_schemas: dict[Any, str] = {}


class Refusal(Record):
    """An earlier answer that was not accepted, and why."""

    answer: msgspec.Raw
    reason: str


class Answer(Record):
    """A remembered answer: the offset and time of its entry in the log, and its value as JSON."""

    offset: int
    at_us: int
    value: msgspec.Raw


class Request:
    """One question to a model or a policy (`kind` ask), or one read of something outside (`kind` call).

    `about` is what is asked: facts as a record, or a prompt as text. Two requests with the same `hash` are the same
    question: it covers the kind, the model, the facts, the wanted type and the answers refused so far.
    """

    __slots__ = ("about", "about_json", "function", "hash", "kind", "model", "output", "refusals")

    def __init__(
        self,
        kind: str,
        model: str,
        about: Any,
        output: Any,
        *,
        function: Callable[..., Any] | None = None,
        refusals: tuple[Refusal, ...] = (),
    ) -> None:
        self.kind = kind
        self.model = model
        self.about = about
        self.about_json = canonical(about)
        self.output = output
        self.function = function
        self.refusals = refusals
        self.hash = fingerprint(kind, model, self.about_json, _schema(output), *map(canonical, refusals))

    def refused(self, refusals: tuple[Refusal, ...]) -> Request:
        """The same question, with the answers that were not accepted."""
        return Request(self.kind, self.model, self.about, self.output, function=self.function, refusals=refusals)

    def decode(self, answer: msgspec.Raw) -> Any:
        """The answer as the wanted type. Raises `msgspec.ValidationError` where it does not fit."""
        return msgspec.json.decode(answer, type=self.output)


def _schema(output: Any) -> str:
    """A fingerprint of the wanted type's JSON schema; computed once for each type."""
    found = _schemas.get(output)
    if found is None:
        found = _schemas[output] = fingerprint(canonical(msgspec.json.schema(output)))
    return found
