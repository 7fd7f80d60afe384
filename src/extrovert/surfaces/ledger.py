"""`extrovert decisions` and `extrovert explain`: what was decided, and the story of one decision."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from extrovert.core.log import Entry
    from extrovert.stores.sqlite import SqliteStore

__all__ = ["decisions", "explain", "reading_log"]


@contextmanager
def reading_log(app: str | None, data: Path | None) -> Generator[SqliteStore]:
    """The log of a place, read beside whoever writes it."""
    from extrovert.stores.sqlite import SqliteStore
    from extrovert.surfaces.apps import locate, log_of

    store = SqliteStore(log_of(locate(app, data).data), read_only=True)
    try:
        yield store
    finally:
        store.close()


def decisions(
    agent: Annotated[str | None, typer.Option(help="Only of this agent.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option(help="Only about this key.", show_default=False)] = None,
    limit: LimitOption = 20,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the latest decisions, newest first.

    Those of shadows are marked as such: nothing of them was done. Turns that ended without one are listed too, with
    their outcome: gone (nothing was left to decide), dropped, contended (what they read went on changing), cycle (not
    begun: agents woke each other without end) or failed.

    With --json, one object a line: id, agent, key, outcome, cause, offset, at, woken_by, attempts, reads, writes,
    emits, effects (the last four as counts) and context_age_ms.

    Examples:
      extrovert decisions
      extrovert decisions --agent rebook --key B-390412-17
      extrovert decisions --limit 1000 --json | jq -r 'select(.attempts > 3).id'
    """
    from extrovert.surfaces.printing import columns, console, json_lines, moment

    with reading_log(app, data) as store:
        found = [_line(entry) for entry in store.ended(agent=agent, key=key, limit=limit)]
    if as_json:
        json_lines(found)
        return
    out = console()
    if not found:
        out.print("No decisions yet." if agent is None and key is None else "No such decisions.")
        return
    heads = ("id", "at (UTC)", "outcome", "attempts", "read", "wrote", "emitted", "effects")
    rows = [
        (
            line["id"],
            moment(line["at"]),
            line["outcome"],
            line["attempts"],
            line["reads"],
            line["writes"],
            line["emits"],
            line["effects"],
        )
        for line in found
    ]
    out.print(columns(heads, rows, right=heads[3:]))
    if len(found) == limit:
        out.print(f"Only the latest {limit}; for more: --limit")


def _line(entry: Entry) -> dict[str, Any]:
    import msgspec

    from extrovert.core.log import Decided, Ended
    from extrovert.core.time import from_us

    body = msgspec.json.decode(entry.body, type=Decided | Ended)
    at: datetime = from_us(entry.at_us)
    decided = isinstance(body, Decided)
    return {
        "id": body.turn,
        "agent": body.agent,
        "key": body.key,
        "outcome": body.outcome,
        "cause": "" if decided else body.cause,
        "offset": entry.offset,
        "at": at,
        "woken_by": body.wake.on,
        "attempts": body.attempt,
        "reads": len(body.reads) if decided else 0,
        "writes": len(body.writes) if decided else 0,
        "emits": len(body.emits) if decided else 0,
        "effects": len(body.effects) if decided else 0,
        "context_age_ms": body.age_us / 1000 if decided else None,
    }


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The id of a decision, enough of its beginning, or agent:key for the latest.",
            show_default=False,
        ),
    ],
    lines: Annotated[bool, typer.Option("--lines", help="Show prompts whole, and where each line comes from.")] = False,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the story of one decision.

    What woke it; what it read, at which version, and how old that was when it committed; each attempt, why it was run
    again, what it asked and what was answered; what models were told beside that (instructions, parameters, the schema
    of the answer); what was written and emitted; what came of its effects; and what of its reads has been corrected
    since. Long texts are cut in the middle; --json has them whole. With --lines each line of a prompt is shown with the
    row, event or view's value that it comes from.

    With --json, one object: id, agent, key, outcome, cause, offset, at, took_ms, woken_by, due_at, wake, after, events,
    attempts, attempts_made, context_age_ms, reads, writes, emits, effects, guards, undoes, invalidated
    and told.

    Examples:
      extrovert explain rebook:B-390412-17@8812
      extrovert explain rebook:B-390412-17
      extrovert explain rebook:B-390412-17 --lines
      extrovert explain rebook:B-390412-17 --json | jq '.reads[] | select(.age_ms > 60000)'
    """
    from extrovert.surfaces.printing import console, json_lines
    from extrovert.surfaces.story import find, tell

    with reading_log(app, data) as store:
        story = tell(store, find(store, name))
    if as_json:
        json_lines([story])
        return
    from extrovert.surfaces.telling import tell_to

    tell_to(console(), story, lines=lines)
