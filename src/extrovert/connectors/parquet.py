"""Parquet: files of columns with types of their own, read by pyarrow (the extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from extrovert.connectors.cells import Cells
from extrovert.connectors.files import Files, Part, Place
from extrovert.context.stream import Stream
from extrovert.core.errors import MissingExtra
from extrovert.core.event import Spoilt

__all__ = ["Parquet"]

ROWS = 4_096
SECOND = timedelta(seconds=1)


class Parquet(Files):
    """The Parquet file or directory at `path`, for `stream`; the columns are named like its fields.

    A null is None for a field that may be None, and absent for another. Values keep their types; a timestamp needs a
    zone. A file cannot grow, but a directory can: with `follow`, files are read as they appear and are whole. The
    other options are those of `Lines`; the files of a directory are `*.parquet` unless said. Raises `MissingExtra`
    where pyarrow is not installed.
    """

    def __init__(
        self,
        path: Path | str,
        stream: Stream[Any],
        *,
        name: str | None = None,
        follow: bool = False,
        every: timedelta = SECOND / 4,
        at: Any = None,
        speed: float | Literal["max"] = "max",
        pattern: str | None = None,
    ) -> None:
        if find_spec("pyarrow") is None:
            raise MissingExtra("pyarrow, which reads Parquet files,", "parquet")
        form = _Parquet(Cells(stream))
        super().__init__(path, stream, form, name=name, follow=follow, every=every, at=at, speed=speed, pattern=pattern)


class _Parquet:
    """Reads on where it was, if it is asked for what comes next; else it begins at that row."""

    patterns = ("*.parquet",)

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._next: tuple[Path, Place] | None = None
        self._batches: Iterator[Any] = iter(())

    def read(self, path: Path, place: Place, *, whole: bool) -> Part | None:
        arrow = import_module("pyarrow")
        if place.head:  # it is no Parquet file, as has been said
            return None
        try:
            if self._next != (path, place):
                self._batches = _batches(path, place.at)
            rows = next(self._batches, None)
        except (arrow.ArrowException, OSError) as error:
            self._next = None
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the file cannot be reached; spoilt pages have no number
            if not whole:
                return None  # it may be being written
            cause = f"`{place.file}` cannot be read as Parquet after row {place.at:,}: {error}"
            return Part(Place(place.file, place.at, place.line, 1), spoilt=(Spoilt(None, b"", cause),))
        if rows is None:
            self._next = (path, place)
            return None
        after = Place(place.file, place.at + len(rows), place.line + len(rows))
        self._next = (path, after)
        return self._part(rows, place.line, after)

    def _part(self, rows: list[dict[str, Any]], line: int, after: Place) -> Part:
        lines: list[bytes] = []
        spoilt: list[Spoilt] = []
        for number, row in enumerate(rows, start=line + 1):
            try:
                lines.append(self._cells.from_values(row))
            except (TypeError, ValueError) as error:
                lines.append(b"")
                spoilt.append(Spoilt(number, repr(row).encode(), str(error)))
        return Part(after, b"\n".join(lines), line + 1, tuple(spoilt))


def _batches(path: Path, after: int) -> Iterator[list[dict[str, Any]]]:
    """The rows after the first ones, some thousand at a time; row groups before them are not read."""
    table_of = import_module("pyarrow").Table.from_batches
    with import_module("pyarrow.parquet").ParquetFile(path) as file:
        groups: list[int] = []
        passed = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if groups or passed + size > after:
                groups.append(group)
            else:
                passed += size
        skip = after - passed
        for batch in file.iter_batches(ROWS, row_groups=groups) if groups else ():
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            table = table_of([batch.slice(skip)])
            skip = 0
            yield _in_microseconds(table).to_pylist()


def _in_microseconds(table: Any) -> Any:
    """Nanoseconds are more than a `datetime` holds; they are cut."""
    arrow = import_module("pyarrow")
    for place, field in enumerate(table.schema):
        if arrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            cut = table.column(place).cast(arrow.timestamp("us", tz=field.type.tz), safe=False)
            table = table.set_column(place, field.name, cut)
    return table
