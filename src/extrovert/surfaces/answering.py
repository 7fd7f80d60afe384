"""Answering: what a command may ask of an engine, whether it runs elsewhere or is hosted by the command itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from extrovert.context.table import TableState
from extrovert.core.errors import DeclarationError
from extrovert.engine.loop import Engine
from extrovert.queries.relations import held, relations
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import log_of
from extrovert.surfaces.protocol import (
    Done,
    GetRow,
    ListRelations,
    ListRows,
    ListTables,
    Page,
    ReadRelations,
    Relations,
    Reply,
    Request,
    Retaken,
    Retry,
    RowAt,
    Rows,
    Seen,
    TableInfo,
    Tables,
    Take,
    Taken,
)
from extrovert.surfaces.retrying import retry

__all__ = ["answer"]

ROWS_AT_A_TIME = 500
PAGE = 1_000


def answer(engine: Engine, data: Path, request: Request) -> Iterable[Reply]:
    """Does what is asked, now, and returns the replies. They may be told when all that is applied now is durable.

    Raises `DeclarationError` where the request names what is not there.
    """
    match request:
        case Take(stream, text, first_line, source):
            engine.shard.advance(engine.clock.now_us())
            report = engine.intake.lines(stream, text, source=source, first_line=first_line)
            return [Taken(report.accepted, report.rejected)]
        case Retry(offsets):
            engine.shard.advance(engine.clock.now_us())
            store = SqliteStore(log_of(data), read_only=True)
            try:
                return [Retaken(retry(engine, store, offsets))]
            finally:
                store.close()
        case ListTables():
            return [Tables([_about(state) for state in engine.shard.fold.context.tables.values()])]
        case ListRows(name, limit):
            table = _table(engine, name)
            keys = sorted(table.rows) if limit is None else nsmallest(limit, table.rows)
            return _rows(table, keys)
        case GetRow(name, text):
            table = _table(engine, name)
            key = _key(table, text)
            return _rows(table, [key] if key in table.rows else [])
        case ListRelations():
            return [Relations(relations(engine.shard.fold.context))]
        case ReadRelations(names):
            return _pages(engine, names)
        case _:
            raise DeclarationError(f"An engine is not asked for {type(request).__name__}.")


def _table(engine: Engine, name: str) -> TableState:
    tables = engine.shard.fold.context.tables
    if name not in tables:
        known = ", ".join(sorted(tables)) or "none"
        raise DeclarationError(f"There is no table `{name}`. This app has: {known}.")
    return tables[name]


def _about(state: TableState) -> TableInfo:
    table = state.declared
    by_turns = "turns" if not table.fed else f"source, turns ({', '.join(sorted(table.turns_own))})"
    written_by = "source" if table.fed and not table.turns_own else by_turns
    return TableInfo(table.name, table.key, len(state.rows), table.stream, written_by)


def _key(state: TableState, text: str) -> Any:
    """A key as the table has it: its keys are text, or whole numbers."""
    table = state.declared
    kind = next(field.type for field in msgspec.structs.fields(table.record) if field.name == table.key)
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"`{text}` is no key of table `{table.name}`: `{table.key}`: {error}.") from error


def _rows(state: TableState, keys: list[Any]) -> Iterator[Reply]:
    """The present rows at `keys`; they are taken now, and encoded when they are told."""
    present = [(key, state.versions[key], state.rows[key]) for key in keys]
    total = len(state.rows)

    def told() -> Iterator[Reply]:
        encode = msgspec.json.Encoder().encode
        waiting = iter(present)
        while some := list(islice(waiting, ROWS_AT_A_TIME)):
            yield Rows([RowAt(key, version, msgspec.Raw(encode(row))) for key, version, row in some])
        yield Done(total)

    return told()


def _pages(engine: Engine, names: list[str]) -> Iterator[Reply]:
    """What these tables and views hold; it is taken now, all at one moment, and encoded when it is told."""
    taken = held(engine.shard.fold.context, names)
    offset = engine.shard.fold.end - 1

    def told() -> Iterator[Reply]:
        encode = msgspec.json.Encoder(enc_hook=str).encode
        for one in taken.values():
            for part in one.parts(PAGE):
                keys = None if part.keys is None else msgspec.Raw(encode(part.keys))
                yield Page(one.of, msgspec.Raw(encode(part.values)), keys)
        yield Seen(offset)

    return told()
