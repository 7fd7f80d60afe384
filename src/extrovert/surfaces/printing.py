"""Printing: what the commands show a person, and what they write for a program."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec

from extrovert.core.time import from_us

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["columns", "console", "json_lines", "moment", "plain", "short", "span"]

WIDE = 100_000
"""The width of a pipe: nothing is cut there, since nobody can widen it."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FILLED = re.compile(r" +\n")
_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000))


def console(*, stderr: bool = False) -> Console:
    """Where a person reads. It takes text as it is: what comes from outside is no markup."""
    from rich.console import Console

    out = sys.stderr if stderr else sys.stdout
    if out.isatty():
        return Console(file=out, markup=False, emoji=False, highlight=False)
    return Console(file=cast(TextIO, _Piped(out)), width=WIDE, markup=False, emoji=False, highlight=False)


class _Piped:
    """A pipe, without the spaces that fill up lines on a screen."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.flush = out.flush

    def write(self, text: str) -> int:
        return self._out.write(_FILLED.sub("\n", text))


def columns(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> RenderableType:
    """A table without lines; the columns named in `right` hold numbers. On a narrow screen cells fold, uncut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold", justify="right" if head in right else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return table


def json_lines(documents: Iterable[Any]) -> None:
    """Writes one JSON document a line on stdout."""
    out = sys.stdout.buffer
    for document in documents:
        out.write(msgspec.json.encode(document) + b"\n")
    out.flush()


def plain(value: Any) -> str:
    """`value` as text that a terminal cannot mistake for orders: control characters are shown, not sent."""
    text = value if isinstance(value, str) else str(value)
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def short(value: Any, most: int = 160) -> str:
    """`value` as JSON text, cut in the middle where it is longer than `most`."""
    raw = bytes(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)
    text = plain(raw.decode())
    if len(text) <= most:
        return text
    half = most // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def moment(at: datetime | int) -> str:
    """A moment in UTC, to the millisecond."""
    when = from_us(at) if isinstance(at, int) else at
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}"


def span(span_us: float) -> str:
    """A length of time as a person says it: `3.2 s`, `2 h 5 min`."""
    sign, left = ("-", -span_us) if span_us < 0 else ("", span_us)
    if left < 1000:
        return f"{sign}{left / 1000:.1f} ms" if left else "0 ms"
    if left < 1_000_000:
        return f"{sign}{left / 1000:.0f} ms"
    if left < 60_000_000:
        return f"{sign}{left / 1_000_000:.1f} s"
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    return sign + " ".join(parts[:2])
