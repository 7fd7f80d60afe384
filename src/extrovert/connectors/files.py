"""Files: a file, or a directory of files in order of their names; read once, or followed as they grow and appear."""

from __future__ import annotations

import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol
from zlib import crc32

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.table import field_name
from extrovert.core.declaring import records
from extrovert.core.errors import DeclarationError
from extrovert.core.event import Batch, Spoilt
from extrovert.core.log import Position
from extrovert.core.time import span_us

__all__ = ["Files", "Format", "Growing", "Part", "Place", "head_of", "too_long"]

HEAD = 256
KEPT = 1 << 10
LONGEST = 1 << 24
"""Of a line that is longer than this, only the beginning is kept."""


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a source is: in `file`, after `at` bytes (rows of a Parquet file), of which the last line was `line`.

    `head` is the CRC-32 of the file's first bytes, at most 256 and only those read, by which it is known again.
    """

    file: str
    at: int = 0
    line: int = 0
    head: int = 0


class Part(msgspec.Struct, frozen=True):
    """What was read of one file at once: JSON lines, the first of them line `line`, and the place after them."""

    place: Place
    text: bytes = b""
    line: int = 1
    spoilt: tuple[Spoilt, ...] = ()


class Format(Protocol):
    """How the records of one file are read."""

    @property
    def patterns(self) -> Sequence[str]:
        """Which files of a directory are meant."""
        ...

    def read(self, path: Path, place: Place, *, whole: bool) -> Part | None:
        """The next records after `place`, or None where there are none now; `whole`: nothing more will be appended."""
        ...


class Growing(ABC):
    """A format that is read by bytes. The file is held open, so that it is read to its end though it was renamed."""

    def __init__(self) -> None:
        self._held: tuple[Path, BinaryIO, weakref.finalize[..., Any]] | None = None

    @abstractmethod
    def take(self, file: BinaryIO, place: Place, *, whole: bool) -> Part | None:
        """The next records of an open file after `place`."""

    def read(self, path: Path, place: Place, *, whole: bool) -> Part | None:
        """The next records of the file at `path`, or of that which was there; what happened to it is said."""
        if self._held is None or self._held[0] != path:
            self._hold(path)
        elif not os.path.samestat(os.fstat(self._file.fileno()), path.stat()):
            with path.open("rb") as now:
                other = _changed(now, place)
            if other:
                before = None if _changed(self._file, place) else self.take(self._file, place, whole=True)
                if before is not None:
                    return before
            self._hold(path)
            if other:
                return _anew(place, "it is another file; what was there before has been read to its end")
        why = _changed(self._file, place)
        return _anew(place, why) if why else self.take(self._file, place, whole=whole)

    @property
    def _file(self) -> BinaryIO:
        assert self._held is not None
        return self._held[1]

    def _hold(self, path: Path) -> None:
        if self._held is not None:
            self._held[2]()
        file = path.open("rb")
        self._held = (path, file, weakref.finalize(self, file.close))


class Files:
    """A live source of the file or directory at `path`; the formats are its subclasses."""

    def __init__(
        self,
        path: Path | str,
        stream: Stream[Any],
        form: Format,
        *,
        name: str | None,
        follow: bool,
        every: timedelta,
        at: Any,
        speed: float | Literal["max"],
        pattern: str | None,
    ) -> None:
        self.path = Path(path)
        self.name = stream.name if name is None else name
        self.stream = stream.name
        where = f"Source `{self.name}`"
        if every <= timedelta(0):
            raise DeclarationError(f"{where}: every= must be longer than nothing, for example timedelta(seconds=1).")
        if speed != "max" and (at is None or not speed > 0):
            raise DeclarationError(
                f"{where}: a speed is a number above 0, by the times in the field at=; or leave it at 'max'."
            )
        if speed != "max" and follow:
            raise DeclarationError(f"{where}: what is followed comes as it comes: leave out follow= or speed=.")
        self.at = "" if at is None else _time_field(where, stream, at)
        self.speed = None if speed == "max" else float(speed)
        self.every_us = span_us(every) if follow else None
        self._form = form
        self._patterns = form.patterns if pattern is None else (pattern,)

    def read(self, position: Position) -> Batch | None:
        """The next batch after `position`."""
        names = self._names()
        place = None if position is None else msgspec.convert(position, Place)
        if place is None:
            if not names:
                return None
            place = Place(names[0])
        while True:
            later = [name for name in names if name > place.file]
            part = self._part(place, whole=self.every_us is None or bool(later))
            if part is not None:
                return Batch(
                    msgspec.to_builtins(part.place),
                    part.text,
                    part.line,
                    f"{self.name}/{place.file}" if self.path.is_dir() else self.name,
                    part.spoilt,
                )
            if not later:
                return None
            place = Place(later[0])

    def _part(self, place: Place, *, whole: bool) -> Part | None:
        """The next of one file; one that is gone has nothing more."""
        path = self.path / place.file if self.path.is_dir() else self.path
        try:
            return self._form.read(path, place, whole=whole)
        except FileNotFoundError:
            return None

    def _names(self) -> list[str]:
        """The files that there are, in order. Raises `FileNotFoundError` where there is nothing at the path."""
        if self.path.is_dir():
            return sorted(
                file.name
                for file in self.path.iterdir()
                if file.name[0] not in "._"
                and any(fnmatch(file.name, one) for one in self._patterns)
                and file.is_file()
            )
        if self.path.exists():
            return [self.path.name]
        if self.every_us is not None:
            return []
        raise FileNotFoundError(f"there is nothing at {self.path}")


def _changed(file: BinaryIO, place: Place) -> str:
    """How an open file is not the one that was read up to `place`; "" where it is."""
    size = file.seek(0, 2)
    if size < place.at:
        return f"it has {size:,} bytes, and {place.at:,} had been read"
    return "" if head_of(file, place.at) == place.head else "it begins otherwise"


def _anew(place: Place, why: str) -> Part:
    cause = f"`{place.file}` was truncated or replaced ({why}): it is read from its start"
    return Part(Place(place.file), spoilt=(Spoilt(None, b"", cause),))


def too_long(file: BinaryIO, place: Place, kept: bytes, *, whole: bool) -> Part | None:
    """Passes over the rest of a line that nobody would take, of which `kept` is the beginning."""
    while (more := file.readline(LONGEST)) and not more.endswith(b"\n"):
        pass
    if not more and not whole:
        return None
    at, line = file.tell(), place.line + 1
    cause = f"the line is {at - place.at:,} bytes long; its first {KEPT:,} are kept"
    return Part(Place(place.file, at, line, head_of(file, at)), spoilt=(Spoilt(line, kept[:KEPT], cause),))


def head_of(file: BinaryIO, at: int) -> int:
    """The CRC-32 of the first bytes before `at`; 0 where there are none."""
    file.seek(0)
    return crc32(file.read(min(HEAD, at)))


def _time_field(where: str, stream: Stream[Any], at: Any) -> str:
    names = {field_name(where, record, at) for record in records(where, stream.event)}
    return names.pop()
