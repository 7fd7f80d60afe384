"""DuckDB, closed: it sees the tables that it is given, and nothing else of this machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from extrovert.core.errors import DeclarationError, ExtrovertError
from extrovert.queries.arrow import Gathered
from extrovert.queries.extra import duckdb
from extrovert.queries.relations import Relation
from extrovert.queries.result import SqlResult

__all__ = ["named", "run"]

CLOSED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",
    "memory_limit": "2GB",
}
LAST = ("SET python_enable_replacements = false", "SET TimeZone = 'UTC'", "SET lock_configuration = true")
"""No file, network or extension can be reached, no variable of this program read, and no setting changed again."""

SECONDS = 60.0
AT_A_TIME = 2_048


def named(query: str, known: Sequence[Relation]) -> list[Relation]:
    """The relations that a query reads. Raises `DeclarationError` for one that cannot be run: that is found out here,
    over empty tables, before any row is read."""
    if re.match(r"\s*show\b", query, re.IGNORECASE):
        raise DeclarationError(f"{_there(known)} To see the columns of one: describe <name>")
    connection = _closed({})
    try:
        _check_kind(connection, query)
        try:
            names = connection.get_table_names(query)
        except duckdb.Error:  # it tells names only of what makes sense as it is, which empty tables will help with
            names = {one.name for one in known if re.search(rf"\b{re.escape(one.name)}\b", query, re.IGNORECASE)}
    finally:
        connection.close()
    wanted = _matching(names, known)
    connection = _closed({one.name: Gathered(one).table() for one in wanted})
    try:
        missing = connection.get_table_names(query)
        if not missing:
            connection.sql(query)  # finds out what every part of it means, and does not run it
    except duckdb.Error as error:
        raise _mended(error, known) from error
    finally:
        connection.close()
    if missing:
        raise _unknown(sorted(missing)[0], known)
    return wanted


def run(query: str, tables: Mapping[str, Any], *, limit: int | None, seconds: float = SECONDS) -> SqlResult:
    """Runs a query over Arrow tables. Raises `ExtrovertError` where it fails, or takes longer than `seconds`."""
    connection = _closed(tables)
    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    with ThreadPoolExecutor(1, thread_name_prefix="extrovert-sql") as beside:
        timer.start()
        try:
            return beside.submit(_fetch, connection, query, limit).result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        except Exception as error:
            if late.is_set():
                raise ExtrovertError(f"The query was stopped: it took longer than {seconds:g} s.") from error
            if type(error).__module__.split(".")[0] in ("duckdb", "_duckdb", "pyarrow"):
                raise ExtrovertError(_said(error)) from error
            raise
        finally:
            timer.cancel()


def _closed(tables: Mapping[str, Any]) -> Any:
    connection = duckdb.connect(":memory:", config=CLOSED)
    for setting in LAST:
        connection.execute(setting)
    for name, table in tables.items():
        connection.register(name, table)
    return connection


def _check_kind(connection: Any, query: str) -> None:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise DeclarationError(_said(error)) from error
    if not statements:
        raise DeclarationError("There is no question; ask one, for example: select count(*) from <a table>")
    if len(statements) != 1:
        raise DeclarationError(f"Ask one question at a time; these are {len(statements)} statements.")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name.replace("_", " ")
        raise DeclarationError(f"Tables are only read here: the statement must be a SELECT, and is {kind}.")


def _matching(names: Iterable[str], known: Sequence[Relation]) -> list[Relation]:
    """The relations of these names, in whatever case. Raises `DeclarationError` for an unknown name."""
    found: dict[str, Relation] = {}
    for name in sorted(names):
        same = [one for one in known if one.name == name] or [one for one in known if one.name.lower() == name.lower()]
        if not same:
            raise _unknown(name, known)
        if found.setdefault(same[0].name.lower(), same[0]).name != same[0].name:
            raise DeclarationError(f"`{same[0].name}` and `{found[same[0].name.lower()].name}` are one name in SQL.")
    return list(found.values())


def _unknown(name: str, known: Sequence[Relation]) -> DeclarationError:
    return DeclarationError(f"There is no table or view `{name}`. {_there(known)}")


def _there(known: Sequence[Relation]) -> str:
    own, ledger = [[one.name for one in known if (one.of == "ledger") is told] for told in (False, True)]
    has = f"This app has: {', '.join(own) or 'none'}."
    return f"{has} The ledger has: {', '.join(ledger)}." if ledger else has


def _mended(error: Exception, known: Sequence[Relation]) -> DeclarationError:
    missing = re.search(r"Table with name (\S+) does not exist", str(error))
    return _unknown(missing[1], known) if missing else DeclarationError(_said(error))


def _said(error: Exception) -> str:
    """What DuckDB says, without its advice on settings that cannot be changed here."""
    lines = str(error).splitlines()
    cut = next((place for place, line in enumerate(lines) if line.startswith("Database is launched in-memory")), None)
    kept = lines if cut is None else lines[:cut]
    return "\n".join(line for line in kept if line.strip()) or type(error).__name__


def _fetch(connection: Any, query: str, limit: int | None) -> SqlResult:
    try:
        found = connection.sql(query)
        rows: list[tuple[Any, ...]] = []
        columns, types = list(found.columns), [str(kind) for kind in found.types]
        for batch in found.to_arrow_reader(AT_A_TIME if limit is None else min(AT_A_TIME, limit + 1)):
            read = [[_value(value) for value in column.to_pylist()] for column in batch.columns]
            rows += zip(*read, strict=True)
            if limit is not None and len(rows) > limit:
                return SqlResult(columns, types, rows[:limit], more=True)
        return SqlResult(columns, types, rows)
    finally:
        connection.close()


def _value(value: Any) -> Any:
    """A value as Python has it: whole numbers as numbers, moments in UTC, spans as such where they have a length."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else value
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        return {name: _value(one) for name, one in fields.items()}
    if isinstance(value, list):
        return [_value(one) for one in cast("list[Any]", value)]
    if hasattr(value, "nanoseconds"):
        months, days, nanoseconds = value
        span = timedelta(days=days, microseconds=nanoseconds // 1000)
        return f"{months} months {span}" if months else span
    return value
