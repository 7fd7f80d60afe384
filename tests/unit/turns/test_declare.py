"""Agents, effects and policies as declared."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extrovert import Thinking
from extrovert.turns.declare import Agent


async def agent(turn: object, value: object) -> None:
    """Its instructions."""


def test_an_agents_docstring_is_its_instructions() -> None:
    declared: Agent[object] = Agent("a", agent, source="view", on="v", declines_none=True, model="")
    assert declared.instructions == "Its instructions."


@given(st.text(), st.integers())
def test_thinking_takes_the_same_time_about_the_same(who: str, what: int) -> None:
    thinking = Thinking(timedelta(seconds=2))
    assert thinking.takes_us(who, what) == thinking.takes_us(who, what) > 0


def test_without_spread_it_always_takes_the_median() -> None:
    times = {Thinking(timedelta(seconds=2), sigma=0).takes_us(number) for number in range(50)}
    assert times == {2_000_000}


def test_more_spread_spreads_more() -> None:
    def spread(sigma: float) -> float:
        times = [Thinking(timedelta(seconds=2), sigma).takes_us(number) for number in range(500)]
        return max(times) / min(times)

    assert spread(0.1) < spread(0.5) < spread(1.5)
    assert spread(0.5) == pytest.approx(spread(0.5))
