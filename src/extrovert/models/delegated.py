"""Delegated: how an agent of Pydantic AI is run so that its model and its tools are the turn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from pydantic_ai import AbstractToolset, ModelRetry, RunContext, ToolReturn, WrapperToolset
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_ai.toolsets.external import TOOL_SCHEMA_VALIDATOR
from pydantic_core import to_jsonable_python

from extrovert.core.ids import canonical
from extrovert.models.conversing import messages_out, parameters_out, response_of
from extrovert.turns.delegating import Delegated
from extrovert.turns.exchange import Result

if TYPE_CHECKING:
    from extrovert.models.agents import Run

__all__ = ["running"]

TRIES_AGAIN = "$retry"
"""The field by which what a tool refused is told from what one gave."""


async def running(run: Run, work: Delegated) -> Any:
    """The result of the agent, whose model and tools of the turn are asked through `run`."""

    def kept(toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return _Kept(toolset, run)

    own = [toolset.visit_and_replace(kept) for toolset in work.agent.toolsets]
    given = [_Given(run, msgspec.json.decode(work.tools))] if work.tools else []
    with work.agent.override(toolsets=[*own, *given], tools=[]):
        result = await work.agent.run(work.prompt, model=_Asked(run), deps=work.deps)
    return result.output


class _Asked(Model):
    """The model: what it is asked goes to the turn."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    @property
    def model_name(self) -> str:
        return "turn"

    @property
    def system(self) -> str:
        return "extrovert"

    async def request(
        self, messages: list[Any], model_settings: Any, model_request_parameters: ModelRequestParameters
    ) -> Any:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        answer = await self._run.ask(messages_out(messages), parameters_out(parameters, settings))
        return response_of(answer, parameters)


class _Kept(WrapperToolset[Any]):
    """Tools of the agent's own: what they gave is kept, and they are not run again."""

    def __init__(self, wrapped: AbstractToolset[Any], run: Run) -> None:
        super().__init__(wrapped)
        self._run = run

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        async def call() -> Raw:
            try:
                value = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            except ModelRetry as retry:
                value = {TRIES_AGAIN: retry.message}
            return Raw(canonical(to_jsonable_python(value)))

        said: Any = msgspec.json.decode(await self._run.call(name, to_jsonable_python(tool_args), call))
        match said:
            case {"$retry": str(reason), **more} if not more:
                raise ModelRetry(reason)
            case {"kind": "tool-return", "return_value": value, **more}:
                return ToolReturn(value, content=more.get("content"), metadata=more.get("metadata"))
            case _:
                return said


class _Given(AbstractToolset[Any]):
    """The tools that the turn gives. They run within the turn."""

    def __init__(self, run: Run, specs: list[dict[str, Any]]) -> None:
        self._run = run
        self._specs = specs

    @property
    def id(self) -> str | None:
        return "turn"

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        return {
            spec["name"]: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=spec["name"], description=spec["description"], parameters_json_schema=spec["parameters"]
                ),
                max_retries=1,
                args_validator=TOOL_SCHEMA_VALIDATOR,
            )
            for spec in self._specs
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        result = msgspec.json.decode(await self._run.use(name, tool_args), type=Result)
        return {"error": result.error} if result.error else msgspec.json.decode(result.value)
