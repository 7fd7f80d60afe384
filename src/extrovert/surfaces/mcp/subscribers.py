"""Subscribers: clients of the older protocol, which subscribe to an address and are told on their own connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from extrovert.core.errors import ExtrovertError
from extrovert.surfaces.mcp.watching import Watching
from extrovert.surfaces.mcp.wire import LookUp

if TYPE_CHECKING:
    from mcp.server.connection import Connection
    from mcp.server.session import ServerSession

__all__ = ["Subscribers"]

TOLD_WITHIN_S = 1.0
"""A client that does not read for so long is not told this time: it holds up nobody else."""


class Subscribers:
    """Who has subscribed to what; each to at most `most` addresses."""

    def __init__(self, watching: Watching, most: int) -> None:
        self._watching = watching
        self._most = most
        self._wanted: dict[Connection, dict[str, None]] = {}

    async def add(self, session: ServerSession, address: str, look: LookUp) -> None:
        """Raises `ExtrovertError` where it is too much."""
        who = _connection(session)
        if who not in self._wanted:
            self._wanted[who] = {}
            who.exit_stack.callback(self._left, who)
        mine = self._wanted[who]
        if address in mine:
            return
        if len(mine) >= self._most:
            raise ExtrovertError(f"{self._most} addresses are subscribed to, which is the most. Unsubscribe from one.")
        mine[address] = None
        try:
            await self._watching.add(address, look)
        except BaseException:
            mine.pop(address, None)
            raise

    def remove(self, session: ServerSession, address: str) -> None:
        """It does not want to be told any more."""
        if address in (mine := self._wanted.get(_connection(session), {})):
            del mine[address]
            self._watching.remove(address)

    async def tell(self, address: str) -> None:
        """Tells all who want to know that there is something new."""
        await asyncio.gather(*(_tell(who, address) for who, mine in self._wanted.items() if address in mine))

    def _left(self, who: Connection) -> None:
        for address in self._wanted.pop(who, {}):
            self._watching.remove(address)


async def _tell(who: Connection, address: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(TOLD_WITHIN_S):
            await who.send_resource_updated(address)


def _connection(session: ServerSession) -> Connection:
    """A session is made for each request; what lasts as long as the client does is its connection."""
    return session._connection  # pyright: ignore[reportPrivateUsage]
