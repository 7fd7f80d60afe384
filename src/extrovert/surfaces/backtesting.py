"""`extrovert backtest`: what another version of an agent would have decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from extrovert.surfaces.options import DataOption, JsonOption

if TYPE_CHECKING:
    from extrovert.engine.comparing import Compared

__all__ = ["backtest"]

App = Annotated[
    str | None,
    typer.Argument(metavar="FILE[:app]", help="The app. Else the one that DIR belongs to.", show_default=False),
]
Agent = Annotated[str, typer.Option("--agent", help="The agent whose wakes are played again.", show_default=False)]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Turns that ended from then on. Else all.", show_default=False),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Turns that ended before.", show_default=False)
]
Models = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="A version that asks this model.")]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", metavar="NAME", help="A version in which this policy answers.")
]
Prompt = Annotated[
    Path | None,
    typer.Option(
        "--prompt", metavar="FILE", help="Tell models this text in place of the agent's docstring.", show_default=False
    ),
]
Others = Annotated[
    list[str] | None, typer.Option("--with", metavar="FILE[:app]", help="A version: the code in this file.")
]
OnMiss = Annotated[
    Literal["refuse", "ask"], typer.Option("--on-miss", help="What becomes of a question without an answer in the log.")
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Play at most so many wakes, from the first.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The seed that the engine ran with.")]


def backtest(
    agent: Agent,
    app: App = None,
    since: Since = None,
    until: Until = None,
    model: Models = None,
    policy: Policies = None,
    prompt: Prompt = None,
    other: Others = None,
    on_miss: OnMiss = "refuse",
    limit: Limit = None,
    seed: Seed = 0,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play recorded wakes again with other versions of an agent, and tell what they would have decided.

    Each wake meets the context as it was when its turn ended, and finds the answers that were given then. Nothing is
    written, emitted or performed. --model, --policy and --with name versions, each as often as you like, to be shown
    side by side; without any it is the app as it is now. A TIME is 2026-03-01 or 2026-03-01T09:30, UTC if not said.

    A question without an answer in the log ends the wake as missed, or is asked (--on-miss ask), and costs what it
    costs. Policies are asked anyway. What a person would have said or what event would have come is always missed.

    With --json, one object a line. For each wake and version one of kind wake: turn, agent, key, offset, at, version,
    differs, recorded, candidate. Then for each version one of kind totals.

    Examples:
      extrovert backtest airline.py --agent rebook --since 2026-03-01 --policy earliest --policy cheapest
      extrovert backtest airline.py --agent rebook --model fast --prompt shorter.txt --on-miss ask
      extrovert backtest airline.py --agent rebook --with new/airline.py --json | jq 'select(.differs != [])'
    """
    import asyncio

    from extrovert.engine.comparing import totals
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.differing import show
    from extrovert.surfaces.printing import console, json_lines
    from extrovert.surfaces.versions import Asked, played, played_elsewhere

    place = locate(app, data)
    asked = Asked(agent=agent, since=since, until=until, limit=limit, on_miss=on_miss, seed=seed)
    told = None if prompt is None else prompt.read_text(encoding="utf-8")
    found: list[Compared] = []
    if policy or model or told is not None or not other:
        found += asyncio.run(played(place, asked, policy or [], model or [], told))
    for file in other or []:
        found += played_elsewhere(place, asked, file)
    versions = list(dict.fromkeys(one.version for one in found))
    found.sort(key=lambda one: (one.offset, versions.index(one.version)))
    sums = [totals(version, [one for one in found if one.version == version]) for version in versions]
    if as_json:
        json_lines([*found, *sums])
    else:
        show(console(), found, sums)
