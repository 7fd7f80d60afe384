"""Watching: what clients want to be told of when it changes. Changes are told together, at most once each time it is
looked; who reads then reads what is true by then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from extrovert.core.errors import ExtrovertError
from extrovert.surfaces.mcp.backing import Backing
from extrovert.surfaces.mcp.wire import Compare, LookUp

__all__ = ["MOST", "Watching"]

MOST = 1_000
"""So many addresses are watched at most, by all clients of a server together."""
REST_S = 1.0
"""So long it rests where it could not look."""
AT_A_TIME = 100
"""So many are looked at in one step of the engine."""

logger = logging.getLogger(__name__)


class Watched:
    """One address: how many want to be told of it, what it means, and what it gave when it was last looked at."""

    def __init__(self, look: LookUp) -> None:
        self.look = look
        self.wanted = 0
        self.print = ""


class Watching:
    """Looks at what is watched, and says what has changed by `tell(address)`."""

    def __init__(self, backing: Backing, tell: Callable[[str], Awaitable[None]]) -> None:
        self._backing = backing
        self._tell = tell
        self._watched: dict[str, Watched] = {}
        self._offset = 0
        self._some = asyncio.Event()

    async def add(self, address: str, look: LookUp) -> None:
        """Somebody wants to be told of changes of what the look-up gives. Raises `ExtrovertError` where too many do."""
        found = self._watched.get(address)
        if found is None:
            if len(self._watched) >= MOST:
                raise ExtrovertError(f"{MOST} addresses are watched, which is the most. Stop watching another.")
            found = self._watched[address] = Watched(look)
        found.wanted += 1
        self._some.set()
        if not found.print:
            try:
                found.print = await self._print(look)
            except BaseException:
                self.remove(address)
                raise

    def remove(self, address: str) -> None:
        """One who wanted to be told does not any more."""
        found = self._watched.get(address)
        if found is not None:
            found.wanted -= 1
            if not found.wanted:
                del self._watched[address]

    async def run(self) -> None:
        """Watches until it is cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(self._backing.every_s)
            try:
                await self.look()
            except Exception:
                logger.exception("what is watched could not be looked at")
                await asyncio.sleep(REST_S)
            if not self._watched:
                self._some.clear()

    async def look(self) -> None:
        """Looks once, and tells what has changed."""
        since, all_of = self._offset, list(self._watched.items())
        offset = since
        for start in range(0, len(all_of), AT_A_TIME):
            some = all_of[start : start + AT_A_TIME]
            found = await self._backing.compare(Compare([one.look for _, one in some], since))
            if start == 0:
                offset = found.offset
            if found.prints is None:
                continue
            for address, now in zip([address for address, _ in some], found.prints, strict=True):
                await self._compared(address, now)
        self._offset = offset  # not before: where a part could not be looked at, all are looked at again

    async def _compared(self, address: str, now: str) -> None:
        one = self._watched.get(address)
        if one is not None and one.print != now:
            one.print = now
            await self._tell(address)

    async def _print(self, look: LookUp) -> str:
        found = await self._backing.compare(Compare([look], -1))
        return found.prints[0] if found.prints else ""
