"""Remembered asks, as one attempt sees them: what it has asked, where that is remembered, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extrovert.turns.request import Answer, Place, Question, Refusal, Request

__all__ = ["Memo"]


class Memo:
    """The asks of one attempt: `asked` has their places in order, `used` the answers that it took.

    `latest` is the question whose answer it took last; `latest_ask` the latest to a model, with that answer (a learner
    cannot be told why its answer is refused). `at_us` is the time of the newest answer that it took. A guarded turn is
    given the `positions` of its answers. `aged` says that it wanted answers of no more than an age.
    """

    def __init__(
        self,
        answers: Mapping[Place, Answer],
        refusals: Mapping[Place, tuple[Refusal, ...]],
        positions: Sequence[Place],
        clock_us: int,
        started_us: int,
    ) -> None:
        self.asked: list[Place] = []
        self.used: list[Answer] = []
        self.latest: Question | None = None
        self.latest_ask: tuple[Question, Answer] | None = None
        self.at_us = started_us
        self.aged = False
        self._answers = answers
        self._refusals = refusals
        self._positions = positions
        self._clock_us = clock_us
        self._occurrences: dict[str, int] = {}

    def question(self, request: Request) -> Question:
        """The request as it is to be sent (with refusals), and its places."""
        base = self._next_place(request)
        self.asked.append(base)
        refusals = self._refusals.get(base)
        if not refusals:
            return Question(request, base, base)
        request = request.refused(refusals)
        return Question(request, self._place(request), base)

    def knows(self, question: Question) -> bool:
        """Whether the question is answered."""
        return question.place in self._answers

    def take(self, question: Question) -> Answer:
        """The answer to a question that is answered."""
        answer = self._answers[question.place]
        self.used.append(answer)
        self.latest = question
        if question.request.kind == "ask" and not question.request.model.startswith("learner:"):
            self.latest_ask = question, answer
        self.at_us = max(self.at_us, answer.at_us)
        return answer

    def _next_place(self, request: Request) -> Place:
        """Where the answer is remembered: in a guarded turn that of the question that was asked in this position, where
        it need not be the answer to exactly this."""
        position = len(self.asked)
        if request.exact or position >= len(self._positions):
            return self._place(request)
        place = self._positions[position]
        self._occurrences[place[0]] = max(self._occurrences.get(place[0], 0), place[1] + 1)
        return place

    def _place(self, request: Request) -> Place:
        """The hash of a request, and which occurrence in this attempt it is; answers that are too old are passed by."""
        occurrence = self._occurrences.get(request.hash, 0)
        if request.max_age_us is not None:
            self.aged = True
            oldest_us = self._clock_us - request.max_age_us
            while (answer := self._answers.get((request.hash, occurrence))) is not None and answer.at_us < oldest_us:
                occurrence += 1
        self._occurrences[request.hash] = occurrence + 1
        return request.hash, occurrence
