"""Calls: asks in flight, answered by policies in engine time or by coroutines beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from extrovert.context.live import LiveContext
from extrovert.core.errors import DeclarationError
from extrovert.core.schema import is_text
from extrovert.engine.outside import Outside
from extrovert.engine.shard import Call
from extrovert.engine.words import Begun, Cut, Delta, Done, Words
from extrovert.turns.request import Place, Reply, Request

__all__ = ["Answerer", "Calls", "Outcome", "OverContext", "Speaker", "TimedAnswerer", "over"]


class TimedAnswerer(Protocol):
    """Answers at once, but is taken to think for a while of engine time."""

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int: ...

    def answer(self, request: Request) -> msgspec.Raw | Reply: ...


class OverContext(Protocol):
    """Answers from what live context is when it is asked: `over` gives it one."""

    def over(self, context: LiveContext) -> TimedAnswerer: ...


class Speaker(Protocol):
    """Answers, and tells its words as they come where that is wanted."""

    async def __call__(self, request: Request) -> Reply: ...

    async def streamed(self, request: Request, heard: Callable[[str], None]) -> Reply: ...


Answerer = TimedAnswerer | OverContext | Callable[[Request], Awaitable[msgspec.Raw | Reply]]
Outcome = tuple[Call, Reply | Exception]


def over(context: LiveContext, answerer: Any) -> Any:
    """The answerer, over this live context where it answers from that."""
    return answerer.over(context) if hasattr(answerer, "over") else answerer


class Calls:
    """The calls in flight outside the engine's time: tasks, which can be cancelled.

    `answerers` are found by the model's name; one under `agent:NAME` answers all asks of that agent instead, but for
    those that go to a learner, or to a policy in a model's place. `words` has what models are saying.
    """

    def __init__(self, answerers: dict[str, Answerer]) -> None:
        self.words = Words()
        self._outside = Outside()
        self._answerers = answerers
        self._tasks: dict[tuple[str, Place], asyncio.Task[None]] = {}
        self._speaking: dict[tuple[str, Place], Call] = {}

    @property
    def outstanding(self) -> bool:
        """Whether real work is under way, so that virtual time stands still."""
        return bool(self._tasks)

    def answer_for(self, name: str, answerer: Answerer) -> None:
        """From now on all asks of this model, or of the agent in `agent:NAME`, go to `answerer`."""
        self._answerers[name] = answerer

    def timed(self, call: Call) -> bool:
        """Whether `call` is answered in engine time, and not by real work."""
        return call.error is not None or self._timed(call) is not None

    def due_us(self, call: Call) -> int | None:
        """The engine time at which `call` is answered, or None where that takes real work."""
        begun_us = call.at_us if call.begun_us is None else call.begun_us
        if call.error is not None:
            return begun_us
        answerer = self._timed(call)
        return None if answerer is None else begun_us + answerer.takes_us(call.agent, call.key, *call.place)

    def answer(self, call: Call) -> Reply | Exception:
        """The answer of a timed answerer; what it raises is the call's error."""
        if call.error is not None:
            return call.error
        try:
            answerer: Any = self._answerer(call)
            answer: msgspec.Raw | Reply = answerer.answer(call.request)
            return answer if isinstance(answer, Reply) else Reply(answer)
        except Exception as error:
            return error

    def start(self, call: Call, done: Callable[[Outcome], None]) -> None:
        """Starts real work on `call`; `done` is called in the loop when it has ended."""
        place = (call.turn, call.place)

        async def work() -> None:
            try:
                outcome: Reply | Exception = await self._work(call)
                msgspec.json.decode(outcome.answer)  # what is no JSON would make the log unreadable
            except Exception as error:
                outcome = error
            self._tasks.pop(place, None)
            done((call, outcome))

        self._tasks[place] = asyncio.create_task(work(), name=f"ask {call.turn}")

    def cancel(self, turn: str, place: Place) -> None:
        """Nobody waits for this call any more."""
        task = self._tasks.pop((turn, place), None)
        if task is not None:
            self._fall_silent((turn, place), self._speaking.get((turn, place)))
            task.cancel()

    async def close(self) -> None:
        """Cancels all that is in flight and waits until it has ended."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._outside.close()
        for answerer in self._answerers.values():
            if (closing := getattr(answerer, "close", None)) is not None:
                await closing()

    async def _work(self, call: Call) -> Reply:
        request = call.request
        if request.kind == "call":
            return await self._outside.reply(call.turn, request)
        answerer: Any = self._answerer(call)
        if is_text(request.output) and hasattr(answerer, "streamed") and self.words.wanted(call.agent, call.key):
            return await self._spoken(call, answerer)
        answer: msgspec.Raw | Reply = await answerer(request)
        return answer if isinstance(answer, Reply) else Reply(answer)

    async def _spoken(self, call: Call, speaker: Speaker) -> Reply:
        """The answer, of which each word is told as it comes."""
        place, name = (call.turn, call.place), _name(call)

        def heard(text: str) -> None:
            if text and self._speaking.get(place) is call:
                self.words.tell(call.agent, call.key, Delta(name, text))

        self._speaking[place] = call
        self.words.tell(call.agent, call.key, Begun(name))
        try:
            reply = await speaker.streamed(call.request, heard)
        except BaseException:
            self._fall_silent(place, call)
            raise
        if self._speaking.get(place) is call:
            del self._speaking[place]
            self.words.tell(call.agent, call.key, Done(name))
        return reply

    def _fall_silent(self, place: tuple[str, Place], call: Call | None) -> None:
        """What this call is saying is cut off, at once; another one may speak in its place by now."""
        if call is not None and self._speaking.get(place) is call:
            del self._speaking[place]
            self.words.tell(call.agent, call.key, Cut(_name(call)))

    def _timed(self, call: Call) -> TimedAnswerer | None:
        """Who answers `call` in engine time; None where that takes real work."""
        answerer = None if call.request.kind == "call" else self._answerer(call)
        return answerer if hasattr(answerer, "takes_us") else None  # pyright: ignore[reportReturnType]

    def _answerer(self, call: Call) -> Answerer:
        model = call.to or call.request.model
        ruled = (model.startswith("policy:") and model != call.request.model) or model.startswith("learner:")
        found = None if ruled else self._answerers.get(f"agent:{call.agent}")
        found = found or self._answerers.get(model)
        if found is None:
            raise DeclarationError(f"Agent `{call.agent}` asks `{model}`, and nothing answers for that.")
        return found


def _name(call: Call) -> str:
    """A name of the request, for those who hear its words."""
    digest, occurrence = call.place
    return f"{call.turn}/{digest}/{occurrence}"
