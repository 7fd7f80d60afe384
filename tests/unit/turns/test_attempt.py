"""One attempt: from the start of the function to its first open question, its end, or an error."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from extrovert import App, Record, Refuse, Turn, TurnError
from extrovert.context.live import LiveContext
from extrovert.turns.attempt import Attempt
from extrovert.turns.request import Answer
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Place


class Row(Record):
    key: str


app = App("app")
rows = app.table("rows", Row, key=Row.key)
Function = Callable[[Turn, Any], Coroutine[Any, Any, None]]


def attempt(function: Function, answers: dict[Place, Answer] | None = None) -> Attempt:
    """A new attempt of an agent function over an empty context."""
    made = App("app")
    function.__annotations__ = {}
    agent = made.agent(wakes_on=rows, max_refusals=2)(function)
    context = LiveContext(app.declared().tables, [])

    def turn(scope: TurnScope, refusals: Any) -> Turn:
        return Turn("t", agent, "k", scope, events=[], started_us=0, seed=0, answers=answers or {}, refusals=refusals)

    return Attempt(agent, Row("k"), lambda: TurnScope(context, "the test"), turn)


def test_it_is_done_at_its_end() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        turn.put(rows, value)

    one = attempt(agent)
    one.run()
    assert (one.question, one.error) == (None, None)
    assert one.scope.writes == {"rows": {"k": Row("k")}}


def test_it_waits_at_its_first_open_question() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        rows.get("a")
        await turn.ask("which?", output=int)
        rows.get("b")

    one = attempt(agent)
    one.run()
    assert one.question is not None
    assert (one.question.request.about, one.question.place[1]) == ("which?", 0)
    assert [at for _, at in one.scope.taken] == ["a"]
    one.drop()


def test_it_goes_on_where_it_finds_an_answer() -> None:
    got: list[int] = []

    async def agent(turn: Turn, value: Any) -> None:
        got.append(await turn.ask("which?", output=int))

    first = attempt(agent)
    first.run()
    assert first.question is not None
    second = attempt(agent, {first.question.place: Answer(9, 50, msgspec.Raw(b"17"))})
    second.run()
    assert got == [17]
    assert [answer.offset for answer in second.turn.used] == [9]
    first.drop()


def test_it_fails_with_what_it_raises() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        raise ValueError("no")

    one = attempt(agent)
    one.run()
    assert isinstance(one.error, ValueError)


def test_it_can_be_resumed_where_it_waits() -> None:
    got: list[int] = []

    async def agent(turn: Turn, value: Any) -> None:
        got.append(await turn.ask("one?", output=int))
        got.append(await turn.ask("two?", output=int))

    one = attempt(agent)
    one.run()
    one.resume(Answer(1, 0, msgspec.Raw(b"1")))
    assert one.question is not None
    one.resume(Answer(2, 0, msgspec.Raw(b"2")))
    assert got == [1, 2]
    assert one.question is None


def test_a_resumed_one_may_fail() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        await turn.ask("one?", output=int)
        raise ValueError("no")

    one = attempt(agent)
    one.run()
    one.resume(Answer(1, 0, msgspec.Raw(b"1")))
    assert isinstance(one.error, ValueError)


def test_a_refused_answer_leads_to_another_question_with_the_reason() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        rows.get("a")
        await turn.ask("one?", output=int)
        rows.get("b")
        raise Refuse("no")

    one = attempt(agent)
    one.run()
    assert one.question is not None
    answer = Answer(9, 50, msgspec.Raw(b"1"))
    two = attempt(agent, {one.question.place: answer})
    two.run()
    assert two.question is not None
    assert [(refusal.answer, refusal.reason) for refusal in two.question.request.refusals] == [(answer.value, "no")]
    assert two.refused == ["no"]
    assert {at for _, at in two.scope.taken} == {"a", "b"}
    one.drop()
    two.drop()


def test_one_that_asks_on_its_way_out_is_ended_all_the_same() -> None:
    left: list[str] = []

    async def agent(turn: Turn, value: Any) -> None:
        try:
            try:
                await turn.ask("one?", output=int)
            finally:
                rows.get("c")
                await turn.ask("two?", output=int)
        finally:
            await turn.ask("three?", output=int)
            left.append("never")

    one = attempt(agent)
    one.run()
    one.drop()
    assert left == []
    assert one.scope.taken == {}


def test_something_else_that_is_awaited_is_named() -> None:
    class Elsewhere:
        def __await__(self) -> Any:
            yield self

    async def agent(turn: Turn, value: Any) -> None:
        await Elsewhere()

    one = attempt(agent)
    one.run()
    assert isinstance(one.error, TurnError)
    assert "awaited Elsewhere" in str(one.error)
