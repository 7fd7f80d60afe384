"""Querying: a question about live context, answered beside the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager, nullcontext
from itertools import takewhile
from typing import TYPE_CHECKING

from extrovert.core.log import Entry
from extrovert.engine.loop import Engine
from extrovert.queries.relations import Held, Relation, held, relations
from extrovert.stores.sqlite import SqliteStore

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
    taken = held(engine.shard.fold.context, [one.name for one in wanted if one.of != "ledger"])
    offset = engine.shard.fold.end - 1
    await engine.durable()
    log = _log(engine, offset) if any(one.of == "ledger" for one in wanted) else nullcontext(())
    with log as entries:
        result = await asyncio.to_thread(_run, query, wanted, taken, entries, limit, seconds)
    return result.but(offset=offset)


def _wanted(query: str, known: list[Relation]) -> list[Relation]:
    from extrovert.queries.closed import named
    from extrovert.queries.ledger import with_ledger

    return named(query, with_ledger(known))


@contextmanager
def _log(engine: Engine, offset: int) -> Generator[Iterable[Entry]]:
    """The entries up to `offset`, read beside whoever writes the log."""
    store = engine.store
    if not isinstance(store, SqliteStore) or store.path is None:
        yield [entry for entry in store.entries() if entry.offset <= offset]
        return
    with closing(SqliteStore(store.path, read_only=True)) as beside:
        yield takewhile(lambda entry: entry.offset <= offset, beside.entries())


def _run(
    query: str,
    wanted: list[Relation],
    taken: Mapping[str, Held],
    entries: Iterable[Entry],
    limit: int | None,
    seconds: float,
) -> SqlResult:
    from extrovert.queries.arrow import Gathered
    from extrovert.queries.closed import run
    from extrovert.queries.ledger import gathered as gathered_ledger

    gathered = {one.name: Gathered(one) for one in wanted if one.of != "ledger"}
    gathered |= gathered_ledger(entries, [one for one in wanted if one.of == "ledger"])
    for name, rows in taken.items():
        for part in rows.parts(AT_A_TIME):
            gathered[name].add(part)
            time.sleep(0)  # the loop may have the interpreter now, and need not wait until it is taken away
    tables = {name: one.table() for name, one in gathered.items()}
    notes = [note for one in gathered.values() for note in one.notes]
    return run(query, tables, limit=limit, seconds=seconds).but(notes=notes)
