"""One attempt: from the start of the function to its first open question, its end, or an error."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from extrovert import App, Record, Refuse, Turn, TurnError
from extrovert.context.live import LiveContext
from extrovert.core.ids import canonical
from extrovert.turns.attempt import Attempt
from extrovert.turns.request import Answer, Place
from extrovert.turns.scope import TurnScope


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
        return Turn(
            "t",
            agent,
            "k",
            scope,
            events=[],
            started_us=0,
            seed=0,
            answers={} if answers is None else answers,
            refusals=refusals,
        )

    return Attempt(agent, Row("k"), lambda: TurnScope(context, "the test"), turn)


def test_it_is_done_at_its_end() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        turn.put(rows, value)

    one = attempt(agent)
    one.run()
    assert (one.questions, one.error) == ((), None)
    assert one.scope.writes == {"rows": {"k": Row("k")}}


def test_it_waits_at_its_first_open_question() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        rows.get("a")
        await turn.ask("which?", output=int)
        rows.get("b")

    one = attempt(agent)
    one.run()
    assert [(question.request.about, question.place[1]) for question in one.questions] == [("which?", 0)]
    assert [at for _, at in one.scope.taken] == ["a"]
    one.drop()


def test_it_goes_on_where_it_finds_an_answer() -> None:
    got: list[int] = []

    async def agent(turn: Turn, value: Any) -> None:
        got.append(await turn.ask("which?", output=int))

    first = attempt(agent)
    first.run()
    second = attempt(agent, {first.questions[0].place: Answer(9, 50, msgspec.Raw(b"17"))})
    second.run()
    assert got == [17]
    assert [answer.offset for answer in second.turn.memo.used] == [9]
    first.drop()


def test_parts_that_are_gathered_ask_together_and_go_on_one_by_one() -> None:
    async def part(turn: Turn, name: str) -> str:
        return await turn.ask(name, output=str) + await turn.ask(f"{name} again", output=str)

    got: list[tuple[str, ...]] = []

    async def agent(turn: Turn, value: Any) -> None:
        got.append(await turn.gather(part(turn, "one"), part(turn, "two")))

    answers: dict[Place, Answer] = {}
    asked: list[list[str]] = []
    while not got:
        one = attempt(agent, answers)
        one.run()
        asked.append([question.request.about for question in one.questions])
        for question in one.questions[-1:]:
            answers[question.place] = Answer(1, 0, msgspec.Raw(canonical(f"<{question.request.about}>")))
        one.drop()
    assert asked == [["one", "two"], ["one", "two again"], ["one"], ["one again"], []]
    assert got == [("<one><one again>", "<two><two again>")]


def test_equal_questions_in_gathered_parts_are_told_apart() -> None:
    got: list[tuple[int, ...]] = []

    async def agent(turn: Turn, value: Any) -> None:
        got.append(await turn.gather(*(turn.ask("which?", output=int) for _ in range(3))))

    one = attempt(agent)
    one.run()
    assert [question.place[1] for question in one.questions] == [0, 1, 2]
    answers = {q.place: Answer(1, 0, msgspec.Raw(b"%d" % q.place[1])) for q in one.questions}
    one.drop()
    attempt(agent, answers).run()
    assert got == [(0, 1, 2)]


def test_what_a_gathered_part_raises_ends_all() -> None:
    async def wrong(turn: Turn) -> int:
        raise ValueError("no")

    async def agent(turn: Turn, value: Any) -> None:
        await turn.gather(turn.ask("which?", output=int), wrong(turn))

    one = attempt(agent)
    one.run()
    assert isinstance(one.error, ValueError)


def test_what_cannot_be_awaited_cannot_be_gathered() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        await turn.gather(turn.ask("which?", output=int), 17)  # pyright: ignore

    one = attempt(agent)
    one.run()
    assert isinstance(one.error, TurnError)
    assert "was given a int" in str(one.error)


def test_something_else_in_a_gathered_part_is_named() -> None:
    class Elsewhere:
        def __await__(self) -> Any:
            yield self

    async def elsewhere() -> None:
        await Elsewhere()

    async def agent(turn: Turn, value: Any) -> None:
        await turn.gather(turn.ask("which?", output=int), elsewhere())

    one = attempt(agent)
    one.run()
    assert "awaited Elsewhere" in str(one.error)


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

    answers: dict[Place, Answer] = {}
    one = attempt(agent, answers)
    one.run()
    for offset in (1, 2):
        answers[one.questions[0].place] = Answer(offset, 0, msgspec.Raw(b"%d" % offset))
        one.resume()
    assert got == [1, 2]
    assert one.questions == ()


def test_a_resumed_one_may_fail() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        await turn.ask("one?", output=int)
        raise ValueError("no")

    answers: dict[Place, Answer] = {}
    one = attempt(agent, answers)
    one.run()
    answers[one.questions[0].place] = Answer(1, 0, msgspec.Raw(b"1"))
    one.resume()
    assert isinstance(one.error, ValueError)


def test_a_refused_answer_leads_to_another_question_with_the_reason() -> None:
    async def agent(turn: Turn, value: Any) -> None:
        rows.get("a")
        await turn.ask("one?", output=int)
        rows.get("b")
        raise Refuse("no")

    one = attempt(agent)
    one.run()
    answer = Answer(9, 50, msgspec.Raw(b"1"))
    two = attempt(agent, {one.questions[0].place: answer})
    two.run()
    assert [(refusal.answer, refusal.reason) for refusal in two.questions[0].request.refusals] == [(answer.value, "no")]
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
