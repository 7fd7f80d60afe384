"""The MCP server on standard input and output, for one client that has started it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout

from extrovert.surfaces.apps import Place

__all__ = ["serve"]


def serve(place: Place) -> None:
    """Answers until standard input ends. Standard output belongs to the protocol alone."""
    asyncio.run(_serve(place))


async def _serve(place: Place) -> None:
    from mcp.server.stdio import stdio_server

    from extrovert.surfaces.mcp.backing import AtPlace
    from extrovert.surfaces.mcp.server import serving

    backing = AtPlace(place)
    with redirect_stdout(sys.stderr):
        published = await backing.published()  # what is wrong with the app or its place is said before a client waits
    async with serving(backing, published.name) as publisher, stdio_server() as (read, write):
        await publisher.server.run(read, write, publisher.server.create_initialization_options())
