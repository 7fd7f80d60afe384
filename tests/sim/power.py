"""What goes wrong, when; and the life of one engine, which ends by it."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from typing import Any, NoReturn

from extrovert.engine.loop import Engine
from tests.sim.plan import Plan

__all__ = ["LIFE", "CutOff", "Life", "Power", "PowerCut"]


class PowerCut(BaseException):
    """The engine's process ends here."""


class CutOff(BaseException):
    """The engine's process stands still, or cannot be reached; another one takes its place."""


class Power:
    """Says what goes wrong each time that a point is passed; nothing any more when it is `off`."""

    def __init__(self, plan: Plan) -> None:
        self._faults = {(fault.point, fault.nth): fault.what for fault in plan.faults}
        self._passed: Counter[str] = Counter()
        self.off = False
        self.fired: list[str] = []

    def at(self, point: str) -> str:
        """The fault at this point; raises `PowerCut` for who is dead already, and passes nothing any more."""
        LIFE.get().check()
        self._passed[point] += 1
        found = "" if self.off else self._faults.get((point, self._passed[point]), "")
        if found:
            self.fired.append(f"{point}: {found}")
        return found


class Life:
    """One engine, from its start to its end. When it is `dead`, nothing of it gets out any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.engine: Engine | None = None
        self.instants = 0
        self.dead = False

    def die(self) -> NoReturn:
        self.dead = True
        if self.engine is not None:
            self.engine.nudge()
        raise PowerCut

    def check(self) -> None:
        """Raises `PowerCut` for who is dead."""
        if self.dead:
            raise PowerCut

    async def run(self, until: Any) -> None:
        """Runs the engine; what it begins knows whose life it is."""
        assert self.engine is not None
        LIFE.set(self)
        await self.engine.run(until=until)


LIFE: ContextVar[Life] = ContextVar("LIFE")
"""Whose work is being done."""
