"""`extrovert freshness`: how old the context is, and which turns wait for it to be fresher."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from extrovert.surfaces.protocol import Freshness

__all__ = ["freshness"]

ELSE = {"wait": "waits", "refuse": "ends"}


def freshness(app: AppOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show when the sources were last heard, and whom that holds up.

    A source is heard when an event of it comes, and when it says that there is nothing new. What an agent reads may be
    no older than its fresh_within; else its turns wait, end, or are answered by its fallback. Where the app does not
    run, a source is as old as its log tells.

    With --json, one object a line: for streams stream, sources, followed_by (tables and views), heard_at, age_ms and
    held (turns), for agents agent, fresh_within_ms, stale and held, for turns that are held turn, agent, key, silent
    (streams) and due_at.

    Examples:
      extrovert freshness
      extrovert freshness --json | jq 'select(.age_ms > 60000)'
    """
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, json_lines
    from extrovert.surfaces.protocol import Freshness, ListFreshness
    from extrovert.surfaces.reaching import one, reached

    with reached(locate(app, data)) as engine:
        found = one(engine.ask(ListFreshness()), Freshness)
    if as_json:
        json_lines(chain(found.streams, found.agents, found.turns))
    else:
        _show(console(), found)


def _show(out: Console, found: Freshness) -> None:
    from extrovert.surfaces.printing import columns, moment, span

    if not found.streams:
        out.print("Nothing of this app comes from a source that could be heard: what turns write is always fresh.")
        return
    streams = [
        (
            one.stream,
            ", ".join(one.sources),
            ", ".join(one.followed_by),
            "never" if one.heard_at is None else moment(one.heard_at),
            "" if one.age_ms is None else span(one.age_ms * 1000),
            f"{one.held:,}" if one.held else "",
        )
        for one in found.streams
    ]
    heads = ("stream", "source", "followed by", "last heard (UTC)", "age", "holds")
    out.print(columns(heads, streams, right=("age", "holds")))
    if found.agents:
        out.print()
        agents = [
            (
                one.agent,
                "" if one.fresh_within_ms is None else span(one.fresh_within_ms * 1000),
                ELSE.get(one.stale, one.stale),
                f"{one.held:,}" if one.held else "",
            )
            for one in found.agents
        ]
        out.print(columns(("agent", "fresh within", "else", "held"), agents, right=("fresh within", "held")))
    if found.turns:
        out.print()
        turns = [(one.turn, moment(one.due_at), ", ".join(one.silent)) for one in found.turns]
        out.print(columns(("held turn", "due since (UTC)", "waits to hear of"), turns))
