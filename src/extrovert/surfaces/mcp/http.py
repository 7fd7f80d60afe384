"""The MCP server under `/mcp` on the HTTP host, behind its guard, for as many clients as that lets in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route

from extrovert.connectors.mcp.needed import needed
from extrovert.surfaces.http.site import Site

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from extrovert.surfaces.mcp.server import Publisher

__all__ = ["mcp"]

MOST_SESSIONS = 1_000
FAREWELL_S = 0.2
"""When the host stops, so long have answers under way to come to their end, and streams to say goodbye."""


async def mcp(site: Site) -> Sequence[BaseRoute]:
    """`/mcp`, where the app publishes something. Raises `MissingExtra` without the extra `mcp`."""
    if not site.declared.published:
        return []
    needed()
    from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager

    from extrovert.surfaces.mcp.backing import InEngine
    from extrovert.surfaces.mcp.server import serving

    publisher = await site.lives.enter_async_context(serving(InEngine(site.engine), site.declared.name))
    sessions = StreamableHTTPSessionManager(publisher.server, max_sessions=MOST_SESSIONS)
    begun = asyncio.Event()
    living = asyncio.create_task(_live(sessions, publisher, site, begun), name="mcp sessions")

    async def end() -> None:
        site.stopping.set()
        await living

    site.lives.push_async_callback(end)
    await begun.wait()
    return [Route("/mcp", StreamableHTTPASGIApp(sessions))]


async def _live(sessions: StreamableHTTPSessionManager, publisher: Publisher, site: Site, begun: asyncio.Event) -> None:
    """Keeps the sessions until the site is about to close: so their streams end, and nobody waits for them."""
    async with sessions.run():
        begun.set()
        await site.stopping.wait()
        publisher.end_streams()
        await asyncio.sleep(FAREWELL_S)
