"""Playing: one candidate on one recorded wake, over the context as it was, with what was answered then.

It is run in rounds, as the engine runs a turn: an attempt from the start, answers to all that it waits for, and again,
until it decides. What it changes is kept and not applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from extrovert.core.log import Decided, Usage
from extrovert.engine.aged import Aged
from extrovert.engine.calls import over
from extrovert.engine.candidates import Candidate
from extrovert.engine.comparing import THOUGHT, Side, spent
from extrovert.engine.recorded import Given, Recorded
from extrovert.turns.attempt import Attempt
from extrovert.turns.buffered import emits_of, writes_of
from extrovert.turns.given import scope_of, value_of, wanted
from extrovert.turns.intended import intents
from extrovert.turns.request import Answer, Place, Question, Refusal, Reply
from extrovert.turns.running import Running
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Turn

__all__ = ["Asked", "Playing"]

NULL = msgspec.Raw(b"null")

Asked = Mapping[Place, Given | Exception]
"""What was asked anew for a wake: the answers, and what came in place of some."""


class Playing:
    """One candidate on one wake. After `play` it has a `side`, or it is `missing` the answers to some questions."""

    def __init__(self, candidate: Candidate, recorded: Recorded, asked: Asked, seed: int) -> None:
        self.candidate = candidate
        self.recorded = recorded
        self.asked = asked
        self.seed = seed
        self.missing: list[Question] = []
        was, self.agent = recorded.turn, candidate.agent
        self.turn = Running(self.agent, was.key, was.wake, was.events, was.started_us)
        self._positions = () if candidate.changed else tuple(was.positions)
        self._answers: dict[Place, Answer] = {}
        self._usages: list[Usage | None] = []
        self._remembered = 0
        self._thought_us = 0
        self._clock_us = was.started_us
        self._aged = Aged(recorded, self.agent)
        self._value: Any = None

    def play(self) -> Side:
        """What the candidate makes of the wake; "missed" where answers are missing."""
        try:
            value = wanted(self.agent, value_of(self.recorded.fold, self.turn)[0])
        except Exception as error:
            return self._side("failed", f"{type(error).__name__}: {error}")
        if value is None and self.agent.declines_none:
            return self._side("gone")
        self._value = value
        while True:
            attempt = Attempt(self.agent, value, self._scope, self._new_turn)
            attempt.run()
            if self._aged.more(attempt):
                attempt.drop()
                if self._aged.outcome:
                    return self._side(self._aged.outcome, self._aged.cause)
                continue
            if attempt.error is not None:
                return self._side("failed", f"{type(attempt.error).__name__}: {attempt.error}")
            if not attempt.questions:
                return self._decided(attempt)
            attempt.drop()
            failed = self._answer(attempt.questions)
            if failed is not None:
                return self._side("failed", f"{type(failed).__name__}: {failed}")
            if self.missing:
                return self._side("missed", "; ".join(map(_told, self.missing)))

    def _scope(self) -> TurnScope:
        return scope_of(self.recorded.fold, self.turn)

    def _new_turn(self, scope: TurnScope, refusals: Mapping[Place, tuple[Refusal, ...]]) -> Turn:
        was, body = self.recorded.turn, self.recorded.body
        changed = body.changed if isinstance(body, Decided) else []
        return Turn(
            body.turn,
            self.agent,
            was.key,
            scope,
            events=[event for _, event in was.events],
            started_us=was.started_us,
            seed=self.seed,
            answers=self._answers,
            refusals=refusals,
            changes=tuple(dict.fromkeys((*was.changes, *changed))),
            clock_us=self.recorded.at_us,
            positions=self._positions,
            silent=self._aged.silent,
            value=self._value,
            old=self._old(),
        )

    def _old(self) -> Any:
        """What the turn before had seen, for a candidate that takes it."""
        was = self.recorded.turn
        return self.agent.old_value(self.recorded.fold.books[was.agent.name].olds.get(was.key))

    # ---- answering

    def _answer(self, questions: tuple[Question, ...]) -> Exception | None:
        """Answers a round of questions, as far as that can be; what failed fails the turn."""
        longest_us = 0
        for question in questions:
            found = self._found(question)
            if isinstance(found, Exception):
                return found
            if found is None:
                self.missing.append(question)
                continue
            self._answers[question.place] = found.answer
            if question.request.kind in THOUGHT:
                self._usages.append(found.usage)
                longest_us = max(longest_us, found.thought_us)
        self._thought_us += longest_us
        self._clock_us = max([self._clock_us, *(answer.at_us for answer in self._answers.values())])
        return None

    def _found(self, question: Question) -> Given | Exception | None:
        """The answer as a policy gives it, as remembered, or as asked for anew; None where there is none.

        A policy is asked also where the log has its answer: that costs nothing, and its rule may be what has changed. A
        learner says what it has learnt up to then; another edition of it was not asked this question.
        """
        place, request = question.place, question.request
        answerer = over(self.recorded.fold.context, self.candidate.answers(request.model))
        answer = self.recorded.turn.answers.get(place)
        said = request.model.startswith("learner:") and answer is not None  # it may have learnt since
        if request.kind == "ask" and hasattr(answerer, "takes_us") and place not in self._positions and not said:
            return self._by_policy(question, answerer)
        if answer is not None:
            self._remembered += request.kind in THOUGHT
            known = self.recorded.given.get(place)
            return known or Given(answer, request.kind, max(0, answer.at_us - self._clock_us))
        if place in self.asked:
            found = self.asked[place]
            if isinstance(found, Exception):
                return found
            answer = found.answer.but(at_us=self._clock_us + found.thought_us)
            return msgspec.structs.replace(found, answer=answer)
        if request.kind == "sleep" and request.about.until_us <= self.recorded.at_us:
            return Given(Answer(0, request.about.until_us, NULL), "sleep", 0)
        return None

    def _by_policy(self, question: Question, answerer: Any) -> Given | Exception:
        took_us = answerer.takes_us(self.agent.name, self.turn.key, *question.place)
        try:
            said: msgspec.Raw | Reply = answerer.answer(question.request)
        except Exception as error:
            return error
        reply = said if isinstance(said, Reply) else Reply(said)
        return Given(Answer(0, self._clock_us + took_us, reply.answer), "ask", took_us, reply.usage)

    # ---- its end

    def _decided(self, attempt: Attempt) -> Side:
        seen = attempt.turn
        return self._side("decided").but(
            writes=writes_of(attempt.scope),
            emits=emits_of(seen),
            effects=intents(seen.staged.intended),
            undoes=seen.staged.undone,
        )

    def _side(self, outcome: str, cause: str = "") -> Side:
        side = Side(
            outcome=outcome,
            cause=cause,
            asks=len(self._usages),
            remembered=self._remembered,
            thought_ms=self._thought_us / 1000,
        )
        return spent(side, self._usages)


def _told(question: Question) -> str:
    """What is not answered, to a person."""
    request = question.request
    words = {"ask": "asks", "call": "calls", "sleep": "sleeps by", "next": "waits for", "approval": "wants from"}
    about = request.about_json.decode()
    return f"{words[request.kind]} `{request.model}`: {about if len(about) <= 200 else about[:200] + '…'}"
