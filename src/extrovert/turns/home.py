"""Home: the shard to which a turn belongs."""

from __future__ import annotations

from typing import Any

from extrovert.context.shards import EVERYWHERE, UNKNOWN
from extrovert.turns.declare import Agent
from extrovert.turns.fold import Fold
from extrovert.turns.invalidated import INVALIDATIONS
from extrovert.turns.running import Running

__all__ = ["home"]


def home(fold: Fold, turn: Running) -> Any:
    """The shard of what woke a turn. That of a decision that was invalidated is the shard in which it was made."""
    agent, key = turn.agent, turn.key
    if agent.source != "stream":
        return _home_of_row(fold, agent, key)
    event = turn.events[-1][1]
    if agent.on != INVALIDATIONS:
        return fold.streams[agent.on].shard_of(event)
    decided = fold.agents.get(event.agent)
    if decided is None or decided.source == "stream":
        return UNKNOWN  # its events are not here any more: the first row that is read decides
    return _home_of_row(fold, decided, event.about)


def _home_of_row(fold: Fold, agent: Agent[Any], key: Any) -> Any:
    context = fold.context
    table = context.views[agent.on].table if agent.source == "view" else context.tables[agent.on]
    if table.declared.replicated:
        return EVERYWHERE
    row = table.rows.get(key)
    return UNKNOWN if row is None else table.declared.shard_of(row)
