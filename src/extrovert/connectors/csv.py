"""Csv: files of comma-separated values, the first line of which names the columns (RFC 4180)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

from extrovert.connectors.cells import Cells
from extrovert.connectors.files import Files, Growing, Part, Place, head_of, too_long
from extrovert.context.stream import Stream
from extrovert.core.event import Spoilt

__all__ = ["Csv"]

CHUNK = 1 << 20
BOM = b"\xef\xbb\xbf"
SECOND = timedelta(seconds=1)


class Csv(Files):
    """Comma-separated values of the file or directory at `path`, for `stream`; the columns are named like its fields.

    Other columns are passed over. Numbers, truth values and ISO 8601 times are read from their text; a time needs a
    zone. An empty cell is None for a field that may be None, empty text for another text, and absent for the rest.
    `delimiter` is what stands between cells. The other options are those of `Lines`; the files of a directory are
    `*.csv` unless said.
    """

    def __init__(
        self,
        path: Path | str,
        stream: Stream[Any],
        *,
        delimiter: str = ",",
        name: str | None = None,
        follow: bool = False,
        every: timedelta = SECOND / 4,
        at: Any = None,
        speed: float | Literal["max"] = "max",
        pattern: str | None = None,
    ) -> None:
        form = _Csv(Cells(stream), delimiter)
        super().__init__(path, stream, form, name=name, follow=follow, every=every, at=at, speed=speed, pattern=pattern)


class _Csv(Growing):
    patterns = ("*.csv",)

    def __init__(self, cells: Cells, delimiter: str) -> None:
        super().__init__()
        self._cells = cells
        self._delimiter = delimiter

    def take(self, file: BinaryIO, place: Place, *, whole: bool) -> Part | None:
        try:
            head = self._columns(file, whole=whole)
        except (ValueError, csv.Error) as error:
            return self._unfit(file, place, f"does not begin with the names of columns: {error}")
        if head is None:
            return None
        columns, at, line = head
        if place.at == 0:
            wrong = self._wrong(columns)
            if wrong:
                return self._unfit(file, place, f"{wrong}; its columns are: {', '.join(columns)}")
        else:
            at, line = place.at, place.line
        file.seek(at)
        block = file.read(CHUNK)
        if len(block) == CHUNK and b"\n" not in block:
            return too_long(file, Place(place.file, at, line), block, whole=whole)
        rows, size, line_after = self._rows(block, line, whole=whole)
        if not rows:
            return None
        after = Place(place.file, at + size, line_after, head_of(file, at + size))
        return self._part(columns, rows, line, after)

    def _columns(self, file: BinaryIO, *, whole: bool) -> tuple[list[str], int, int] | None:
        """The names of the columns, and the place after them in bytes and lines; None where they are not there yet."""
        file.seek(0)
        rows = self._rows(file.read(CHUNK), 0, whole=whole, most=1)
        if not rows[0]:
            return None
        text = rows[0][0][1].removeprefix(BOM)
        names = next(csv.reader(_texts(text), delimiter=self._delimiter), list[str]())
        return [name.strip() for name in names], rows[1], rows[2]

    def _wrong(self, columns: list[str]) -> str:
        """Why a file with these columns cannot hold one good record; "" where it can."""
        missing = sorted(self._cells.required - set(columns))
        twice = sorted({name for name in columns if columns.count(name) > 1 and self._cells.knows(name)})
        found = f"has no column {_named(missing)}" if missing else ""
        return found or (f"has more than one column {_named(twice)}" if twice else "")

    def _unfit(self, file: BinaryIO, place: Place, why: str) -> Part | None:
        """A file that cannot hold one good record is said to be so once, and passed over as it is."""
        if place.at:
            return None
        at = file.seek(0, 2)
        return Part(Place(place.file, at, 1, head_of(file, at)), spoilt=(Spoilt(1, b"", f"`{place.file}` {why}"),))

    def _rows(
        self, block: bytes, line: int, *, whole: bool, most: int | None = None
    ) -> tuple[list[tuple[int, bytes]], int, int]:
        """Whole rows of a block as (line, text), how many bytes they are, and the last line of them.

        A line break within quotes is part of the row: quotes come in pairs, also where they are doubled.
        """
        rows: list[tuple[int, bytes]] = []
        size, begun, quotes = 0, b"", 0
        ended = whole and len(block) < CHUNK
        for piece in block.splitlines(keepends=True) if b"\r" not in block else _lines(block):
            if not piece.endswith(b"\n") and not ended:
                break
            begun += piece
            quotes += piece.count(b'"')
            if quotes % 2 == 0:
                rows.append((line + 1, begun))
                size += len(begun)
                line += begun.count(b"\n") or 1
                begun, quotes = b"", 0
                if len(rows) == most:
                    break
        if not rows and begun and (ended or len(block) == CHUNK):  # a quote that is never closed
            first = block[: block.find(b"\n") + 1] or block
            return [(line + 1, first)], len(first), line + 1
        return rows, size, line

    def _part(self, columns: list[str], rows: list[tuple[int, bytes]], line: int, after: Place) -> Part:
        """Rows as JSON lines; an empty one stands for each that is none, and for each line more that a row has."""
        lines: list[bytes] = []
        spoilt: list[Spoilt] = []
        for number, raw in rows:
            found = b""
            try:
                cells = next(csv.reader(_texts(raw), delimiter=self._delimiter, strict=True), None)
                if cells:
                    found = self._cells.from_text(columns, cells)
            except (ValueError, csv.Error) as error:
                spoilt.append(Spoilt(number, raw.rstrip(b"\r\n"), str(error)))
            lines.append(found)
            lines += [b""] * (raw.count(b"\n") - 1)
        return Part(after, b"\n".join(lines), line + 1, tuple(spoilt))


def _named(columns: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _lines(block: bytes) -> list[bytes]:
    """Lines as a file has them: a carriage return alone ends none."""
    return [line + b"\n" for line in block.split(b"\n")[:-1]] + [last for last in [block.rpartition(b"\n")[2]] if last]


def _texts(raw: bytes) -> Iterator[str]:
    """The text of one row, for the reader. Raises `ValueError` where it is not UTF-8."""
    return iter(StringIO(raw.decode(), newline=""))
