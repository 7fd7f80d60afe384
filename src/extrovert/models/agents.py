"""Agents of Pydantic AI under way: each runs in a task of its own until it wants something that the turn has to give.

A turn hands on, with each step, all that the agent has heard so far. An agent that waits just there goes on; where
there is none (after a restart, or since the turn is run again) one begins anew, and hears at once what was heard
before.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

from msgspec import Raw

from extrovert.core.errors import MissingExtra, PermanentError
from extrovert.core.ids import canonical, fingerprint
from extrovert.turns.delegating import Asks, Delegated, DelegatedTool, Ends, Runs, Step, Uses

__all__ = ["Agents", "Run"]

MOST = 256
"""So many agents wait at most; those that have waited longest are let go, and begin anew if they are wanted."""


class Agents:
    """The agents that run, by the turn for which they do and what they have heard."""

    def __init__(self) -> None:
        if find_spec("pydantic_ai") is None:
            raise MissingExtra("The package `pydantic-ai-slim`, for running agents,", "models")
        self._waiting: OrderedDict[tuple[str, str], tuple[str, Run]] = OrderedDict()

    async def step(self, turn: str, work: Delegated) -> Raw:
        """What the agent wants next, or its result. Raises what ends its run, `PermanentError` for what the library
        says."""
        run = self._found(turn, work, len(work.heard) - 1)
        if run is None:
            run = Run(work)
        else:
            run.hear(*work.heard[-1])
        step = await self._next(run, work)
        if not isinstance(step, Ends):
            self._keep(turn, work, run)
        return Raw(canonical(step))

    async def call(self, turn: str, tool: DelegatedTool) -> Raw:
        """What a tool of the agent's own gives. Raises what it raises."""
        work = tool.work
        run = self._found(turn, work, len(work.heard))
        if run is None:
            run = Run(work)
            await self._next(run, work)
        self._keep(turn, work, run)
        call = run.calls.get(tool.name)
        if call is None:
            raise PermanentError(
                f"Agent `{work.agent.name or 'agent'}` does not do again what it did: it has called another tool than "
                f"before. What it does between two requests must not depend on the clock or on chance."
            )
        return await call()

    async def _next(self, run: Run, work: Delegated) -> Step:
        from pydantic_ai.exceptions import AgentRunError, UserError

        try:
            return await run.next()
        except (AgentRunError, UserError) as error:
            raise PermanentError(f"Agent `{work.agent.name or 'agent'}` came to no result: {error}") from error
        except BaseException:
            run.close()
            raise

    def _found(self, turn: str, work: Delegated, heard: int) -> Run | None:
        """The run of this work that has heard so much. One that has heard otherwise, since the turn was run again, is
        let go."""
        place, run = self._waiting.pop((turn, _named(work)), ("", None))
        if run is None or (heard >= 0 and place == _heard(work, heard)):
            return run
        run.close()
        return None

    def _keep(self, turn: str, work: Delegated, run: Run) -> None:
        other = self._waiting.pop((turn, _named(work)), None)
        if other is None and len(self._waiting) >= MOST:
            _, other = self._waiting.popitem(last=False)
        self._waiting[turn, _named(work)] = _heard(work, len(work.heard)), run
        if other is not None:
            other[1].close()

    async def close(self) -> None:
        """Lets all go."""
        runs = [run for _, run in self._waiting.values()]
        self._waiting.clear()
        for run in runs:
            run.close()
        await asyncio.gather(*(run.task for run in runs), return_exceptions=True)


def _named(work: Delegated) -> str:
    """Names the work in its turn."""
    return fingerprint(str(id(work.agent)), work.prompt, work.tools)


def _heard(work: Delegated, heard: int) -> str:
    """Names the first of what `work` has heard, so many."""
    return fingerprint(*(part for name, value in work.heard[:heard] for part in (name, bytes(value))))


class Run:
    """One run of an agent. What it has heard before is there from the start. `calls` has the tools of its own that it
    waits for."""

    def __init__(self, work: Delegated) -> None:
        self.calls: dict[str, Callable[[], Awaitable[Raw]]] = {}
        self._heard = dict(work.heard)
        self._wants: dict[str, tuple[Step, asyncio.Future[Raw]]] = {}
        self._wanted = asyncio.Event()
        self._names: Counter[str] = Counter()
        self._messages: list[Raw] = []
        self.task = asyncio.create_task(self._work(work), name="agent")

    async def next(self) -> Step:
        """What it wants first of what it has not heard, or its end. Raises what it has failed with."""
        while not self._wants and not self.task.done():
            self._wanted.clear()
            wanted = asyncio.ensure_future(self._wanted.wait())
            try:
                await asyncio.wait((wanted, self.task), return_when=asyncio.FIRST_COMPLETED)
            finally:
                wanted.cancel()
        for step, _ in self._wants.values():
            return step
        return Ends(self.task.result())

    def hear(self, name: str, value: Raw) -> None:
        """It gets what it waits for."""
        self._heard[name] = value
        self.calls.pop(name, None)
        _, future = self._wants.pop(name, (None, None))
        if future is not None and not future.done():
            future.set_result(value)

    def close(self) -> None:
        """It need not go on."""
        self.task.cancel()

    async def _work(self, work: Delegated) -> Raw:
        from pydantic_core import to_jsonable_python

        from extrovert.models.delegated import running

        return Raw(canonical(to_jsonable_python(await running(self, work))))

    # ---- what it wants

    async def ask(self, messages: list[Raw], parameters: Raw) -> Raw:
        """An answer of its model."""
        same = 0
        while same < min(len(messages), len(self._messages)) and messages[same] == self._messages[same]:
            same += 1
        self._messages = messages
        name = self._name("ask", parameters, *messages)
        return await self._get(Asks(name, same, messages[same:], parameters))

    async def use(self, tool: str, arguments: Any) -> Raw:
        """What comes of a call of a tool of the turn: a `Result`."""
        return await self._get(Uses(self._name("use", tool, canonical(arguments)), tool, arguments))

    async def call(self, tool: str, arguments: Any, call: Callable[[], Awaitable[Raw]]) -> Raw:
        """What comes of a call of a tool of its own, which `call` makes."""
        name = self._name("call", tool, canonical(arguments))
        if name not in self._heard:
            self.calls[name] = call
        return await self._get(Runs(name, tool, arguments))

    def _name(self, *parts: Any) -> str:
        name = fingerprint(*(part if isinstance(part, str) else bytes(part) for part in parts))
        self._names[name] += 1
        return f"{name}/{self._names[name]}"

    async def _get(self, step: Asks | Uses | Runs) -> Raw:
        known = self._heard.get(step.name)
        if known is not None:
            return known
        future: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        self._wants[step.name] = step, future
        self._wanted.set()
        return await future
