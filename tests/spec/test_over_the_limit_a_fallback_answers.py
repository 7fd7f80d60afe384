"""Over the limit, or while a breaker is open, another model or a policy answers, if that is declared; it is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, Breaker, DeclarationError, Limits, TransientError, Turn
from extrovert.core.log import Answered
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.limited import PRICE, Job, Told, admitted

ONE = Limits(requests_per_minute=1, over="fallback")


def policy_of(app: App) -> Any:
    @app.policy
    def rule(about: str) -> str:
        return "ruled"

    return rule


class Chain:
    """A large model, then a small one with limits of its own, then a policy."""

    def __init__(
        self, path: Path | None = None, *, own: Limits | None = None, small: Any = ONE, **options: Any
    ) -> None:
        self.app = App("chain")
        self.done: dict[str, str] = {}
        self.jobs = self.app.table("jobs", Job, key=Job.key)
        rule = policy_of(self.app)
        cheap = self.app.model("cheap", rule, max_tokens=10, price=PRICE, limits=small, fallback=rule)
        options.setdefault("limits", ONE)
        large = self.app.model("large", rule, max_tokens=100, price=PRICE, fallback=cheap, **options)

        async def work(turn: Turn, job: Job) -> None:
            self.done[job.key] = await turn.ask(job.text or job.key, output=str)

        self.app.agent(wakes_on=self.jobs, model=large, **({} if own is None else {"limits": own}))(work)
        self.large, self.cheap = Told(1, does=lambda _: "large"), Told(1, does=lambda _: "cheap")
        self.host = Host(self.app, path, {"model:large": self.large, "model:cheap": self.cheap})

    def who(self) -> list[tuple[float, str, str]]:
        return [(at, one.model, one.why) for at, one in admitted(self.host)]


def jobs(count: int) -> list[Job]:
    return [Job(f"j{number}") for number in range(count)]


async def test_a_cheaper_model_answers_and_then_a_policy() -> None:
    chain = Chain()
    await chain.host.send(chain.jobs, *jobs(4))
    why = "1 requests a minute of model:large"
    assert chain.who() == [
        (0, "model:large", ""),
        (0, "model:cheap", why),
        (0, "policy:rule", why),
        (0, "policy:rule", why),
    ]
    assert chain.done == {"j0": "large", "j1": "cheap", "j2": "ruled", "j3": "ruled"}


async def test_a_fallbacks_answer_is_remembered_like_any(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "log")
    await chain.host.send(chain.jobs, *jobs(2))
    chain.host.flush()
    chain.host.crash()
    await chain.host.settle()
    assert len(chain.host.bodies(Answered)) == 2
    assert len(chain.cheap.asked) == 1


async def test_a_fallback_goes_on_after_a_crash_where_it_was(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "log")
    chain.host.hand_in(chain.jobs, *jobs(2))
    await chain.host.advance(0.5)
    chain.host.flush()
    chain.host.crash()
    await chain.host.settle()
    assert chain.done == {"j0": "large", "j1": "cheap"}
    assert len(chain.who()) == 2
    assert picture(replayed(chain.host))["spending"] == picture(chain.host.fold)["spending"]


async def test_where_the_fallback_is_over_its_limit_too_the_first_with_room_is_waited_for() -> None:
    chain = Chain(small=Limits(calls=1))
    await chain.host.send(chain.jobs, *jobs(3))
    assert [(at, model) for at, model, _ in chain.who()] == [(0, "model:large"), (0, "model:cheap"), (1, "model:cheap")]


async def test_with_wait_only_the_breaker_makes_the_fallback_answer() -> None:
    chain = Chain(limits=Limits(requests_per_minute=2), breaker=Breaker(failures=1, open_for=timedelta(seconds=30)))

    def fails(about: str) -> str:
        raise TransientError("down")

    chain.host.hand_in(chain.jobs, *jobs(3))
    await chain.host.advance(61)
    assert [(at, model) for at, model, _ in chain.who()] == [
        (0, "model:large"),
        (0, "model:large"),
        (60, "model:large"),
    ]
    chain.large._does = fails  # pyright: ignore[reportPrivateUsage]
    chain.host.hand_in(chain.jobs, Job("j3"))
    await chain.host.settle()
    (_, large, _), (_, cheap, why) = chain.who()[3:]
    assert (large, cheap, why) == ("model:large", "model:cheap", "the breaker of model:large")
    assert chain.done["j3"] == "cheap"


async def test_an_agent_that_has_spent_its_own_goes_on_with_a_policy() -> None:
    chain = Chain(limits=None, small=None, own=Limits(usd_per_hour=f"{110 * 2_000}e-9", over="fallback"))
    await chain.host.send(chain.jobs, *jobs(4))
    assert [model for _, model, _ in chain.who()] == ["model:large", "model:cheap", "policy:rule", "policy:rule"]
    assert chain.who()[2][2].endswith("USD an hour of agent:work")
    assert [one.accounts for _, one in admitted(chain.host)] == [["agent:work"], ["agent:work"], [], []]


async def test_what_can_never_be_sent_goes_to_the_fallback() -> None:
    chain = Chain(limits=Limits(tokens_per_minute=50))
    await chain.host.send(chain.jobs, Job("j0"))
    assert chain.who() == [(0, "model:cheap", "50 tokens a minute of model:large")]


def test_the_fallback_must_be_of_the_same_app() -> None:
    app, other = App("app"), App("other")
    rows = app.table("rows", Job, key=Job.key)
    gpt = app.model("gpt", "openai:gpt-5-mini", fallback=policy_of(other))

    async def work(turn: Turn, job: Job) -> None: ...

    app.agent(wakes_on=rows, model=gpt)(work)
    with pytest.raises(DeclarationError, match="Model `gpt` has the fallback model `policy:rule`, which is not known"):
        app.declared()
