"""Conversing: messages of Pydantic AI as the log keeps them, without what differs each time, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import Raw
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters

from extrovert.core.errors import PermanentError
from extrovert.core.ids import canonical, fingerprint
from extrovert.models.messages import refused
from extrovert.turns.delegating import Conversation
from extrovert.turns.exchange import calls_of
from extrovert.turns.request import Request
from extrovert.turns.told import shown

__all__ = ["conversation", "messages_out", "parameters_out", "response_of", "response_out"]

PASSING = frozenset({"timestamp", "run_id", "conversation_id", "model_id"})
"""What is another in each run, and on which no answer depends."""

_parameters: TypeAdapter[ModelRequestParameters] = TypeAdapter(ModelRequestParameters)


def messages_out(messages: list[Any]) -> list[Raw]:
    """Messages as JSON, each alike whenever the same is said."""
    dumped: list[Any] = ModelMessagesTypeAdapter.dump_python(messages, mode="json")
    return [Raw(canonical(_lasting(message))) for message in dumped]


def parameters_out(parameters: ModelRequestParameters, settings: Any) -> Raw:
    """What else a model is told, as JSON: tools, the wanted answer, settings. Raises `PermanentError` for settings that
    may hold a key, which the log would keep."""
    given = dict(settings or {})
    if given != shown(given):
        raise PermanentError(
            f"The agent's model_settings ({', '.join(sorted(given))}) may hold a key, and the log would keep it. Give "
            f"what does to the model of the turn: app.model(…, settings=…)."
        )
    told = _parameters.dump_python(parameters, mode="json", exclude_defaults=True)
    return Raw(canonical({"parameters": told, "settings": given}))


def conversation(request: Request) -> tuple[list[Any], Any, dict[str, Any]]:
    """Messages, parameters and settings of a request that an agent makes; with what was refused since."""
    found = msgspec.json.decode(request.about_json, type=Conversation)
    messages = ModelMessagesTypeAdapter.validate_json(canonical(found.messages)) + refused(request)
    parameters, settings = _known(bytes(found.parameters))
    return messages, parameters, settings


def response_out(response: ModelResponse) -> Raw:
    """What a model said, as JSON."""
    (dumped,) = cast("list[Any]", ModelMessagesTypeAdapter.dump_python([response], mode="json"))
    return Raw(canonical(_lasting(dumped)))


def response_of(answer: Raw, parameters: ModelRequestParameters) -> ModelResponse:
    """What a model said, of its JSON; or of what a policy or a script said in its place: text, calls of tools, or a
    result."""
    said: Any = msgspec.json.decode(answer)
    if isinstance(said, dict) and cast("dict[str, Any]", said).get("kind") == "response" and "parts" in said:
        return cast(ModelResponse, ModelMessagesTypeAdapter.validate_json(canonical([said]))[0])
    if (calls := calls_of(answer)) is not None:
        parts: list[Any] = [TextPart(calls.text)] if calls.text else []
        parts += [_calling(answer, n, one.tool, one.arguments) for n, one in enumerate(calls.calls)]
        return ModelResponse(parts=parts)
    if isinstance(said, str) and (parameters.allow_text_output or not parameters.output_tools):
        return ModelResponse(parts=[TextPart(said)])
    if not parameters.output_tools:
        return ModelResponse(parts=[TextPart(bytes(answer).decode())])
    arguments = cast("dict[str, Any]", said) if isinstance(said, dict) else {"response": said}
    return ModelResponse(parts=[_calling(answer, 0, parameters.output_tools[0].name, arguments)])


def _calling(answer: Raw, number: int, tool: str, arguments: Any) -> ToolCallPart:
    """A call of a tool, under a name that is always the same for this answer."""
    return ToolCallPart(tool, canonical(arguments).decode(), tool_call_id=f"c{fingerprint(bytes(answer), str(number))}")


@lru_cache(1_000)
def _known(raw: bytes) -> tuple[ModelRequestParameters, dict[str, Any]]:
    found: Any = msgspec.json.decode(raw)
    return _parameters.validate_python(found["parameters"]), found["settings"]


def _lasting(value: Any) -> Any:
    """The value without what passes, and without what is null."""
    if isinstance(value, list):
        return [_lasting(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    named = cast("dict[str, Any]", value)
    kept = ("content", "args") if "part_kind" in named else ()
    return {
        name: one if name in kept else _lasting(one)
        for name, one in named.items()
        if name not in PASSING and one is not None
    }
