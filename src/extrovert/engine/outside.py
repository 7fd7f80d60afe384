"""Outside: reads that a turn awaits, done beside the loop: functions, and agents up to their next step."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.turns.delegating import Delegated, DelegatedTool
from extrovert.turns.request import Reply, Request

if TYPE_CHECKING:
    from extrovert.models.agents import Agents

__all__ = ["Outside"]


class Outside:
    """Does what requests of the kind `call` want."""

    def __init__(self) -> None:
        self._agents: Agents | None = None

    async def reply(self, turn: str, request: Request) -> Reply:
        """The result, as JSON. Raises what the function raises."""
        function: Any = request.function
        if isinstance(function, Delegated):
            return Reply(await self._known().step(turn, function))
        if isinstance(function, DelegatedTool):
            return Reply(await self._known().call(turn, function))
        result: Any = function(*request.about)
        if inspect.isawaitable(result):
            result = await result
        return Reply(msgspec.Raw(canonical(result)))

    async def close(self) -> None:
        """Lets go of what is under way."""
        if self._agents is not None:
            await self._agents.close()

    def _known(self) -> Agents:
        from extrovert.models.agents import Agents

        if self._agents is None:
            self._agents = Agents()
        return self._agents
