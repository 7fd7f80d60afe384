"""`extrovert send`: JSON lines, from a file or a pipe, into a stream."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from extrovert.surfaces.options import AppOption, DataOption

if TYPE_CHECKING:
    from extrovert.surfaces.protocol import Taken

__all__ = ["chunks", "send"]

CHUNK = 1 << 19
LONGEST = 1 << 24
"""Of a line that is longer than this, the rest is not kept."""


def send(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="A stream, or a table that has no other source.")],
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON lines, one record each; - reads stdin.")],
    app: AppOption = None,
    data: DataOption = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Write one JSON object on stdout: accepted, duplicates, rejected [[line, cause], …]."
        ),
    ] = False,
) -> None:
    """Send JSON lines to a stream.

    It returns when all of them are durable, whether the app runs or not. A line that is no good record is reported
    with its number and cause, and kept as a dead letter; the lines around it are taken all the same. Exit code 1 if
    there was such a line.

    Examples:
      extrovert send flights flights.jsonl
      tail -f changes.jsonl | extrovert send bookings -
      echo '{"flight_id": "F1", "cancelled": true}' | extrovert send flights - --app airline.py
    """
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.protocol import Take, Taken
    from extrovert.surfaces.reaching import EngineGone, one, reached

    place = locate(app, data)
    total, line = Taken(0), 1
    with _opened(file) as lines, reached(place) as engine:
        for line, text in chunks(lines):
            try:
                taken = one(engine.ask(Take(stream, text, line, "stdin" if file == "-" else file)), Taken)
            except EngineGone as error:
                raise EngineGone(
                    f"{error} Everything before line {line} is durable; send the rest again from there. Of it, "
                    f"{text.count(10) + 1:,} lines had been handed over, and may have been taken too."
                ) from error
            total = Taken(
                total.accepted + taken.accepted, total.rejected + taken.rejected, total.duplicates + taken.duplicates
            )
            if not as_json:
                _report(taken.rejected)
    _conclude(stream, total, as_json)


class Lines(Protocol):
    """A file or pipe of bytes."""

    def read1(self, size: int, /) -> bytes:
        """What there is, at most `size` bytes; none at the end."""
        ...


@contextmanager
def _opened(file: str) -> Generator[Lines]:
    from extrovert.core.errors import DeclarationError

    if file == "-":
        yield cast(Lines, sys.stdin.buffer)
        return
    if not Path(file).exists() or Path(file).is_dir():
        raise DeclarationError(f"There is no file {file}. Give a file of JSON lines, or - for stdin.")
    with Path(file).open("rb") as lines:
        yield lines


def chunks(file: Lines) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, whole lines without the last line break), as they come: a pipe is not waited for."""
    line, rest = 1, b""
    while block := file.read1(CHUNK):
        whole, found, begun = block.rpartition(b"\n")
        if found:
            text = rest + whole
            yield line, text
            line += text.count(b"\n") + 1
            rest = begun
        elif len(rest) < LONGEST:
            rest += block
    if rest:
        yield line, rest


def _report(rejected: list[tuple[int, str]]) -> None:
    from extrovert.surfaces.printing import plain

    for line, cause in rejected:
        print(f"line {line}: {plain(cause)}", file=sys.stderr)


def _conclude(stream: str, total: Taken, as_json: bool) -> None:
    from extrovert.surfaces.printing import json_lines

    rejected = total.rejected
    if as_json:
        json_lines([{"accepted": total.accepted, "rejected": rejected, "duplicates": total.duplicates}])
    else:
        duplicates = f", {total.duplicates:,} duplicates" if total.duplicates else ""
        print(f"{total.accepted:,} accepted on `{stream}`, {len(rejected):,} rejected{duplicates}.")
        if rejected:
            print("See what was rejected with: extrovert dead-letters", file=sys.stderr)
    if rejected:
        raise typer.Exit(1)
