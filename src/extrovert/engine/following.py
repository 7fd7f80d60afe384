"""Following: what becomes of the turns of an agent and key, told to those who want to know, as it is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from extrovert.core.log import Answered, Attempted, Body, Decided, Ended, Failed
from extrovert.turns.fold import Fold

__all__ = ["Following", "Step"]

Step = Attempted | Answered | Failed | Decided | Ended
_STEPS = (Attempted, Answered, Failed, Decided, Ended)


class Following:
    """Who follows the turns of which agent and key. What they are told is applied, and may not be durable yet."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._followers: dict[tuple[str, Any], dict[object, Callable[[Step], None]]] = {}

    @property
    def followed(self) -> bool:
        """Whether anybody wants to know anything."""
        return bool(self._followers)

    def follow(self, agent: str, key: Any, told: Callable[[Step], None]) -> Callable[[], None]:
        """From now on `told` is called with each step of a turn of this agent and key, until what is returned is
        called. It must not raise, and not wait."""
        mark = object()
        self._followers.setdefault((agent, key), {})[mark] = told

        def leave() -> None:
            followers = self._followers.get((agent, key), {})
            followers.pop(mark, None)
            if not followers:
                self._followers.pop((agent, key), None)

        return leave

    def logged(self, body: Body) -> None:
        """An entry has been logged and applied."""
        if not self._followers or not isinstance(body, _STEPS):
            return
        if isinstance(body, Answered):
            turn = self._fold.running.get(body.turn)
            about = None if turn is None else (turn.agent.name, turn.key)
        else:
            about = body.agent, body.key
        for told in [*self._followers.get(about, {}).values()] if about is not None else ():
            told(body)
