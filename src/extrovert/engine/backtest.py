"""Backtest: recorded wakes played again by candidates, on the context as it was, and compared with what was decided.

The log is read once from the base before the span; questions that nobody has answered are collected on the way and, if
they may be asked, asked together; then the log is read again, until none is left. So the context needs no copies, and
asks of different wakes wait beside each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from extrovert.core.errors import DeclarationError, TransientError
from extrovert.core.ports import Store
from extrovert.engine.candidates import Candidate
from extrovert.engine.clock import wall_us
from extrovert.engine.comparing import Compared, compared, side_of
from extrovert.engine.declared import Declared
from extrovert.engine.outside import Outside
from extrovert.engine.playing import Playing
from extrovert.engine.recorded import Given, Recorded, recorded
from extrovert.engine.schema import check_schema
from extrovert.turns.request import Answer, Place, Question, Reply, Request

__all__ = ["Backtest", "OnMiss"]

OnMiss = Literal["refuse", "ask"]
"""What becomes of a question that the log has no answer to: it ends the wake as missed, or is asked."""

AT_A_TIME = 8
"""How many questions are asked at a time."""
MOST_ROUNDS = 100
"""A candidate that asks more in a row about one wake is taken to have no end."""

_Open = tuple[int, int]
"""A wake that is not played to its end: the number of the candidate, and the offset at which the turn ended."""


class Backtest:
    """Plays candidates for one agent. It only reads the store."""

    def __init__(
        self,
        declared: Declared,
        store: Store,
        candidates: Sequence[Candidate],
        *,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int | None = None,
        on_miss: OnMiss = "refuse",
        seed: int = 0,
    ) -> None:
        check_schema(declared, store)
        self.declared = declared
        self.store = store
        self.candidates = candidates
        self.agent = candidates[0].agent
        self.since_us = since_us
        self.until_us = until_us
        self.limit = limit
        self.on_miss = on_miss
        self.seed = seed
        self._outside = Outside()
        self._asked: dict[_Open, dict[Place, Given | Exception]] = {}
        self._found: dict[_Open, Compared] = {}

    async def run(self) -> list[Compared]:
        """All wakes of the span, in order, each with one comparison for each candidate."""
        try:
            missing = self._play()
            for _ in range(MOST_ROUNDS):
                if not missing or self.on_miss == "refuse":
                    break
                await self._ask(missing)
                missing = self._play(only=missing.keys())
        finally:
            await self._outside.close()
            for answerer in {
                id(by): by for one in self.candidates for by in (one.answerer, one.stale_answerer)
            }.values():
                if (closing := getattr(answerer, "close", None)) is not None:
                    await closing()
        return [self._found[place] for place in sorted(self._found, key=lambda place: (place[1], place[0]))]

    def _play(self, only: Any = None) -> dict[_Open, list[Question]]:
        """Reads the log once, and plays the wakes (or only some): the questions that could be asked, by wake."""
        missing: dict[_Open, list[Question]] = {}
        left = self.limit
        for one in recorded(self.declared, self.store, self.agent.name, self.since_us, self.until_us):
            if left is not None and (left := left - 1) < 0:
                break
            self._check(one)
            offset = one.fold.end
            for number, candidate in enumerate(self.candidates):
                place = number, offset
                if only is None or place in only:
                    asked = self._play_one(candidate, one, place)
                    if asked:
                        missing[place] = asked
        return missing

    def _play_one(self, candidate: Candidate, one: Recorded, place: _Open) -> list[Question]:
        playing = Playing(candidate, one, self._asked.get(place, {}), self.seed)
        side = playing.play()
        was = side_of(one.body, one.given.values())
        self._found[place] = compared(one.body, place[1], one.at_us, candidate.name, was, side)
        return playing.missing if all(_can_be_asked(question) for question in playing.missing) else []

    def _check(self, one: Recorded) -> None:
        if one.body.wake.on != self.agent.on:
            raise DeclarationError(
                f"Agent `{self.agent.name}` wakes on {self.agent.source} `{self.agent.on}`, but `{one.body.wake.on}` "
                f"woke turn {one.body.turn}. Only wakes of the same kind can be played again: begin later (--since)."
            )

    # ---- asking anew

    async def _ask(self, missing: dict[_Open, list[Question]]) -> None:
        room = asyncio.Semaphore(AT_A_TIME)

        async def ask(place: _Open, question: Question) -> None:
            async with room:
                found = await self._answered(place, self.candidates[place[0]], question)
            self._asked.setdefault(place, {})[question.place] = found

        await asyncio.gather(*(ask(place, question) for place, asked in missing.items() for question in asked))

    async def _answered(self, place: _Open, candidate: Candidate, question: Question) -> Given | Exception:
        """The answer to a question that is asked now, or what it failed with. What may pass is tried again, as the
        agent declares."""
        agent, request, tries = candidate.agent, question.request, 0
        while True:
            began_us = wall_us()
            try:
                if request.kind == "call":
                    reply = await self._outside.reply(f"{place[0]}@{place[1]}", request)
                else:
                    reply = await _reply(candidate, request)
                msgspec.json.decode(reply.answer)
            except Exception as error:
                tries += 1
                if not isinstance(error, TransientError) or tries >= agent.max_tries:
                    return error
                wait_s = agent.retry_after.total_seconds() * 2 ** (tries - 1)
                await asyncio.sleep(wait_s if error.retry_after_s is None else error.retry_after_s)
            else:
                return Given(Answer(0, 0, reply.answer), request.kind, wall_us() - began_us, reply.usage)


def _can_be_asked(question: Question) -> bool:
    """Whether somebody could answer it now. What would have come of a wait, nobody knows."""
    return question.request.kind in ("ask", "call")


async def _reply(candidate: Candidate, request: Request) -> Reply:
    answerer: Any = candidate.answers(request.model)
    if answerer is None:
        raise DeclarationError(f"Agent `{candidate.agent.name}` asks `{request.model}`, and nothing answers for that.")
    said: Any = await answerer(request)
    return said if isinstance(said, Reply) else Reply(said)
