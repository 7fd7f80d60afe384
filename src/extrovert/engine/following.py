"""Following: what becomes of the turns of an agent and key, told to those who want to know, as it is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from extrovert.core.log import Answered, Attempted, Body, Decided, Ended, Failed
from extrovert.engine.listeners import Listeners
from extrovert.turns.fold import Fold

__all__ = ["Following", "Step"]

Step = Attempted | Answered | Failed | Decided | Ended
_STEPS = (Attempted, Answered, Failed, Decided, Ended)


class Following:
    """Who follows the turns of which agent and key. What they are told is applied, and may not be durable yet."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._followers: Listeners[Step] = Listeners()

    @property
    def followed(self) -> bool:
        """Whether anybody wants to know anything."""
        return bool(self._followers)

    def follow(self, agent: str, key: Any, told: Callable[[Step], None]) -> Callable[[], None]:
        """From now on `told` is called with each step of a turn of this agent and key, until what is returned is
        called. It must not raise, and not wait."""
        return self._followers.add(agent, key, told)

    def logged(self, body: Body) -> None:
        """An entry has been logged and applied."""
        if not self._followers or not isinstance(body, _STEPS):
            return
        if isinstance(body, Answered):
            turn = self._fold.running.get(body.turn)
            if turn is not None:
                self._followers.tell(turn.agent.name, turn.key, body)
        else:
            self._followers.tell(body.agent, body.key, body)
