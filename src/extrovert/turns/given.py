"""What an attempt is given: the value that its turn is about, the scope in which it reads, and the turn itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extrovert.context.copies import Copy
from extrovert.context.shards import Border
from extrovert.turns.declare import Agent
from extrovert.turns.fold import Fold
from extrovert.turns.home import home
from extrovert.turns.request import Place, Refusal
from extrovert.turns.running import Running
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Turn

__all__ = ["scope_of", "turn_of", "value_of", "wanted"]


def value_of(fold: Fold, turn: Running) -> tuple[Any, int]:
    """What a turn is about, and its version: the latest event, or the present row or value (None: gone)."""
    if turn.agent.source == "stream":
        return turn.events[-1][1], 0
    return fold.present(turn.agent, turn.key)


def wanted(agent: Agent[Any], value: Any) -> Any:
    """What the agent function is given of a value: None where its `when` does not hold. Raises what that does."""
    if agent.source == "stream" or agent.when is None or value is None or agent.when(value):
        return value
    return None


def scope_of(fold: Fold, turn: Running, copy: Copy | None = None, *, looks: bool = True) -> TurnScope:
    """The present context (or a copy of it), as the turn reads it. With `looks`, what woke it is among its reads."""
    context = fold.context
    scope = TurnScope(context, f"agent `{turn.agent.name}`, wake `{turn.wake.on}@{turn.wake.offset}`", copy)
    if turn.events:
        scope.woken = (turn.agent.on, turn.key, turn.events)
    if context.strict_shards:
        scope.border = Border(scope.label, home(fold, turn))
    if looks and turn.agent.source == "view":
        scope.look(context.views[turn.agent.on], turn.key)
    elif looks and turn.agent.source == "table":
        scope.look(context.tables[turn.agent.on], turn.key)
    return scope


def turn_of(
    fold: Fold,
    turn: Running,
    seed: int,
    now_us: int,
    stale: tuple[str, ...],
    silent: tuple[str, ...],
    scope: TurnScope,
    refusals: Mapping[Place, tuple[Refusal, ...]],
) -> Turn:
    """The turn as the agent function sees it, after changes of what is `stale`, and with sources that are `silent`."""
    return Turn(
        turn.id,
        turn.agent,
        turn.key,
        scope,
        events=[event for _, event in turn.events],
        started_us=turn.started_us,
        seed=seed,
        answers=turn.answers,
        refusals=refusals,
        changes=tuple(dict.fromkeys((*turn.changes, *stale))),
        clock_us=now_us,
        positions=turn.positions,
        silent=silent,
        value=turn.value,
        old=fold.books[turn.agent.name].old(turn.key),
        known=fold.knows,
    )
