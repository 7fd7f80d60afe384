"""Home: the shard to which a turn belongs."""

from __future__ import annotations

from typing import Any

from extrovert.context.shards import EVERYWHERE, UNKNOWN
from extrovert.turns.fold import Fold
from extrovert.turns.running import Running

__all__ = ["home"]


def home(fold: Fold, turn: Running) -> Any:
    """The shard of what woke a turn."""
    agent, context = turn.agent, fold.context
    if agent.source == "stream":
        return fold.streams[agent.on].shard_of(turn.events[-1][1])
    table = context.views[agent.on].table if agent.source == "view" else context.tables[agent.on]
    if table.declared.replicated:
        return EVERYWHERE
    row = table.rows.get(turn.key)
    return UNKNOWN if row is None else table.declared.shard_of(row)
