"""`extrovert why-not`: why an agent did not wake, or is waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["why_not"]


def why_not(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent.", show_default=False)],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key that it has not acted on.", show_default=False)],
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell why an agent has not acted on a key: it was not woken, its wake waits, or its turn does.

    What its latest turn about the key came to is told too. For what a turn decided and why: extrovert explain.

    With --json, one object: agent, key, state (running, due or idle), because (sentences) and turn (the one that runs).

    Examples:
      extrovert why-not rebook B-17
    """
    from rich.text import Text

    from extrovert.engine.why_not import Because
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, json_lines, plain
    from extrovert.surfaces.protocol import WhyNot
    from extrovert.surfaces.reaching import one, reached

    place = locate(app, data)
    with reached(place) as engine:
        found = one(engine.ask(WhyNot(agent, key)), Because)
    found = found.but(because=[*found.because, *_latest(place.data, found)])
    if as_json:
        json_lines([found])
        return
    states = {"running": f"has a turn: {found.turn}", "due": "has a wake that waits", "idle": "has nothing to do"}
    out = console()
    out.print(
        Text(f"{plain(found.agent)} {states[found.state]} about {plain(found.key)}", style="bold"), soft_wrap=True
    )
    for line in found.because:
        out.print(f"  {plain(line)}", soft_wrap=True)


def _latest(data: Path, found: object) -> list[str]:
    """What the latest turn about the key came to."""
    import msgspec

    from extrovert.core.log import Decided, Ended
    from extrovert.engine.why_not import Because
    from extrovert.stores.sqlite import SqliteStore
    from extrovert.surfaces.apps import log_of
    from extrovert.surfaces.printing import moment

    assert isinstance(found, Because)
    store = SqliteStore(log_of(data), read_only=True)
    try:
        entries = store.ended(agent=found.agent, key=str(found.key), limit=1)
    finally:
        store.close()
    if not entries:
        return ["It has had no turn about this key, as far as the log is kept."]
    body = msgspec.json.decode(entries[0].body, type=Decided | Ended)
    cause = f": {body.cause}" if isinstance(body, Ended) and body.cause else ""
    letter = " See extrovert dead-letters." if body.outcome in ("failed", "contended") else ""
    return [f"Its latest turn, {body.turn}, ended as {body.outcome} at {moment(entries[0].at_us)} UTC{cause}.{letter}"]
