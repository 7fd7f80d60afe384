"""An app whose agent asks a model that has limits, and what its tests want to know of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from extrovert import App, Limits, Model, Price, Record, Table, Turn
from extrovert.core.ids import canonical
from extrovert.core.log import Admitted, Usage
from extrovert.core.time import span_us, to_us
from extrovert.testing.world import START
from extrovert.turns.declare import Agent
from extrovert.turns.request import Reply, Request
from tests.hosts import Host, body

__all__ = ["BEGIN_US", "PRICE", "Job", "Limited", "Told", "admitted", "limited", "sent_at"]

BEGIN_US = to_us(START)
PRICE = Price(input="1", output="2")
"""A thousand nano-dollars a token of the prompt, two thousand a token of the answer."""


class Job(Record):
    key: str
    text: str = ""


class Told:
    """Answers "done" after a while, and tells what it took; `does` may raise, or answer otherwise."""

    def __init__(
        self,
        thinks: timedelta | float = 0,
        *,
        tokens: int | None = None,
        does: Callable[[Any], Any] = lambda about: "done",
    ) -> None:
        self.thinks_us = span_us(thinks)
        self.tokens = tokens
        self.asked: list[str] = []
        self._does = does

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return self.thinks_us

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.about)
        answer = msgspec.Raw(canonical(self._does(request.about)))
        cost = None if self.tokens is None else self.tokens * 2_000
        usage = None if self.tokens is None else Usage("told", 0, self.tokens, cost_nano_usd=cost)
        return Reply(answer, usage)


class Limited:
    """An app with a model `gpt`, which a policy answers in 0 tokens of the prompt and at most `max_tokens`, and a
    table of jobs of an agent `work`. `of` may be a real model, whose prompts count; `cheap` are a fallback's options.
    """

    def __init__(
        self,
        *,
        of: str = "",
        max_tokens: int = 100,
        own: Limits | None = None,
        cheap: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.app = App("limited")
        self.done: dict[str, str] = {}

        @self.app.policy
        def rule(about: str) -> str:
            return "ruled"

        self.rule = rule
        if cheap is not None:
            options["fallback"] = self.app.model("cheap", rule, **cheap)
        self.gpt: Model = self.app.model("gpt", of or rule, max_tokens=max_tokens, price=PRICE, **options)
        self.jobs, self.work = self.agent("work", self.gpt, **({} if own is None else {"limits": own}))

    def agent(self, name: str, model: Any, **options: Any) -> tuple[Table[str, Job], Agent[Job]]:
        """One more agent, with a table of jobs."""
        jobs = self.app.table(f"{name}-jobs", Job, key=Job.key)

        async def work(turn: Turn, job: Job) -> None:
            self.done[job.key] = await turn.ask(job.text or job.key, output=str)

        work.__name__ = name
        options.setdefault("retry_after", timedelta(seconds=1))
        return jobs, self.app.agent(wakes_on=jobs, model=model, **options)(work)


def limited(path: Path | None, told: Any = None, **options: Any) -> tuple[Limited, Host]:
    """The app on a host, with what answers in the model's place."""
    one = Limited(**options)
    return one, Host(one.app, path, {"model:gpt": told or Told()})


def admitted(host: Host) -> list[tuple[float, Admitted]]:
    """What was sent, and at which second."""
    entries = [(entry, body(entry)) for entry in host.entries()]
    return [((entry.at_us - BEGIN_US) / 1e6, one) for entry, one in entries if isinstance(one, Admitted)]


def sent_at(host: Host) -> list[tuple[str, float]]:
    """Which turns' asks were sent, by their keys, and at which second."""
    return [(one.turn.split(":")[1].split("@")[0], at) for at, one in admitted(host)]
