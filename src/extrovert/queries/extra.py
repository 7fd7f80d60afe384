"""The packages of the extra `sql`: DuckDB and Arrow, whose types are not known where it is not installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from extrovert.core.errors import MissingExtra

__all__ = ["duckdb", "pyarrow"]


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"SQL (it needs `{module}`)", "sql") from error


pyarrow: Any = _needed("pyarrow")
duckdb: Any = _needed("duckdb")
