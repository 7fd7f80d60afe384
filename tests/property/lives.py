"""Lives: random apps run on an engine in virtual time."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import msgspec

from extrovert.core.time import span_us
from extrovert.engine.calls import Answerer
from extrovert.engine.clock import VirtualClock
from extrovert.engine.declared import Declared
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
from tests.property.programs import BEGIN_US, Answers, Plan, app_of

__all__ = ["SPAN_S", "Life"]

SPAN_S = 8


class Life:
    """One engine with a plan, on a store in memory; it runs for `SPAN_S` seconds of its time.

    With `kept_us` its log is kept for so long.
    """

    def __init__(self, plan: Plan, *, kept_us: int | None = None, **settings: Any) -> None:
        self.plan = plan
        declared = app_of(plan.programs, plan.happenings).declared()
        self.answers = Answers(plan.seed)

        def answerers(seed: int) -> dict[str, Answerer]:
            return {"policy:any": self.answers}

        self.declared: Declared = msgspec.structs.replace(declared, answerers=answerers, retention_us=kept_us)
        self.settings = Settings(**settings)
        self.store = SqliteStore(None)
        weakref.finalize(self, self.store.close)
        self.begin()

    def begin(self) -> None:
        """An engine from where the log ends; what the one before had not written is lost."""
        self.engine = Engine(self.declared, self.store, VirtualClock(BEGIN_US), self.settings)
        self.engine.start()

    def run(self, seconds: float = SPAN_S, then: Callable[[], None] = lambda: None) -> None:
        """Lets the engine run until so many seconds after the beginning, and makes the log durable."""

        async def live() -> None:
            await self.engine.run(until=BEGIN_US + span_us(float(seconds)))
            then()

        asyncio.run(live())
        self.engine.writing.flush()
