"""Agents under way: each goes on where it waits, and begins anew where the turn has heard otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Raw
from pydantic_ai import Agent

from extrovert.core.ids import canonical
from extrovert.models.agents import MOST, Agents
from extrovert.turns.delegating import Asks, Delegated, Ends, Step
from tests.hosts import until

helper = Agent(output_type=str, name="helper")
_step: msgspec.json.Decoder[Step] = msgspec.json.Decoder(Step)


def work(*heard: tuple[str, Any], prompt: str = "Why?") -> Delegated:
    return Delegated(helper, prompt, None, "", [(name, Raw(canonical(value))) for name, value in heard])


async def begun(agents: Agents, turn: str = "t", prompt: str = "Why?") -> Asks:
    step = _step.decode(await agents.step(turn, work(prompt=prompt)))
    assert isinstance(step, Asks)
    return step


def running() -> int:
    return sum(task.get_name() == "agent" and not task.done() for task in asyncio.all_tasks())


async def test_one_that_has_its_answer_ends() -> None:
    agents = Agents()
    asks = await begun(agents)
    step = _step.decode(await agents.step("t", work((asks.name, "since"))))
    assert step == Ends(Raw(b'"since"'))
    assert running() == 0


async def test_another_process_begins_it_anew_and_it_hears_what_was_heard() -> None:
    asks = await begun(Agents())
    step = _step.decode(await Agents().step("t", work((asks.name, "since"))))
    assert step == Ends(Raw(b'"since"'))


async def test_where_a_turn_is_run_again_the_run_before_is_let_go() -> None:
    agents = Agents()
    for _ in range(5):
        await begun(agents)
    await until(lambda: running() == 1)
    await agents.close()
    assert running() == 0


async def test_there_are_only_so_many_that_wait() -> None:
    agents = Agents()
    first = await begun(agents, "t0")
    for number in range(1, MOST + 5):
        await begun(agents, f"t{number}")
    await until(lambda: running() == MOST)
    step = _step.decode(await agents.step("t0", work((first.name, "since"))))
    assert step == Ends(Raw(b'"since"'))
    await agents.close()
