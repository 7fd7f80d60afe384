"""Lines: files of JSON lines, one record each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

from extrovert.connectors.files import LONGEST, Files, Growing, Part, Place, head_of, too_long
from extrovert.context.stream import Stream

__all__ = ["Lines"]

CHUNK = 1 << 18
BOM = b"\xef\xbb\xbf"
SECOND = timedelta(seconds=1)


class Lines(Files):
    """JSON lines of the file or directory at `path`, for `stream`.

    With `follow`, it goes on as the file grows and as files appear, and looks `every` so often. A last line without a
    line break is taken when nothing more can come. With a `speed`, records come at the times in their field `at`.
    `pattern` says which files of a directory are meant: `*.jsonl`, `*.ndjson` and `*.json` unless said. The name, under
    which the position is kept in the log, is that of the stream unless said.
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
        super().__init__(
            path, stream, _Lines(), name=name, follow=follow, every=every, at=at, speed=speed, pattern=pattern
        )


class _Lines(Growing):
    patterns = ("*.jsonl", "*.ndjson", "*.json")

    def take(self, file: BinaryIO, place: Place, *, whole: bool) -> Part | None:
        file.seek(place.at)
        block = file.read(CHUNK)
        text = block[: block.rfind(b"\n") + 1]
        if not text and len(block) == CHUNK:
            block = text = block + file.readline(LONGEST)
            if len(block) > LONGEST and not text.endswith(b"\n"):
                return too_long(file, place, block, whole=whole)
            if not text.endswith(b"\n") and not whole:
                return None
        elif whole and len(block) < CHUNK:
            text = block
        if not text:
            return None
        at = place.at + len(text)
        count = text.count(b"\n") + (not text.endswith(b"\n"))
        after = Place(place.file, at, place.line + count, head_of(file, at))
        return Part(after, text.removeprefix(BOM) if place.at == 0 else text, place.line + 1)
