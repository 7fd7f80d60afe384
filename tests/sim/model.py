"""The model: it thinks, lies, fails, hangs and answers late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from extrovert import PermanentError, TransientError
from extrovert.core.log import Usage
from extrovert.turns.request import Reply, Request
from tests.sim.bounds import MOST_TOKENS, PRICE
from tests.sim.power import LIFE, Life

if TYPE_CHECKING:
    from tests.sim.world import World

__all__ = ["Model"]

THINKS_MS = [0, 2, 7, 40, 300, 1_300]
LATE_US, HANGS_US = 2_500_000, 40_000_000


class Model:
    """Answers by what is asked, after a while that hangs on who asks what: of engine time, or of the loop's.

    One that has limits says what it took, mostly. What it is asked beside the loop it counts itself.
    """

    def __init__(self, world: World, name: str = "") -> None:
        self.world = world
        self.name = name
        self._in_flight: list[Life] = []

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        draw = crc32(f"{self.world.plan.seed}|{agent}|{key}|{request_hash}|{occurrence}".encode())
        extra_us = {"late": LATE_US, "hangs": HANGS_US, "": 0}[self.world.power.at("think")]
        return THINKS_MS[draw % len(THINKS_MS)] * 1000 + extra_us

    def answer(self, request: Request) -> Reply:
        draw = crc32(request.hash.encode())
        match self.world.power.at("answer"):
            case "dies before":
                self.world.die()
            case "fails":
                raise self._overloaded(draw)
            case "breaks":
                raise PermanentError("no such model")
            case "lies":
                return Reply(msgspec.Raw(b'"as you wish"'))
            case _:
                return Reply(msgspec.Raw(str(draw % 1_000).encode()), self._usage(draw))

    def _overloaded(self, draw: int) -> TransientError:
        """One with limits may say when to come back, and that this was for nothing."""
        if not self.name.startswith("model:"):
            return TransientError("overloaded")
        return TransientError("overloaded", retry_after_s=[None, 0.2, 1][draw % 3], free=draw % 2 == 0)

    def _usage(self, draw: int) -> Usage | None:
        tokens = draw % (MOST_TOKENS + 1)
        if not self.name.startswith("model:") or tokens % 4 == 0:
            return None
        return Usage(self.name, 0, tokens, cost_nano_usd=PRICE.nano_usd(0, tokens))

    async def beside_the_loop(self, request: Request) -> Reply:
        life = LIFE.get()
        self._in_flight.append(life)
        try:
            self.world.auditor.budgets.sending(self.name, request.about, self._in_flight.count(life))
            await asyncio.sleep(self.takes_us("", "", request.hash, 0) / 1_000_000)
            return self.answer(request)
        finally:
            self._in_flight.remove(life)

    async def read_outside(self, what: str) -> Any:
        """A read of something outside that changes; it fails as a model does."""
        await asyncio.sleep(0.001)
        request = Request("call", "outside", f"{what} at {self.world.now_us // 20_000}", int)
        return msgspec.json.decode(self.answer(request).answer)
