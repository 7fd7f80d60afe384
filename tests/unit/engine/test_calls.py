"""Calls: asks in flight, timed or real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from extrovert import DeclarationError
from extrovert.engine.calls import Calls, Outcome
from extrovert.engine.shard import Call
from extrovert.engine.words import Begun, Cut, Delta, Done, Word
from extrovert.turns.request import Reply, Request
from tests.hosts import Rule, until


def call(model: str = "policy:first", about: Any = "?", place: int = 0) -> Call:
    request = Request("ask", model, about, int)
    return Call("t", "agent", "k", (request.hash, place), request, 1_000)


def outside(function: Any, *arguments: Any) -> Call:
    request = Request("call", "f", list(arguments), int, function=function)
    return Call("t", "agent", "k", (request.hash, 0), request, 1_000)


async def forever(request: Request) -> msgspec.Raw:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_timed_answer_is_due_after_its_time() -> None:
    calls = Calls({"policy:first": Rule(17, 2)})
    assert calls.due_us(call()) == 1_000 + 2_000_000
    assert calls.answer(call()) == Reply(msgspec.Raw(b"17"))


def test_a_real_one_is_due_when_it_is_there() -> None:
    assert Calls({"policy:first": forever}).due_us(call()) is None
    assert Calls({}).due_us(outside(print)) is None


def test_what_a_policy_raises_is_the_outcome() -> None:
    def no(about: Any) -> int:
        raise ValueError(about)

    outcome = Calls({"policy:first": Rule(no)}).answer(call())
    assert isinstance(outcome, ValueError)


def test_an_agents_own_answerer_comes_first() -> None:
    calls = Calls({"policy:first": Rule(1)})
    calls.answer_for("agent:agent", Rule(2))
    assert calls.answer(call()) == Reply(msgspec.Raw(b"2"))


def test_where_nobody_answers_it_is_said() -> None:
    with pytest.raises(DeclarationError, match="Agent `agent` asks `policy:first`, and nothing answers for that"):
        Calls({}).due_us(call())


async def test_real_work_ends_with_an_answer_or_an_error() -> None:
    outcomes: list[Outcome] = []

    async def model(request: Request) -> msgspec.Raw:
        if request.about == "bad":
            raise ValueError("no")
        return msgspec.Raw(b"7")

    calls = Calls({"policy:first": model})
    calls.start(call(), outcomes.append)
    calls.start(call(about="bad"), outcomes.append)
    assert calls.outstanding
    await until(lambda: len(outcomes) == 2)
    assert not calls.outstanding
    assert {type(outcome) for _, outcome in outcomes} == {Reply, ValueError}


async def test_an_outside_read_may_be_a_coroutine_or_not() -> None:
    outcomes: list[Outcome] = []

    async def later(number: int) -> int:
        return number + 1

    def now(number: int) -> int:
        return number + 2

    calls = Calls({})
    calls.start(outside(later, 1), outcomes.append)
    calls.start(outside(now, 2), outcomes.append)
    await until(lambda: len(outcomes) == 2)
    assert sorted(bytes(outcome.answer) for _, outcome in outcomes if isinstance(outcome, Reply)) == [b"2", b"4"]


async def test_what_is_cancelled_has_no_outcome() -> None:
    outcomes: list[Outcome] = []
    calls = Calls({"policy:first": forever})
    one, other = call(), call(place=1)
    calls.start(one, outcomes.append)
    calls.start(other, outcomes.append)
    await asyncio.sleep(0)
    calls.cancel("t", one.place)
    calls.cancel("t", ("unknown", 0))
    await calls.close()
    assert not calls.outstanding
    assert outcomes == []


async def test_an_answer_that_is_no_json_is_an_error() -> None:
    async def rubbish(request: Request) -> msgspec.Raw:
        return msgspec.Raw(b'{"a":')

    outcomes: list[Outcome] = []
    calls = Calls({"policy:first": rubbish})
    calls.start(call(), outcomes.append)
    await until(lambda: bool(outcomes))
    assert isinstance(outcomes[0][1], msgspec.DecodeError)


class SlowToEnd:
    """Says a word, and another one when it may go on; where it is cancelled, it ends when it may."""

    def __init__(self) -> None:
        self.goes_on, self.ends = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request) -> Reply:
        return await self.streamed(request, str)

    async def streamed(self, request: Request, heard: Callable[[str], Any]) -> Reply:
        heard("one")
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            await self.ends.wait()
            raise
        heard("two")
        return Reply(msgspec.Raw(b'"one two"'))


async def test_one_that_is_slow_to_end_does_not_cut_off_who_speaks_in_its_place() -> None:
    slow, heard, ended = SlowToEnd(), list[Word](), list[Outcome]()
    calls = Calls({"model": slow})
    calls.words.listen("agent", "k", heard.append)
    request = Request("ask", "model", "?", str)
    calls.start(Call("t", "agent", "k", (request.hash, 0), request, 1_000), ended.append)
    await until(lambda: len(heard) == 2)
    calls.cancel("t", (request.hash, 0))
    calls.start(Call("t", "agent", "k", (request.hash, 0), request, 2_000), ended.append)
    await until(lambda: len(heard) == 5)
    slow.ends.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slow.goes_on.set()
    await until(lambda: len(ended) == 1)
    assert [type(word) for word in heard] == [Begun, Delta, Cut, Begun, Delta, Delta, Done]
