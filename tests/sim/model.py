"""The model: it thinks, lies, fails, hangs and answers late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from extrovert import PermanentError, TransientError
from extrovert.turns.request import Request

if TYPE_CHECKING:
    from tests.sim.world import World

__all__ = ["Model"]

THINKS_MS = [0, 2, 7, 40, 300, 1_300]
LATE_US, HANGS_US = 2_500_000, 40_000_000


class Model:
    """Answers by what is asked, after a while that hangs on who asks what: of engine time, or of the loop's."""

    def __init__(self, world: World) -> None:
        self.world = world

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        draw = crc32(f"{self.world.plan.seed}|{agent}|{key}|{request_hash}|{occurrence}".encode())
        extra_us = {"late": LATE_US, "hangs": HANGS_US, "": 0}[self.world.power.at("think")]
        return THINKS_MS[draw % len(THINKS_MS)] * 1000 + extra_us

    def answer(self, request: Request) -> msgspec.Raw:
        match self.world.power.at("answer"):
            case "dies before":
                self.world.die()
            case "fails":
                raise TransientError("overloaded")
            case "breaks":
                raise PermanentError("no such model")
            case "lies":
                return msgspec.Raw(b'"as you wish"')
            case _:
                return msgspec.Raw(str(crc32(request.hash.encode()) % 1_000).encode())

    async def beside_the_loop(self, request: Request) -> msgspec.Raw:
        await asyncio.sleep(self.takes_us("", "", request.hash, 0) / 1_000_000)
        return self.answer(request)

    async def read_outside(self, what: str) -> Any:
        """A read of something outside that changes; it fails as a model does."""
        await asyncio.sleep(0.001)
        request = Request("call", "outside", f"{what} at {self.world.now_us // 20_000}", int)
        return msgspec.json.decode(self.answer(request))
