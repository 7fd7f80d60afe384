"""What effects act on: it does the work, and is asked over a network where all may be lost or late."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from extrovert import PermanentError, TransientError
from tests.sim.power import LIFE

if TYPE_CHECKING:
    from tests.sim.world import World

__all__ = ["Target"]


class Target:
    """Counts what was `done`, by idempotency key. What it drops it does once; a key of which it has said that nothing
    happened is closed for those who asked before, as `reconcile` promises; and it refuses nothing that it has done."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: Counter[str] = Counter()
        self.late: list[tuple[str, bool, int]] = []
        self._closed: dict[str, int] = {}

    async def act(self, effect: str, what: str, key: str, *, drops: bool) -> str:
        world = self.world
        world.note(f"{effect}({what}) under {key}")
        fault = world.power.at("act")
        world.auditor.acts.acting(key)
        await asyncio.sleep(world.latency_s())
        LIFE.get().check()
        match fault:
            case "dies before":
                world.die()
            case "arrives late":
                self.late.append((key, drops, LIFE.get().number))
                world.die()
            case "busy":
                raise TransientError("busy")
            case "refused" if not self.done[key]:
                raise PermanentError("refused")
            case "is lost":
                raise ConnectionResetError("lost")
            case _:
                pass
        if not self._do(key, drops, LIFE.get().number):
            raise ConnectionResetError("closed")
        await asyncio.sleep(world.latency_s())
        if fault == "dies after":
            world.die()
        if fault == "times out":
            raise TimeoutError("no answer")
        return "done"

    def _do(self, key: str, drops: bool, life: int) -> bool:
        """Does the work, unless it was done; not where the key is closed."""
        if self._closed.get(key, 0) > life:
            return False
        if not (drops and self.done[key]):
            self.done[key] += 1
        return True

    def happened(self, key: str) -> bool:
        """Whether it was done under this key; if it was not, it will not be for who has asked before."""
        self.arrive(of=key)
        if not self.done[key]:
            self._closed[key] = LIFE.get().number
        return bool(self.done[key])

    async def read(self, what: str) -> int:
        """Something that changes every few milliseconds."""
        return await self.world.outside.read_outside(what)

    async def look_up(self, key: str) -> str | None:
        world = self.world
        fault = world.power.at("look up")
        if fault == "dies before":
            world.die()
        if fault == "fails":
            raise ConnectionResetError("lost")
        happened = self.happened(key)
        world.note(f"looked up {key}: {'done' if happened else 'not done'}")
        return "done" if happened else None

    def arrive(self, of: str | None = None) -> None:
        """What was under way arrives; before a look-up of it at the latest."""
        for one in [one for one in self.late if of in (None, one[0])]:
            self.late.remove(one)
            self._do(*one)
