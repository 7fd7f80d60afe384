"""`extrovert dead-letters`: what could not be taken in or done, and taking it up again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.ledger import reading_log
from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from extrovert.surfaces.retrying import Letter

__all__ = ["dead_letters"]

AT_A_TIME = 500


def dead_letters(
    offsets: Annotated[
        list[int] | None, typer.Argument(metavar="OFFSET", help="Only these letters.", show_default=False)
    ] = None,
    again: Annotated[
        bool, typer.Option("--retry", help="Take the letters up again: those given, or all that wait.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="List those taken up again too.")] = False,
    limit: LimitOption = 50,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, latest last, or take them up again.

    A dead letter is a record that was rejected, an event that a table could not fold, or a wake whose turn failed for
    good. With --retry, what came in goes through intake once more, and a failed wake is due again; a letter taken up
    is no longer listed. What is rejected again is a new letter, with exit code 1.

    With --json, one object a line: offset, at, stream, cause, raw, encoding, source, line, event, turn, agent, key and
    taken_up (the offset, or null); with --retry: offset and cause ("" where all is well).

    Examples:
      extrovert dead-letters
      extrovert dead-letters 8812
      extrovert dead-letters --retry 8812
      extrovert dead-letters --retry
    """
    from extrovert.core.errors import ExtrovertError
    from extrovert.surfaces.retrying import letters

    with reading_log(app, data) as store:
        found = letters(store)
    if offsets:
        missing = set(offsets) - {letter.offset for letter in found}
        if missing:
            raise ExtrovertError(
                f"There is no dead letter at {', '.join(map(str, sorted(missing)))}. "
                f"To see those that there are: extrovert dead-letters --all"
            )
        found = [letter for letter in found if letter.offset in set(offsets)]
    elif not every or again:
        found = [letter for letter in found if letter.taken_up is None]
    if again:
        _retry([letter.offset for letter in found], app, data, as_json)
    else:
        _list(found, limit, as_json, whole=bool(offsets))


def _list(found: list[Letter], limit: int, as_json: bool, *, whole: bool) -> None:
    from extrovert.surfaces.printing import columns, console, json_lines, moment

    shown = found[-limit:]
    if as_json:
        json_lines(map(_document, shown))
        return
    out = console()
    if not found:
        out.print("No dead letters.")
        return
    heads = ("offset", "at (UTC)", "where", "cause", "what")
    rows = [
        (
            f"{letter.offset}",
            moment(letter.at_us),
            _where(letter),
            letter.dead.cause,
            _what(letter, 1_000_000 if whole else 80),
        )
        for letter in shown
    ]
    out.print(columns(heads, rows, right=("offset",)))
    if len(found) > limit:
        out.print(f"The latest {limit} of {len(found):,}; for more: --limit")


def _document(letter: Letter) -> dict[str, Any]:
    from extrovert.core.time import from_us

    dead = letter.dead
    return {
        "offset": letter.offset,
        "at": from_us(letter.at_us),
        **{name: getattr(dead, name) for name in dead.__struct_fields__},
        "taken_up": letter.taken_up,
    }


def _where(letter: Letter) -> str:
    dead = letter.dead
    line = "" if dead.line is None else f" line {dead.line}"
    taken_up = "" if letter.taken_up is None else f" (taken up at @{letter.taken_up})"
    return f"{dead.stream}{' from ' + dead.source if dead.source else ''}{line}{taken_up}"


def _what(letter: Letter, most: int) -> str:
    dead = letter.dead
    if dead.agent:
        return f"turn {dead.turn}"
    text = dead.raw if dead.encoding == "utf-8" else f"{dead.encoding}: {dead.raw}"
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def _retry(offsets: list[int], app: str | None, data: Any, as_json: bool) -> None:
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, json_lines, plain
    from extrovert.surfaces.protocol import Retaken, Retry
    from extrovert.surfaces.reaching import one, reached

    results: list[tuple[int, str]] = []
    if offsets:
        with reached(locate(app, data)) as engine:
            for start in range(0, len(offsets), AT_A_TIME):
                results += one(engine.ask(Retry(offsets[start : start + AT_A_TIME])), Retaken).letters
    bad = [(offset, cause) for offset, cause in results if cause]
    if as_json:
        json_lines({"offset": offset, "cause": cause} for offset, cause in results)
    else:
        out = console()
        for offset, cause in bad:
            out.print(f"{offset}: {plain(cause)}", soft_wrap=True)
        out.print(f"{len(results) - len(bad):,} taken up again, {len(bad):,} not.")
    if bad:
        raise typer.Exit(1)
