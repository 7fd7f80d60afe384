"""`extrovert tables`: what the live tables hold now."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extrovert.surfaces.protocol import Reply, RowAt
    from extrovert.surfaces.reaching import Reach

__all__ = ["tables"]


def tables(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A table.", show_default=False)] = None,
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="The key of a row.", show_default=False)] = None,
    limit: LimitOption = 50,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tables, the rows of one in order of their keys, or one row.

    What is shown is durable, whether the app runs or not. A row's version is the offset of the change that wrote it.

    With --json, one object a line: for tables table, key (the field), rows, stream and written_by; for rows key,
    version and row.

    Examples:
      extrovert tables
      extrovert tables flights --limit 10
      extrovert tables flights 2013-02-08.JFK.B6-1 --json | jq .row
    """
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.reaching import reached

    with reached(locate(app, data)) as engine:
        if name is None:
            _show_tables(engine, as_json)
        elif key is None:
            _show_rows(engine, name, None if every else limit, as_json)
        else:
            _show_row(engine, name, key, as_json)


def _show_tables(engine: Reach, as_json: bool) -> None:
    from extrovert.surfaces.printing import columns, console, json_lines
    from extrovert.surfaces.protocol import ListTables, Tables
    from extrovert.surfaces.reaching import one

    found = one(engine.ask(ListTables()), Tables).tables
    if as_json:
        json_lines(found)
        return
    rows = [(table.table, table.key, f"{table.rows:,}", table.written_by, table.stream) for table in found]
    console().print(columns(("table", "key", "rows", "written by", "stream"), rows, right=("rows",)))


def _show_rows(engine: Reach, name: str, limit: int | None, as_json: bool) -> None:
    from rich.text import Text

    from extrovert.surfaces.printing import columns, console, json_lines, short
    from extrovert.surfaces.protocol import Done, ListRows, Rows

    replies = engine.ask(ListRows(name, limit))
    if as_json:
        json_lines(chain.from_iterable(reply.rows for reply in replies if isinstance(reply, Rows)))
        return
    found: list[RowAt] = []
    total = 0
    for reply in replies:
        if isinstance(reply, Rows):
            found += reply.rows
        elif isinstance(reply, Done):
            total = reply.total
    out = console()
    rows: Iterable[tuple[Any, ...]] = [(row.key, f"@{row.version}", Text(short(row.row, 400))) for row in found]
    out.print(columns(("key", "version", "row"), rows, right=("version",)))
    if total > len(found):
        out.print(f"{len(found):,} of {total:,} rows; for more: --limit, or --all")


def _show_row(engine: Reach, name: str, key: str, as_json: bool) -> None:
    import msgspec

    from extrovert.core.errors import ExtrovertError
    from extrovert.surfaces.printing import columns, console, json_lines, short
    from extrovert.surfaces.protocol import GetRow

    found = _rows(engine.ask(GetRow(name, key)))
    if not found:
        raise ExtrovertError(f"Table `{name}` has no row `{key}`. To see those that there are: extrovert tables {name}")
    if as_json:
        json_lines(found)
        return
    out = console()
    out.print(f"{name}/{key}, version @{found[0].version}", soft_wrap=True)
    fields: dict[str, Any] = msgspec.json.decode(found[0].row)
    out.print(columns(("field", "value"), [(field, short(value, 10_000)) for field, value in fields.items()]))


def _rows(replies: Iterable[Reply]) -> list[RowAt]:
    from extrovert.surfaces.protocol import Rows

    return [row for reply in replies if isinstance(reply, Rows) for row in reply.rows]
