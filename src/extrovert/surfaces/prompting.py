"""`extrovert prompt`: what an agent would ask about a key now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from extrovert.engine.prompting import Wish

__all__ = ["prompt", "show"]


def prompt(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent.", show_default=False)],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key that it is asked about.", show_default=False)],
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent would ask its model about a key now; nothing is asked.

    It is shown as if the key's wake came now, or as its turn that runs would ask next: the instructions, the prompt
    line by line with the row, event or view's value that each comes from, the schema of the answer, the tools that are
    offered and what those have given that were called, and about how many tokens that is. An agent on a stream is shown
    with the events that wait for it, or that its latest turn saw.

    With --json, one object: agent, key, wishes (each with kind, model, about, schema, instructions, tools, exchange,
    refused, tokens, text_tokens, lines, left_out, facts and in_flight), because (sentences), turn (the one that runs)
    and answers (how many it has). A line is [first, last, of, at, version, through].

    Examples:
      extrovert prompt rebook B-17
      extrovert prompt rebook B-17 --json | jq -r .wishes[0].about
    """
    from extrovert.engine.prompting import WouldAsk
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, json_lines, plain
    from extrovert.surfaces.protocol import ShowPrompt
    from extrovert.surfaces.reaching import one, reached

    with reached(locate(app, data)) as engine:
        found = one(engine.ask(ShowPrompt(agent, key)), WouldAsk)
    if as_json:
        json_lines([found])
        return
    out = console()
    for line in found.because:
        out.print(plain(line), soft_wrap=True)
    for wish in found.wishes:
        show(out, wish)


def show(out: Console, wish: Wish) -> None:
    """Shows what would be asked to a person."""
    import msgspec
    from rich.text import Text

    from extrovert.core.log import is_null
    from extrovert.surfaces.lines import line_by_line
    from extrovert.surfaces.printing import plain, short

    out.print()
    flight = ", which is in flight" if wish.in_flight else ""
    verb = "Would ask" if wish.kind == "ask" else f"Would wait for ({wish.kind})"
    out.print(Text(f"{verb} {plain(wish.model)}{flight}", style="bold"), soft_wrap=True)
    if wish.kind != "ask":
        out.print(f"  {short(wish.about, 10_000)}", soft_wrap=True)
        return
    out.print(f"  about {wish.tokens:,} tokens, {wish.text_tokens:,} of them the prompt's text", soft_wrap=True)
    for name, count in wish.left_out.items():
        out.print(f"  {count:,} of {plain(name)} left out, to keep within its budget", soft_wrap=True)
    for reason in wish.refused:
        out.print(f"  refused before: {plain(reason)}", soft_wrap=True)
    for line in wish.instructions.splitlines():
        out.print(f"  instructions  {plain(line)}", soft_wrap=True)
    out.print(f"  answer        {short(wish.schema, 10_000)}", soft_wrap=True)
    _show_tools(out, wish)
    if not is_null(wish.facts):
        out.print(f"  facts         {short(wish.facts, 10_000)}", soft_wrap=True)
    out.print()
    about = msgspec.json.decode(wish.about)
    out.print(line_by_line(about if isinstance(about, str) else short(wish.about, 10_000), wish.lines))


def _show_tools(out: Console, wish: Wish) -> None:
    """The tools that are offered, and what came of those that were called."""
    import msgspec

    from extrovert.surfaces.printing import plain, short
    from extrovert.turns.exchange import calls_of

    for tool in msgspec.json.decode(wish.tools) or ():
        takes = short(tool["parameters"], 2_000)
        out.print(f"  tool          {plain(tool['name'])}: {plain(tool['description'])} {takes}", soft_wrap=True)
    for step in wish.exchange:
        said = calls_of(step.said)
        for calling, result in zip(said.calls if said else (), step.results, strict=True):
            came = plain(result.error) if result.error else short(result.value, 2_000)
            given = short(calling.arguments, 2_000)
            out.print(f"  called        {plain(calling.tool)} {given}: {came}", soft_wrap=True)
