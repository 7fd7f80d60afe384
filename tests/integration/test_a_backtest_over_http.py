"""A backtest that asks a model over real HTTP: what is on the wire, what it costs, and what is asked twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from extrovert import App, DeclarationError, Price, Turn
from extrovert.testing import ModelServer, World
from tests.spec.airline import Choice, Rebooking


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTEST_KEY", "sk-backtest")


def airline(server: ModelServer) -> tuple[World, Any, Any, Any]:
    """A world that has decided about three bookings by a policy; its agent, the model that it might ask, the policy."""
    app = App("airline")
    cases = app.table("cases", Choice, key=Choice.booking_id)
    taken = app.stream("taken", Rebooking, key=Rebooking.flight_id)
    price = Price(input="1.00", output="10.00")
    fast = app.model(
        "fast", "openai:gpt-5-mini", base_url=server.url, api_key_env="BACKTEST_KEY", price=price, max_tokens=50
    )

    @app.policy
    def first(case: Choice) -> Rebooking:
        return Rebooking(case.options[0])

    @app.agent(wakes_on=cases, model=first, retry_after=timedelta(milliseconds=1))
    async def rebook(turn: Turn, case: Choice) -> None:
        """You rebook."""
        turn.emit(taken, await turn.ask(case, output=Rebooking))

    world = World(app)
    world.hand_in(cases, *(Choice(name, ["F1", "F2"]) for name in ("B1", "B2", "B3")))
    return world, rebook, fast, first


async def test_each_question_is_asked_once_and_its_price_is_told() -> None:
    async with ModelServer() as server:
        server.answers(Rebooking("F2"))
        world, rebook, fast, _ = airline(server)
        await world.settle()
        found = await world.backtest(rebook, model=fast, on_miss="ask")
        assert [one.differs for one in found] == [["emits"]] * 3
        assert len(server.asked) == 3
        assert server.asked[0].body["messages"][0] == {"role": "system", "content": "You rebook."}
        tokens = [(one.candidate.input_tokens, one.candidate.output_tokens) for one in found]
        assert tokens == [(100, 10)] * 3
        assert [one.candidate.cost_nano_usd for one in found] == [100 * 1_000 + 10 * 10_000] * 3
        assert all(one.candidate.thought_ms > 0 for one in found)
        assert [one.recorded.cost_nano_usd for one in found] == [0] * 3
        await world.backtest(rebook, model=fast, prompt="You rebook late.", on_miss="ask")
        assert server.asked[-1].body["messages"][0]["content"] == "You rebook late."


async def test_what_may_pass_is_asked_again_and_what_will_not_fails_the_wake() -> None:
    async with ModelServer() as server:
        server.fails(503, retry_after="0")
        server.fails(503, retry_after="0")
        server.answers(Rebooking("F2"))
        world, rebook, fast, _ = airline(server)
        await world.settle()
        found = await world.backtest(rebook, model=fast, on_miss="ask")
        assert [one.candidate.outcome for one in found] == ["decided"] * 3
        assert len(server.asked) == 5
    async with ModelServer() as server:
        server.fails(401)
        world, rebook, fast, _ = airline(server)
        await world.settle()
        found = await world.backtest(rebook, model=fast, on_miss="ask")
        assert [one.candidate.outcome for one in found] == ["failed"] * 3
        assert "401" in found[0].candidate.cause
        assert len(server.asked) == 3


async def test_nobody_is_asked_unless_that_is_said() -> None:
    async with ModelServer() as server:
        world, rebook, fast, first = airline(server)
        await world.settle()
        assert [one.candidate.outcome for one in await world.backtest(rebook, model=fast)] == ["missed"] * 3
        assert [one.same for one in await world.backtest(rebook, model=first)] == [True] * 3
        with pytest.raises(DeclarationError, match="asks no model that is given instructions"):
            await world.backtest(rebook, prompt="You rebook late.")
        assert server.asked == []
