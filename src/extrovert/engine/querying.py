"""Querying: a question about live context, answered beside the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from extrovert.engine.loop import Engine
from extrovert.queries.relations import Held, Relation, held, relations

if TYPE_CHECKING:
    from extrovert.queries.result import SqlResult

__all__ = ["answered"]

AT_A_TIME = 1_000
"""How many rows are converted before the loop may go on: about a millisecond's worth."""


async def answered(engine: Engine, query: str, *, limit: int | None, seconds: float) -> SqlResult:
    """The rows that `query` selects, when what it saw is durable.

    In the loop only references to rows are copied, all at one moment; the rest is done in a thread.
    """
    known = relations(engine.shard.fold.context)
    wanted = await asyncio.to_thread(_wanted, query, known)
    taken = held(engine.shard.fold.context, [one.name for one in wanted])
    offset = engine.shard.fold.end - 1
    await engine.durable()
    result = await asyncio.to_thread(_run, query, wanted, taken, limit, seconds)
    return result.but(offset=offset)


def _wanted(query: str, known: list[Relation]) -> list[Relation]:
    from extrovert.queries.closed import named

    return named(query, known)


def _run(query: str, wanted: list[Relation], taken: Mapping[str, Held], limit: int | None, seconds: float) -> SqlResult:
    from extrovert.queries.arrow import Gathered
    from extrovert.queries.closed import run

    gathered = {one.name: Gathered(one) for one in wanted}
    for name, rows in taken.items():
        for part in rows.parts(AT_A_TIME):
            gathered[name].add(part)
            time.sleep(0)  # the loop may have the interpreter now, and need not wait until it is taken away
    tables = {name: one.table() for name, one in gathered.items()}
    notes = [note for one in gathered.values() for note in one.notes]
    return run(query, tables, limit=limit, seconds=seconds).but(notes=notes)
