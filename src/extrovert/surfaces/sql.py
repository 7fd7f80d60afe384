"""`extrovert sql`: any question about what is true now."""

from __future__ import annotations

from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from extrovert.queries.arrow import Gathered
    from extrovert.queries.relations import Relation
    from extrovert.queries.result import SqlResult
    from extrovert.surfaces.reaching import Reach

__all__ = ["select", "sql"]

CELL = 400


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A SELECT; - reads it from stdin.")],
    limit: LimitOption = 100,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Give up after so long.")] = 60,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a question in SQL of the tables and views, as they are now.

    A table's columns are its record's fields; a view has its key in front, then the fields of its record, or `value`.
    The dialect is DuckDB's. The question is answered in this process, of a copy made at one moment: the engine goes on
    meanwhile, and nothing can be changed. What is shown is durable, whether the app runs or not.

    The ledger is there too: ledger_decisions, ledger_reads, ledger_asks, ledger_effects and more (docs/ledger.md).

    With --json, one object a line, with the columns as its fields; what else there is to know is said on stderr.

    Examples:
      extrovert sql "select origin, count(*) from flights where cancelled group by all"
      extrovert sql "describe flights"
      extrovert sql "from bookings join flights using (flight_id)" --limit 10 --json
      extrovert sql "select model, count(*), sum(cost_usd) from ledger_asks group by all"
    """
    import sys

    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.reaching import reached

    place = locate(app, data)
    with reached(place) as engine:
        text = sys.stdin.read() if query == "-" else query
        found = select(engine, text, None if every else limit, seconds, log=place.data)
    _show(found, as_json)


def select(engine: Reach, query: str, limit: int | None, seconds: float = 60, *, log: Path | None = None) -> SqlResult:
    """The rows that a query selects; it may name the ledger's tables if the directory of the `log` is given.

    Raises what `extrovert.queries.closed` raises.
    """
    from extrovert.queries.closed import named, run
    from extrovert.queries.ledger import with_ledger
    from extrovert.queries.received import Received
    from extrovert.surfaces.protocol import ListRelations, Page, ReadRelations, Relations, Seen
    from extrovert.surfaces.reaching import one

    known = one(engine.ask(ListRelations()), Relations).relations
    wanted = named(query, known if log is None else with_ledger(known))
    received = {relation.name: Received(relation) for relation in wanted if relation.of != "ledger"}
    offset = 0
    for reply in engine.ask(ReadRelations(list(received))):
        if isinstance(reply, Page):
            received[reply.of].add(bytes(reply.values), None if reply.keys is None else bytes(reply.keys))
        elif isinstance(reply, Seen):
            offset = reply.offset
    gathered = {name: rows.gathered for name, rows in received.items()}
    if log is not None:
        gathered |= _ledger(log, [relation for relation in wanted if relation.of == "ledger"], offset)
    tables = {name: rows.table() for name, rows in gathered.items()}
    notes = [note for rows in gathered.values() for note in rows.notes]
    return run(query, tables, limit=limit, seconds=seconds).but(offset=offset, notes=notes)


def _ledger(data: Path, wanted: list[Relation], offset: int) -> dict[str, Gathered]:
    """The ledger's tables as they were at `offset`."""
    from extrovert.queries.ledger import gathered
    from extrovert.stores.sqlite import SqliteStore
    from extrovert.surfaces.apps import log_of

    if not wanted:
        return {}
    with closing(SqliteStore(log_of(data), read_only=True)) as store:
        return gathered(takewhile(lambda entry: entry.offset <= offset, store.entries()), wanted)


def _show(found: SqlResult, as_json: bool) -> None:
    from extrovert.surfaces.printing import columns, console, json_lines

    notes = list(found.notes)
    if found.more:
        notes.append(f"The first {len(found.rows):,} rows; for more: --limit, or --all")
    if as_json:
        json_lines({name: _plain(value) for name, value in one.items()} for one in found.dicts())
    else:
        numbers = [name for name, kind in zip(found.columns, found.types, strict=True) if _is_number(kind)]
        console().print(columns(found.columns, [[_cell(value) for value in row] for row in found.rows], right=numbers))
    out = console(stderr=as_json)
    for note in notes:
        out.print(note, soft_wrap=True)


def _is_number(kind: str) -> bool:
    return kind.endswith("INT") or kind == "INTEGER" or kind.startswith(("DOUBLE", "FLOAT", "DECIMAL"))


def _cell(value: Any) -> str:
    from datetime import datetime

    from extrovert.surfaces.printing import short

    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value.microsecond:06}".rstrip("0") if value.microsecond else "")
    if isinstance(value, dict | list):
        return short(_plain(value), CELL)
    text = str(value)
    return text if len(text) <= CELL else f"{text[:CELL]} …"


def _plain(value: Any) -> Any:
    """A value that JSON can hold: numbers beyond 64 bits are text there."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value
