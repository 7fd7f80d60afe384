"""The command `extrovert`. Each family of commands has its file; what they need is imported when they run."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from extrovert.core.errors import DeclarationError, ExtrovertError, MissingExtra
from extrovert.surfaces.approving import approvals, approve, deny
from extrovert.surfaces.backtesting import backtest
from extrovert.surfaces.chatting import chat
from extrovert.surfaces.effecting import effects, settle
from extrovert.surfaces.freshness import freshness
from extrovert.surfaces.inspecting import inspect as inspect_engine
from extrovert.surfaces.ledger import decisions, explain
from extrovert.surfaces.letters import dead_letters
from extrovert.surfaces.looking import tables
from extrovert.surfaces.mcp.commands import mcp, mcp_tools
from extrovert.surfaces.prompting import prompt
from extrovert.surfaces.running import run
from extrovert.surfaces.sending import send
from extrovert.surfaces.shadowing import shadow
from extrovert.surfaces.sql import sql
from extrovert.surfaces.why_not import why_not

__all__ = ["app", "main"]

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main() -> None:
    """Runs a command. What the user must do is said without a traceback; exit code 1 is a failure, 2 is misuse."""
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, TextIOWrapper):
            out.reconfigure(errors="backslashreplace")  # what the terminal cannot show is no reason to fail
    try:
        app(prog_name="extrovert")
    except DeclarationError as error:
        _end(str(error), MISUSED)
    except ExtrovertError as error:
        _end(str(error), FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        _end(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "."), FAILED)
    except Exception as error:
        if type(error).__module__ != "sqlite3":
            raise
        _end(f"The log cannot be used: {error}. Look at its disk; a damaged file is to be replaced by a copy.", FAILED)


def _end(message: str, code: int) -> None:
    from extrovert.surfaces.printing import plain

    typer.echo(typer.style("Error: ", fg="red", bold=True) + "\n".join(map(plain, message.splitlines())), err=True)
    sys.exit(code)


def _help(function: Callable[..., Any]) -> str:
    """The docstring as a help text: paragraphs are fitted to the screen, indented lines are kept as they are."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if "\n  " in f"\n{text}" else text for text in paragraphs)


def _typer(**options: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
        **options,
    )


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"extrovert {version('extrovert')}")
        raise typer.Exit


app = _typer(name="extrovert")


def extrovert(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Agents that wake because the world changed, decide on what is true now, and act once.

    A first walk:
      extrovert run airline.py                          the engine, until Ctrl-C
      extrovert send flights flights.jsonl              events in, in another terminal
      extrovert tables flights                          what is true now
      extrovert sql "select count(*) from flights"      and any question about it
      extrovert decisions                               what the agents decided
      extrovert explain rebook:B-17                     why
      extrovert inspect                                 how the engine is doing

    The commands find the app and its state by --app and --data. Without them they take what `app` says under
    [tool.extrovert] in the nearest pyproject.toml, or the directory .extrovert here.
    """


app.callback(help=_help(extrovert))(extrovert)
for name, function in {
    "run": run,
    "send": send,
    "chat": chat,
    "tables": tables,
    "sql": sql,
    "decisions": decisions,
    "explain": explain,
    "why-not": why_not,
    "prompt": prompt,
    "backtest": backtest,
    "shadow": shadow,
    "approvals": approvals,
    "approve": approve,
    "deny": deny,
    "dead-letters": dead_letters,
    "effects": effects,
    "settle": settle,
    "freshness": freshness,
    "inspect": inspect_engine,
    "mcp": mcp,
    "mcp-tools": mcp_tools,
}.items():
    app.command(name, help=_help(function))(function)


# ---- demos


class Demos(TyperGroup):
    """The demos. Each is imported when it is run, since it needs packages that may not be there."""

    known = {"storm": "A storm over three airports: agents rebook its passengers."}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.known)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=self.known[cmd_name]) if cmd_name in self.known else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, _demo(str(name)), rest


def _demo(name: str) -> Any:
    """The command of a demo. Raises `MissingExtra` where it, or what it needs, is not installed."""
    try:
        function = getattr(import_module(f"extrovert.demos.{name}.cli"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"The demo `{name}` (it needs `{error.name}`)", "demo") from error
    if isinstance(function, typer.Typer):
        return typer.main.get_command(function)
    alone = _typer()
    alone.command(name, help=_help(function), no_args_is_help=False)(function)
    return typer.main.get_command(alone)


demos = _typer(name="demo", cls=Demos)


def demo() -> None:
    """Run a demo: a whole app, on real data.

    Examples:
      extrovert demo storm
      extrovert demo storm --compare
    """


demos.callback(help=_help(demo))(demo)
app.add_typer(demos)
