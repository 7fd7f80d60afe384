"""Requests: what a turn asks of the outside, and under which hash the answer is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import msgspec

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import AskSent, Told, Usage
from extrovert.core.record import Record
from extrovert.core.typed import typed
from extrovert.turns.assembling import Assembled
from extrovert.turns.exchange import Exchange, calls_of
from extrovert.turns.told import told_of

__all__ = ["Answer", "Place", "Question", "Refusal", "Reply", "Request"]

Place = tuple[str, int]
"""Where an answer is remembered in a turn: the hash of its request, and which occurrence of that it is."""

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


class Reply(msgspec.Struct, frozen=True):
    """What came of a question: the answer as JSON, and what it took."""

    answer: msgspec.Raw
    usage: Usage | None = None


class Request:
    """One question to a model or a policy (`kind` ask), one read of something outside (call), or one wait: for a
    moment (sleep), for an event (next), for a person (approval).

    `about` is what is asked: facts as a record, or a prompt as text; for a wait, a record of `turns.waits`. Two
    requests with the same `hash` are the same question: it covers the kind, the model, the facts, the wanted type, the
    answers refused so far, and for a model its `parameters` and the `instructions`. An answer older than `max_age_us`
    is asked for again. Where it is to be the answer to `exact`ly this, none to another question will do.

    With `tools` (what a model is told of them, as JSON) an answer may call those, and `exchange` has the steps so far.
    `asked_json` is what is asked, as the log keeps it: `about` alone, or with tools a list of that and the steps.

    Where `about` is the text of a `prompt`, that knows where its lines come from. A policy or learner that answers in
    a model's place is given the prompt's `facts`, if it has any; then these are in the hash too.
    """

    __slots__ = (
        "about",
        "about_json",
        "asked_json",
        "exact",
        "exchange",
        "function",
        "hash",
        "instructions",
        "kind",
        "max_age_us",
        "model",
        "output",
        "parameters",
        "prompt",
        "refusals",
        "tools",
    )

    def __init__(
        self,
        kind: str,
        model: str,
        about: Any,
        output: Any,
        *,
        function: Any = None,
        refusals: tuple[Refusal, ...] = (),
        max_age_us: int | None = None,
        instructions: str = "",
        parameters: str = "",
        tools: str = "",
        exchange: tuple[Exchange, ...] = (),
        prompt: Assembled | None = None,
        exact: bool = False,
    ) -> None:
        self.kind = kind
        self.model = model
        self.about = about
        self.about_json = canonical(about)
        self.output = output
        self.function = function
        self.refusals = refusals
        self.max_age_us = max_age_us
        self.instructions = instructions
        self.parameters = parameters
        self.tools = tools
        self.exchange = exchange
        self.prompt = prompt
        self.exact = exact
        self.asked_json = canonical([about, *exchange]) if tools else self.about_json
        told = (instructions, parameters) if instructions or parameters or tools else ()
        told = (*told, tools) if tools else told
        facts = () if prompt is None or prompt.facts is None else ("facts", canonical(prompt.facts))
        self.hash = fingerprint(kind, model, self.asked_json, _schema(output), *map(canonical, refusals), *told, *facts)

    @property
    def steps(self) -> int:
        """How many parts `asked_json` has; 0 where it is no list."""
        return 1 + len(self.exchange) if self.tools else 0

    @property
    def facts(self) -> Any:
        """What a policy or a learner is asked about."""
        return self.about if self.prompt is None or self.prompt.facts is None else self.prompt.facts

    @property
    def told(self) -> Told | None:
        """What a model is told beside what it is asked; None for what is asked of nobody to whom one tells anything."""
        if not (self.instructions or self.parameters or self.tools):
            return None
        return told_of(self.instructions, self.parameters, self.output, self.tools)

    def refused(self, refusals: tuple[Refusal, ...]) -> Request:
        """The same question, with the answers that were not accepted."""
        return Request(
            self.kind,
            self.model,
            self.about,
            self.output,
            function=self.function,
            refusals=refusals,
            max_age_us=self.max_age_us,
            instructions=self.instructions,
            parameters=self.parameters,
            tools=self.tools,
            exchange=self.exchange,
            prompt=self.prompt,
            exact=self.exact,
        )

    def about_to(self, asked: AskSent) -> Request:
        """The same question about what was asked in its place, as the log has it."""
        sent, prompt = asked.request, self.prompt
        if bytes(sent) == self.asked_json and (prompt is None or canonical(prompt.facts) == bytes(asked.facts)):
            return self
        again = copy(self)
        again.asked_json = bytes(sent)
        if prompt is not None and prompt.facts is not None:
            again.prompt = prompt._replace(facts=msgspec.json.decode(asked.facts, type=type(prompt.facts)))
        if self.tools:
            sent, *steps = msgspec.json.decode(sent, type=list[msgspec.Raw])
            again.exchange = tuple(msgspec.json.decode(step, type=Exchange) for step in steps)
        kind: Any = type(self.about)  # pyright: ignore[reportUnknownVariableType]
        try:
            again.about = msgspec.json.decode(sent, type=kind)
        except msgspec.DecodeError:
            again.about = msgspec.json.decode(sent)
        again.about_json = bytes(sent)
        return again

    def decode(self, answer: msgspec.Raw) -> Any:
        """The answer as the wanted type, or the calls of tools. Raises `msgspec.ValidationError` where it does not
        fit."""
        if self.tools and (calls := calls_of(answer)) is not None:
            return calls
        return typed(self.output).decode(answer)


class Question(msgspec.Struct, frozen=True):
    """A request as it is sent, and the place where its answer is remembered; `base` is its place before refusals."""

    request: Request
    place: Place
    base: Place

    def is_among(self, calls: Mapping[Place, tuple[AskSent, int]]) -> bool:
        """Whether it is among these calls, and asked of the same model as there."""
        sent, _ = calls.get(self.place, (None, 0))
        return sent is not None and sent.model == self.request.model

    def about(self, sent: AskSent) -> Question:
        """The question as it was sent."""
        return msgspec.structs.replace(self, request=self.request.about_to(sent))


def _schema(output: Any) -> str:
    """A fingerprint of the wanted type's JSON schema; computed once for each type."""
    found = _schemas.get(output)
    if found is None:
        found = _schemas[output] = fingerprint(canonical(typed(output).schema))
    return found
