"""`extrovert tables`: what the live tables and views hold now."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extrovert.surfaces.protocol import Reply, RowAt
    from extrovert.surfaces.reaching import Reach

__all__ = ["tables"]


def tables(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A table or a view.", show_default=False)] = None,
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="The key of a row.", show_default=False)] = None,
    limit: LimitOption = 50,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tables and views, the rows of one in order of their keys, or one row.

    What is shown is durable, whether the app runs or not. A row's version is the offset of the change that wrote it.
    A view's rows are its values. A key for which the view raised is in quarantine, shown with the cause, until
    something changes that it read. What is wrong with rows that a view makes is shown with these.

    With --json, one object a line: for tables table, key (the field), rows, stream and written_by, for views view,
    over, values and quarantined; for rows key, version and row, and for a key in quarantine cause.

    Examples:
      extrovert tables
      extrovert tables flights --limit 10
      extrovert tables flights 2013-02-08.JFK.B6-1 --json | jq .row
      extrovert tables stranded
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

    found = one(engine.ask(ListTables()), Tables)
    if as_json:
        json_lines(chain(found.tables, found.views))
        return
    out = console()
    rows = [(table.table, table.key, f"{table.rows:,}", table.written_by, table.stream) for table in found.tables]
    out.print(columns(("table", "key", "rows", "written by", "stream"), rows, right=("rows",)))
    if found.views:
        out.print()
        views = [(view.view, view.over, f"{view.values:,}", f"{view.quarantined:,}") for view in found.views]
        out.print(columns(("view", "over", "values", "quarantined"), views, right=("values", "quarantined")))


def _show_rows(engine: Reach, name: str, limit: int | None, as_json: bool) -> None:
    from rich.text import Text

    from extrovert.surfaces.printing import columns, console, json_lines, short
    from extrovert.surfaces.protocol import Done, ListRows, Rows

    replies = engine.ask(ListRows(name, limit))
    if as_json:
        json_lines(chain.from_iterable(reply.rows for reply in replies if isinstance(reply, Rows)))
        return
    found: list[RowAt] = []
    done = Done(0)
    for reply in replies:
        if isinstance(reply, Rows):
            found += reply.rows
        elif isinstance(reply, Done):
            done = reply
    out = console()
    dead = [row for row in found if row.cause]
    present = len(found) - len(dead)
    rows: Iterable[tuple[Any, ...]] = [
        (row.key, f"@{row.version}", Text(short(row.row, 400))) for row in found if not row.cause
    ]
    out.print(columns(("key", "version", "row"), rows, right=("version",)))
    if done.total > present:
        out.print(f"{present:,} of {done.total:,} rows; for more: --limit, or --all")
    if dead:
        out.print()
        out.print(columns(("in quarantine", "cause"), [(row.key, row.cause) for row in dead]))
    if done.quarantined > len(dead):
        out.print(f"{len(dead):,} of {done.quarantined:,} in quarantine; for more: --limit, or --all")


def _show_row(engine: Reach, name: str, key: str, as_json: bool) -> None:
    import msgspec

    from extrovert.core.errors import ExtrovertError
    from extrovert.surfaces.printing import columns, console, json_lines, plain, short
    from extrovert.surfaces.protocol import GetRow

    found = _rows(engine.ask(GetRow(name, key)))
    if not found:
        raise ExtrovertError(f"`{name}` has no row `{key}`. To see those that there are: extrovert tables {name}")
    if as_json:
        json_lines(found)
        return
    out = console()
    row = found[0]
    if row.cause:
        out.print(f"{name}/{key} is in quarantine: {plain(row.cause)}", soft_wrap=True)
        return
    out.print(f"{name}/{key}, version @{row.version}", soft_wrap=True)
    value: Any = msgspec.json.decode(row.row)
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}
    out.print(columns(("field", "value"), [(field, short(value, 10_000)) for field, value in fields.items()]))


def _rows(replies: Iterable[Reply]) -> list[RowAt]:
    from extrovert.surfaces.protocol import Rows

    return [row for reply in replies if isinstance(reply, Rows) for row in reply.rows]
