"""Asking: what a turn awaits, and how several of them are awaited at once.

What a coroutine hands out when it cannot go on is a tuple of questions, and whoever drives it goes on as soon as one of
them is answered. Every question is handed out once before its answer is used, so that parts that are awaited together
ask in rounds: the occurrences of equal questions then hardly depend on which answers are there.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from extrovert.core.errors import TurnError
from extrovert.core.ids import canonical
from extrovert.core.log import AskSent, Emit
from extrovert.turns.request import Question, Request
from extrovert.turns.waits import Awaited

if TYPE_CHECKING:
    from extrovert.turns.turn import Turn

__all__ = ["Asking", "Gathering", "emitted", "parts_of", "questions_of", "sent"]

Part = Coroutine[Any, Any, Any]


def questions_of(handed_out: Any) -> tuple[Question, ...] | None:
    """What a coroutine handed out, if these are questions; None for what a turn cannot wait for."""
    if isinstance(handed_out, tuple) and all(isinstance(one, Question) for one in handed_out):  # pyright: ignore[reportUnknownVariableType]
        return handed_out  # pyright: ignore[reportUnknownVariableType]
    return None


class Asking:
    """One request, awaited: its answer, as the type that is wanted."""

    __slots__ = ("request", "turn")

    def __init__(self, turn: Turn, request: Request) -> None:
        self.turn = turn
        self.request = request

    def __await__(self) -> Generator[tuple[Question, ...], None, Any]:
        question = self.turn.memo.question(self.request)
        self.turn.asks()
        yield (question,)
        while not self.turn.memo.knows(question):
            yield (question,)
        answer = question.request.decode(self.turn.memo.take(question).value)
        self.turn.answered(question, answer)
        return answer


class Gathering:
    """Several parts of a turn, awaited together: their results, in order. What one raises ends all."""

    __slots__ = ("parts", "turn")

    def __init__(self, turn: Turn, parts: Sequence[Part]) -> None:
        self.turn = turn
        self.parts = parts

    def __await__(self) -> Generator[tuple[Question, ...], None, list[Any]]:
        self.turn.gathers = True
        results: list[Any] = [None] * len(self.parts)
        waiting: dict[int, tuple[Question, ...] | None] = dict.fromkeys(range(len(self.parts)))
        try:
            while waiting:
                able = [at for at, asked in waiting.items() if asked is None or any(map(self.turn.memo.knows, asked))]
                if not able:
                    yield tuple(question for asked in waiting.values() for question in asked or ())
                for at in able:
                    try:
                        handed_out = self.parts[at].send(None)
                    except StopIteration as done:
                        results[at] = done.value
                        del waiting[at]
                        continue
                    asked = questions_of(handed_out)
                    if asked is None:
                        yield handed_out  # whoever drives this says what is wrong with it
                    waiting[at] = asked
            return results
        finally:
            for part in self.parts:
                part.close()


def parts_of(given: Sequence[Any]) -> list[Part]:
    """What `gather` was given, as coroutines. Raises `TurnError` for what is none."""
    for one in given:
        if not isinstance(one, Coroutine):
            for other in given:
                if isinstance(other, Coroutine):
                    other.close()
            raise TurnError(
                f"`turn.gather` was given a {type(one).__name__}; give it what you would await: turn.ask(…)."
            )
    return list(given)


def sent(question: Question) -> AskSent:
    """The question as the log keeps it."""
    request, (digest, occurrence) = question.request, question.place
    told = request.told
    name = "" if told is None else told.told
    asked, prompt = Raw(request.asked_json), request.prompt
    found = AskSent(digest, occurrence, request.model, asked, request.kind, name, steps=request.steps)
    if prompt is None:
        return found
    found = found if request.exchange else found.but(lines=prompt.lines)
    return found if prompt.facts is None else found.but(facts=Raw(canonical(prompt.facts)))


def emitted(question: Question) -> Emit | None:
    """The event that goes out with a question to whoever listens on a stream."""
    about = question.request.about
    if not isinstance(about, Awaited) or not about.to:
        return None
    return Emit(about.to, about.event_key, about.event)
