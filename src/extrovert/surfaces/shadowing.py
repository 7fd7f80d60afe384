"""`extrovert shadow`: what a shadow decided, beside the agent that acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from extrovert.engine.declared import Declared

__all__ = ["shadow"]


def shadow(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The shadow.", show_default=False)],
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="AGENT",
            help="The agent that acts. Else the only other one that wakes on the same.",
            show_default=False,
        ),
    ] = None,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what a shadow decided with what the agent beside it did.

    An agent that is declared with shadow=True wakes and decides, and nothing of that is done. Here its decisions are
    put beside those of the agent that acts, by key and by the change that woke both. The command reads the log, whether
    the app runs or not.

    With --json, one object a line, as of extrovert backtest: for each change one of kind wake (recorded is what the
    agent that acts made of it, candidate is the shadow), then one of kind totals.

    Examples:
      extrovert shadow careful
      extrovert shadow careful --beside rebook --json | jq 'select(.differs != [])'
    """
    from extrovert.engine.beside import beside as beside_each_other
    from extrovert.engine.comparing import totals
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.differing import show
    from extrovert.surfaces.ledger import reading_log
    from extrovert.surfaces.printing import console, json_lines

    live = _live(locate(app, data).reference().load().declared(), agent, beside)
    with reading_log(app, data) as store:
        found = beside_each_other(store, agent, live)
    sums = [totals(agent, found)]
    if as_json:
        json_lines([*found, *sums])
    else:
        show(console(), found, sums, recorded=live)


def _live(declared: Declared, agent: str, beside: str | None) -> str:
    """The agent that acts. Raises `DeclarationError` where it cannot be told."""
    from extrovert.core.errors import DeclarationError
    from extrovert.engine.candidates import named

    found = named(declared, agent)
    if beside is not None:
        return named(declared, beside).name
    others = [
        one.name for one in declared.agents if (one.source, one.on) == (found.source, found.on) and one is not found
    ]
    if len(others) != 1:
        known = ", ".join(f"`{one}`" for one in others) or "no other agent"
        raise DeclarationError(f"On {found.source} `{found.on}` wakes {known}. Say which one acts: --beside AGENT.")
    return others[0]
