"""Playing: a model whose answers are found in a file, a line each, and added to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from extrovert.core.errors import DeclarationError, PermanentError
from extrovert.core.ids import canonical
from extrovert.core.log import Usage
from extrovert.core.record import Record
from extrovert.turns.declare import Model
from extrovert.turns.exchange import calls_of
from extrovert.turns.request import Reply, Request

__all__ = ["RecordedModel", "Recording"]

SHOWN = 200
"""So many characters of a question that has no answer are told."""


class Recording(Record, omit_defaults=True):
    """A line of the file: the `answer` to the question whose fingerprint is `hash`; `asked` is for the reader."""

    hash: str
    asked: Raw
    answer: Raw
    usage: Usage | None = None


_line: msgspec.json.Decoder[Recording] = msgspec.json.Decoder(Recording)


class RecordedModel:
    """Answers from the file of `declared.recorded`, or lets `live` answer and adds that. Without `live` what is not in
    the file raises `PermanentError`."""

    def __init__(self, declared: Model, live: Any = None) -> None:
        assert declared.recorded is not None
        self.declared = declared
        self._path = Path(declared.recorded.path)
        self._live = live
        self._known = _read(self._path, must_exist=live is None)

    async def __call__(self, request: Request) -> Reply:
        found = self._known.get(request.hash) or await self._miss(request, self._live)
        return Reply(found.answer, found.usage)

    async def streamed(self, request: Request, heard: Callable[[str], None]) -> Reply:
        """The answer, where `heard` is told its text: a recorded one at once."""
        found = self._known.get(request.hash)
        if found is None:
            live = None if self._live is None else partial(self._live.streamed, heard=heard)
            found = await self._miss(request, live)
        else:
            said = msgspec.json.decode(found.answer)
            calls = calls_of(found.answer)
            heard(said if isinstance(said, str) else "" if calls is None else calls.text)
        return Reply(found.answer, found.usage)

    async def close(self) -> None:
        """Closes the connections of the model behind it."""
        if self._live is not None:
            await self._live.close()

    async def _miss(self, request: Request, live: Callable[[Request], Awaitable[Reply]] | None) -> Recording:
        if live is None:
            asked = request.asked_json.decode()[:SHOWN]
            raise PermanentError(
                f"Model `{self.declared.name}` has no recorded answer in {self._path} to {asked} (question "
                f'{request.hash}). Record it once with Recorded(…, on_miss="ask").',
                free=True,
            )
        reply = await live(request)
        found = self._known.setdefault(
            request.hash, Recording(request.hash, Raw(request.asked_json), reply.answer, reply.usage)
        )
        if found.answer is reply.answer:
            with self._path.open("ab") as file:
                file.write(canonical(found) + b"\n")
        return Recording(found.hash, found.asked, reply.answer, reply.usage)


def _mended(path: Path) -> None:
    """Ends the last line of a file that is added to. One that was only half written when the process died goes."""
    written = path.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    if last := written[len(whole) :]:
        try:
            _line.decode(last)
            path.write_bytes(written + b"\n")
        except msgspec.DecodeError:
            path.write_bytes(whole)


def _read(path: Path, *, must_exist: bool) -> dict[str, Recording]:
    """The answers in the file, by question; the first counts. Raises `DeclarationError` for what is no recording."""
    if not path.exists():
        if must_exist:
            raise DeclarationError(
                f'There is no file {path} with recorded answers. Record them once with Recorded(…, on_miss="ask").'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    if not must_exist:
        _mended(path)
    found: dict[str, Recording] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            one = _line.decode(line)
        except msgspec.DecodeError as error:
            raise DeclarationError(f"{path}, line {number}, is no recorded answer: {error}.") from error
        found.setdefault(one.hash, one)
    return found
