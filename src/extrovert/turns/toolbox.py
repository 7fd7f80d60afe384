"""A toolbox: the tools that a model is offered in one ask, and what comes of its calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from msgspec.structs import astuple

from extrovert.core.errors import DeclarationError, MissingRow, PermanentError, Refuse, TurnError
from extrovert.core.ids import canonical
from extrovert.turns.asking import Asking
from extrovert.turns.exchange import Calling, Calls, Exchange, Result
from extrovert.turns.request import Request
from extrovert.turns.tools import Tool, specified, tool_of

if TYPE_CHECKING:
    from extrovert.turns.turn import Turn

__all__ = ["Toolbox"]


class Toolbox:
    """The tools of one ask, by name. `specs` is what the model is told of them."""

    def __init__(self, given: Sequence[Any]) -> None:
        self.tools: dict[str, Tool] = {}
        for tool in map(tool_of, given):
            if tool.name in self.tools:
                raise DeclarationError(f"There are two tools named `{tool.name}`. Rename one.")
            self.tools[tool.name] = tool
        self.specs = specified(self.tools)

    async def answer(self, turn: Turn, request_of: Callable[[tuple[Exchange, ...]], Request], max_steps: int) -> Any:
        """The answer that is no call of tools. Each step is a request of its own, which is remembered.

        Raises `PermanentError` where so many steps have brought none.
        """
        exchange: tuple[Exchange, ...] = ()
        called: list[str] = []
        for _ in range(max_steps):
            answer = await Asking(turn, request_of(exchange))
            if not isinstance(answer, Calls):
                return answer
            results = [await self.use(turn, calling) for calling in answer.calls]
            called = list(dict.fromkeys(result.tool for result in results))
            exchange = (*exchange, Exchange(Raw(canonical(answer)), results))
        raise PermanentError(
            f"Agent `{turn.agent}` was not answered: its model called tools in {max_steps} requests in a row, the last "
            f"time {', '.join(called)}. Give fewer tools, say when to answer, or raise max_steps=."
        )

    async def use(self, turn: Turn, calling: Calling) -> Result:
        """What comes of one call. One that the tool refuses has staged nothing."""
        tool = self.tools.get(calling.tool)
        if tool is None:
            return Result(calling.tool, error=f"There is no such tool. There are: {', '.join(self.tools)}.")
        try:
            arguments = msgspec.json.decode(canonical(calling.arguments), type=tool.arguments)
        except msgspec.ValidationError as error:
            return Result(tool.name, error=f"The arguments do not fit: {error}.")
        mark = turn.staged.mark
        try:
            value = tool.run(turn, astuple(arguments))
            if inspect.isawaitable(value):
                value = await value
        except Refuse as refusal:
            turn.staged.back_to(mark)
            return Result(tool.name, error=str(refusal))
        except MissingRow as missing:
            turn.staged.back_to(mark)
            return Result(tool.name, error=f"There is no `{missing.key}` in {missing.name}.")
        try:
            return Result(tool.name, Raw(canonical(value)))
        except TypeError as error:
            raise TurnError(
                f"Tool `{tool.name}` of agent `{turn.agent}` gave what no JSON can hold: {error}."
            ) from error
