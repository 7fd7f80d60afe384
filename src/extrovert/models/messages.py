"""Messages: a request as a model's provider is sent it, and what the provider answers, as it is remembered.

First comes what never changes (instructions, tools, the wanted type: for the provider's cache), then the facts, then
the calls of tools so far and what came of them, then answers that were refused and why.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.schema import is_object, is_text, wanted
from extrovert.turns.exchange import Calling, Calls, Exchange
from extrovert.turns.request import Request
from extrovert.turns.tools import ANSWER

__all__ = ["answer_of", "messages", "parameters", "refused"]

WRAPPED = "answer"
"""The field that holds an answer which is no object, since providers want one."""
KEPT = frozenset({"thinking"})
"""The kinds of parts that a provider wants to hear again beside the calls of tools that followed from them."""


@lru_cache(1_000)
def parameters(output: Any, tools: str, instructions: str, output_mode: str) -> Any:
    """What is wanted: the tools offered, and the answer as `output_mode` says, "native" or "tool". The same things give
    the same object, which is not to be changed."""
    from pydantic_ai.messages import InstructionPart
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    given: dict[str, Any] = {"instruction_parts": [InstructionPart(content=instructions)] if instructions else []}
    given["function_tools"] = [
        ToolDefinition(name=one["name"], description=one["description"], parameters_json_schema=one["parameters"])
        for one in (msgspec.json.decode(tools) if tools else ())
    ]
    if is_text(output):
        return ModelRequestParameters(**given)
    schema = wanted(output, WRAPPED)
    if output_mode == "native":
        wants = OutputObjectDefinition(json_schema=schema, name=ANSWER, strict=False)
        return ModelRequestParameters(**given, output_mode="native", output_object=wants, allow_text_output=True)
    answer = ToolDefinition(name=ANSWER, description="Gives the answer.", parameters_json_schema=schema, kind="output")
    return ModelRequestParameters(**given, output_mode="tool", output_tools=[answer], allow_text_output=False)


def messages(request: Request) -> list[Any]:
    """The request as a conversation."""
    from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart

    about = request.about if isinstance(request.about, str) else request.about_json.decode()
    instructions = request.instructions or None
    found: list[Any] = [ModelRequest(parts=[UserPromptPart(about)], instructions=instructions)]
    for number, exchange in enumerate(request.exchange):
        said, returned = _step(number, exchange)
        found += [ModelResponse(parts=said), ModelRequest(parts=returned, instructions=instructions)]
    return found + refused(request)


def refused(request: Request) -> list[Any]:
    """The answers that were not accepted, and why."""
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    found: list[Any] = []
    for refusal in request.refusals:
        said = bytes(refusal.answer).decode()
        found.append(ModelResponse(parts=[TextPart(said)]))
        told = f"That answer was not accepted: {refusal.reason}. Answer again."
        found.append(ModelRequest(parts=[UserPromptPart(told)], instructions=request.instructions or None))
    return found


def _step(number: int, exchange: Exchange) -> tuple[list[Any], list[Any]]:
    """The parts of a step: what the model said, and what it was told.

    A call's name is made of its place, so that it is the same whenever it is asked again; all providers take it.
    """
    from pydantic_ai.messages import TextPart, ToolCallPart, ToolReturnPart

    calls = msgspec.json.decode(exchange.said, type=Calls)
    said = _kept(calls.kept)
    said += [TextPart(calls.text)] if calls.text else []
    returned: list[Any] = []
    for place, (calling, result) in enumerate(zip(calls.calls, exchange.results, strict=True)):
        name = f"c{number:04}{place:04}"
        said.append(ToolCallPart(calling.tool, canonical(calling.arguments).decode(), tool_call_id=name))
        content = {"error": result.error} if result.error else msgspec.json.decode(result.value)
        returned.append(ToolReturnPart(calling.tool, content, tool_call_id=name))
    return said, returned


def answer_of(response: Any, request: Request) -> msgspec.Raw:
    """The answer as JSON. What is not, is kept as a JSON string, so that it is refused with its text in the log."""
    called = [part for part in response.parts if part.part_kind == "tool-call"]
    if request.tools and (calls := [part for part in called if part.tool_name != ANSWER or is_text(request.output)]):
        return _calls(response, calls)
    text = "".join(part.content for part in response.parts if part.part_kind == "text")
    if is_text(request.output):
        return msgspec.Raw(msgspec.json.encode(text))
    if called:
        text = called[0].args_as_json_str()
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(msgspec.json.encode(text))
    if not is_object(request.output) and isinstance(value, dict) and WRAPPED in value:
        value: Any = value[WRAPPED]  # pyright: ignore[reportUnknownVariableType]
    return msgspec.Raw(msgspec.json.encode(value))


def _calls(response: Any, called: list[Any]) -> msgspec.Raw:
    """An answer that calls tools. Arguments that are no JSON are kept as text, so that the model is told."""
    text = "".join(part.content for part in response.parts if part.part_kind == "text")
    calls = [Calling(part.tool_name, _arguments(part.args_as_json_str())) for part in called]
    kept = [part for part in response.parts if part.part_kind in KEPT]
    said = Calls(calls, text, _dumped(kept)) if kept else Calls(calls, text)
    return msgspec.Raw(canonical(said))


def _arguments(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


def _dumped(parts: list[Any]) -> msgspec.Raw:
    """Parts of a response as JSON."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse

    dumped: Any = ModelMessagesTypeAdapter.dump_python([ModelResponse(parts=parts)], mode="json")
    return msgspec.Raw(canonical(dumped[0]["parts"]))


def _kept(raw: msgspec.Raw) -> list[Any]:
    parts: Any = msgspec.json.decode(raw)
    if not parts:
        return []
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    response: Any = ModelMessagesTypeAdapter.validate_python([{"kind": "response", "parts": parts}])[0]
    return list(response.parts)
