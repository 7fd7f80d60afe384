"""Heard: whether what agents declare about the freshness of what they read can come true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import DeclarationError
from extrovert.turns.declare import Agent

__all__ = ["check_heard"]


def check_heard(
    agents: Iterable[Agent[Any]],
    streams: Mapping[str, Stream[Any]],
    tables: Mapping[str, Table[Any, Any]],
    sources: Mapping[str, Any],
) -> None:
    """Raises `DeclarationError` where an agent wants fresh context, and nothing in the app could ever grow old."""
    filled = {table.stream for table in tables.values() if not table.fed}
    if sources or any(not stream.made_by and stream.name not in filled for stream in streams.values()):
        return
    for agent in agents:
        if agent.fresh_us is not None:
            raise DeclarationError(
                f"Agent `{agent.name}`: fresh_within= has nothing to look at: all tables of this app are written by "
                f"turns, and no source is declared. Give a table that comes from outside its stream: "
                f'app.table(…, source=app.stream("flights", Flight, key=Flight.flight_id)).'
            )
