"""What an ask can take is reserved, durably, before it is sent, and settled after; over the limit it waits its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Limits, PermanentError, Price, TransientError, Turn
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import chance
from extrovert.core.log import Admitted, Decided, Unanswered
from extrovert.engine.why_not import why_not
from extrovert.turns.request import Request
from tests.hosts import Host, body, replayed
from tests.picture import picture
from tests.spec.limited import BEGIN_US, Job, Limited, Told, admitted, limited, sent_at

TOKENS = 100  # the most that one ask takes


def jobs(count: int) -> list[Job]:
    return [Job(f"j{number}") for number in range(count)]


async def test_requests_a_minute_wait_for_the_minute_to_pass() -> None:
    app, host = limited(None, limits=Limits(requests_per_minute=2))
    host.hand_in(app.jobs, *jobs(2))
    await host.advance(10)
    await host.send(app.jobs, *jobs(6)[2:])
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 60), ("j3", 60), ("j4", 120), ("j5", 120)]
    assert len(app.done) == 6
    waited = [one.waited_for for _, one in admitted(host)]
    assert waited == ["", "", *["2 requests a minute of model:gpt"] * 4]


async def test_so_many_calls_are_in_flight_at_a_time() -> None:
    app, host = limited(None, Told(4), limits=Limits(calls=2))
    await host.send(app.jobs, *jobs(5))
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 4), ("j3", 4), ("j4", 8)]


async def test_tokens_are_reserved_and_what_was_not_taken_is_given_back() -> None:
    app, host = limited(None, Told(5, tokens=20), limits=Limits(tokens_per_minute=2 * TOKENS))
    await host.send(app.jobs, *jobs(4))
    first, *_ = admitted(host)
    assert first[1].tokens == TOKENS
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 5), ("j3", 10)]


async def test_of_an_answer_that_does_not_tell_what_it_took_all_is_charged() -> None:
    app, host = limited(None, Told(5), limits=Limits(tokens_per_minute=2 * TOKENS))
    await host.send(app.jobs, *jobs(3))
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 60)]


async def test_money_is_counted_by_the_hour() -> None:
    dollars = f"{2 * TOKENS * 2_000}e-9"
    app, host = limited(None, Told(5, tokens=90), limits=Limits(usd_per_hour=dollars))
    await host.send(app.jobs, *jobs(4))
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 3_600), ("j3", 3_600)]
    assert {one.cost_nano_usd for _, one in admitted(host)} == {TOKENS * 2_000}


async def test_a_call_that_is_cancelled_is_charged_in_full() -> None:
    app, host = limited(None, Told(5, tokens=1), limits=Limits(tokens_per_minute=2 * TOKENS))
    host.hand_in(app.jobs, Job("j0", "one"))
    await host.advance(1)
    host.hand_in(app.jobs, Job("j0", "another"))
    await host.advance(1)
    await host.send(app.jobs, Job("j1"))
    assert sent_at(host) == [("j0", 0), ("j0", 1), ("j1", 60)]


async def test_an_error_is_charged_unless_nothing_was_for_sure() -> None:
    def fails(about: str) -> str:
        raise TransientError("busy", free=about.startswith("free"))

    app, host = limited(None, Told(does=fails), limits=Limits(tokens_per_minute=TOKENS))
    host.hand_in(app.jobs, Job("j0", "free"))
    await host.advance(1)
    host.hand_in(app.jobs, Job("j1", "charged"))
    await host.advance(10)
    assert [at for key, at in sent_at(host) if key == "j0"] == [0, 1]
    assert [at for key, at in sent_at(host) if key == "j1"] == [1]
    assert [one.free for one in host.bodies(Unanswered)] == [True, True, False]


async def test_the_deadline_comes_first_then_the_priority_then_the_age() -> None:
    one = Limited(limits=Limits(calls=1))
    soon, _ = one.agent("soon", one.gpt, deadline=timedelta(minutes=9))
    later, _ = one.agent("later", one.gpt, deadline=timedelta(minutes=10))
    high, _ = one.agent("high", one.gpt, priority=1)
    host = Host(one.app, None, {"model:gpt": Told(1)})
    host.hand_in(one.jobs, Job("first"))
    await host.advance(0.1)
    for table, key in ((one.jobs, "old"), (high, "high"), (later, "later"), (soon, "soon"), (one.jobs, "new")):
        host.hand_in(table, Job(key))
        await host.advance(0.1)
    await host.settle()
    assert [key for key, _ in sent_at(host)] == ["first", "soon", "later", "high", "old", "new"]


async def test_a_small_ask_does_not_overtake_a_large_one_that_waits() -> None:
    """A prompt counts by its bytes, each of which may be a token."""
    one = Limited(of="openai:gpt-5-mini", limits=Limits(tokens_per_minute=2_000))
    other, _ = one.agent("other", one.gpt)
    host = Host(one.app, None, {"model:gpt": Told(1)})
    host.hand_in(one.jobs, Job("j0", "a" * 1_000))
    await host.advance(2)
    host.hand_in(one.jobs, Job("j1", "b" * 1_000))
    await host.advance(2)
    await host.send(other, Job("j2", "c"))
    assert sent_at(host) == [("j0", 0), ("j1", 60), ("j2", 60)]
    large, _, small = (one.tokens for _, one in admitted(host))
    assert 1_100 < large < 1_600
    assert large + small <= 2_000 < 2 * large
    assert large - small == 999


async def test_an_agents_own_limits_hold_up_no_other_agent() -> None:
    one = Limited(own=Limits(requests_per_minute=1), limits=Limits(calls=5))
    other, _ = one.agent("other", one.gpt)
    host = Host(one.app, None, {"model:gpt": Told(1)})
    host.hand_in(one.jobs, *jobs(3))
    await host.send(other, Job("o1"), Job("o2"))
    assert sorted(sent_at(host)) == [("j0", 0), ("j1", 60), ("j2", 120), ("o1", 0), ("o2", 0)]
    assert admitted(host)[0][1].accounts == ["model:gpt", "agent:work"]


async def test_what_can_never_be_sent_is_said_and_holds_up_nothing() -> None:
    app, host = limited(None, max_tokens=100, limits=Limits(tokens_per_minute=99))
    await host.send(app.jobs, *jobs(2))
    causes = [letter.cause for letter in host.dead_letters()]
    assert len(causes) == 2
    assert "can take more than 99 tokens a minute of model:gpt" in causes[0]
    assert admitted(host) == []


async def test_what_is_not_wanted_any_more_while_it_waits_costs_nothing() -> None:
    app, host = limited(None, Told(1), limits=Limits(requests_per_minute=1))
    host.hand_in(app.jobs, Job("j0"), Job("j1", "one"))
    await host.advance(2)
    host.hand_in(app.jobs, Job("j1", "another"))
    await host.settle()
    assert sent_at(host) == [("j0", 0), ("j1", 60)]
    assert app.done == {"j0": "done", "j1": "done"}
    assert admitted(host)[1][1].waited_for == "1 requests a minute of model:gpt"


# ---- on the disk


async def test_what_an_ask_can_take_is_durable_before_it_is_sent(tmp_path: Path) -> None:
    on_disk: list[bool] = []
    hosts: list[Host] = []

    async def answers(request: Request) -> msgspec.Raw:
        on_disk.append(any(isinstance(body(entry), Admitted) for entry in hosts[0].store.entries()))
        return msgspec.Raw(b'"done"')

    app, host = limited(tmp_path / "log", answers, limits=Limits(requests_per_minute=1))
    hosts.append(host)
    await host.send(app.jobs, Job("j0"))
    assert on_disk == [True]


def hanging(sent: list[tuple[int, str]], now: Callable[[], int]) -> Callable[[Request], Awaitable[msgspec.Raw]]:
    async def answers(request: Request) -> msgspec.Raw:
        sent.append((now(), request.about))
        await asyncio.Event().wait()
        raise AssertionError

    return answers


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_request_that_a_crash_has_cut_off_is_charged_in_full_and_waits_again(
    tmp_path: Path, snapshot: bool
) -> None:
    """Real requests: nobody knows what became of them, so that they count beside those that are sent anew."""
    sent: list[tuple[int, str]] = []
    hosts: list[Host] = []
    app = Limited(limits=Limits(tokens_per_minute=3 * TOKENS, calls=2))
    host = Host(app.app, tmp_path / "log", {"model:gpt": hanging(sent, lambda: hosts[0].clock.now_us())})
    hosts.append(host)
    for life in range(3):
        if life == 0:
            host.hand_in(app.jobs, *jobs(2))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(host.engine.run(until=host.clock.now_us() + 120_000_000), 0.1)
        await host.engine.calls.close()
        if snapshot:
            host.engine.keep_snapshot()
        host.crash(away=1)
    at = [round((at_us - BEGIN_US) / 1e6) for at_us, _ in sent]
    assert at[:3] == [0, 0, 1]
    assert at[3] >= 60
    windows = [sum(1 for other in at if begin <= other < begin + 60) for begin in at]
    assert max(windows) <= 3


@pytest.mark.parametrize("snapshot", [False, True])
async def test_what_was_superseded_while_the_engine_was_down_holds_no_place(tmp_path: Path, snapshot: bool) -> None:
    sent: list[tuple[int, str]] = []
    app = Limited(limits=Limits(calls=1))
    host = Host(app.app, tmp_path / "log", {"model:gpt": hanging(sent, lambda: 0)})
    for text in ("one", "another", "another"):
        if not sent or sent[-1][1] != text:
            host.hand_in(app.jobs, Job("j0", text))
            host.flush()
        if text == "another":
            host.crash()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(host.engine.run(until="idle"), 0.1)
        await host.engine.calls.close()
        if snapshot:
            host.engine.keep_snapshot()
        host.flush()
    assert [about for _, about in sent] == ["one", "another", "another"]


async def test_a_request_that_a_crash_has_cut_off_does_not_hold_up_those_that_come_first(tmp_path: Path) -> None:
    """It is sent anew in its turn; the place that it had is free."""
    sent: list[str] = []

    async def answers(request: Request) -> msgspec.Raw:
        sent.append(request.about)
        if len(sent) == 1:
            await asyncio.Event().wait()
        return msgspec.Raw(b'"done"')

    app = Limited(limits=Limits(calls=1))
    high, _ = app.agent("high", app.gpt, priority=1)
    host = Host(app.app, tmp_path / "log", {"model:gpt": answers})
    host.hand_in(app.jobs, Job("low"))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(host.engine.run(until="idle"), 0.1)
    await host.engine.calls.close()
    host.hand_in(high, Job("high"))
    host.flush()
    host.crash()
    await asyncio.wait_for(host.settle(), 10)
    assert sent == ["low", "high", "low"]
    assert app.done == {"high": "done", "low": "done"}
    assert picture(replayed(host))["spending"] == picture(host.fold)["spending"]


@pytest.mark.parametrize("crashes", [1, 2])
async def test_what_is_asked_anew_after_a_crash_does_not_go_on_where_it_was(tmp_path: Path, crashes: int) -> None:
    """A policy's thought goes on over a crash, but not where its turn has asked anew since then."""
    app = Limited(limits=Limits(requests_per_minute=2))
    pairs = app.app.table("pairs", Job, key=Job.key)

    @app.app.agent(wakes_on=pairs, model=app.gpt)
    async def both(turn: Turn, job: Job) -> None:
        await turn.gather(turn.ask("always", output=str), turn.ask(job.text, output=str))

    host = Host(app.app, tmp_path / "log", {"model:gpt": Told(100)})
    host.hand_in(pairs, Job("j", "one"))
    await host.advance(1)
    host.hand_in(pairs, Job("j", "another"))  # which the turn does not come to see
    for _ in range(crashes):
        host.flush()
        host.crash()
        await host.advance(1)
    await host.settle()
    assert sent_at(host) == [("j", 0), ("j", 0), ("j", 60), ("j", 60)]
    assert [(at_us - BEGIN_US) / 1e6 for _, at_us in decided(host)] == [160]


def busy_app(own: Limits | None = None) -> Limited:
    """Two agents on a model that is too small for them."""
    one = Limited(limits=Limits(calls=2, requests_per_minute=6, tokens_per_minute=5 * TOKENS), own=own)
    one.agent("other", one.gpt, priority=1)
    return one


class Thoughtful(Told):
    """How long it thinks, and how many tokens it takes, is a function of the question."""

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return round(20e6 * chance("takes", request_hash, occurrence))

    def answer(self, request: Request) -> Any:
        self.tokens = round(TOKENS * chance("tokens", request.hash))
        return super().answer(request)


def decided(host: Host) -> list[tuple[str, int]]:
    return [(body(e).turn.split("@")[0], e.at_us) for e in host.entries() if isinstance(body(e), Decided)]


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_change_neither_what_is_sent_when_nor_what_is_decided(tmp_path: Path, seed: int) -> None:
    """A policy's thought is no request: it goes on where it was, at the same times, in whatever life."""
    found: list[Any] = []
    for crashes in (False, True):
        one = busy_app()
        host = Host(one.app, tmp_path / f"log{crashes}", {"model:gpt": Thoughtful()}, seed=seed)
        for step in range(12):
            table = host.declared.tables[step % 2]
            host.hand_in(table, Job(f"j{step}"))  # pyright: ignore[reportArgumentType]
            host.flush()
            await host.advance(8 * chance("step", seed, step))
            if crashes:
                if chance("durable", seed, step) < 0.5:
                    host.flush()
                if chance("snapshot", seed, step) < 0.3:
                    host.engine.keep_snapshot()
                now_us = host.clock.now_us()
                host.crash()
                await host.advance((now_us - host.clock.now_us()) / 1e6)
        await host.settle()
        assert picture(replayed(host))["spending"] == picture(host.fold)["spending"]
        found.append((sent_at(host), decided(host)))
    assert found[0] == found[1]
    times = [round(at * 1e6) for _, at in found[0][0]]
    assert max(sum(0 <= at - begin < 60_000_000 for at in times) for begin in times) == 6


# ---- declarations


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limits": Limits(calls=0)}, "calls= must be at least 1"),
        ({"limits": Limits(usd_per_hour="much")}, "a number of dollars"),
        ({"limits": Limits(usd_per_hour=0)}, "more than nothing"),
        ({"limits": Limits(tokens_per_minute=9)}, "Give model `gpt` max_tokens="),
        ({"limits": Limits(usd_per_hour=1)}, "Give model `gpt` max_tokens= and price="),
        ({"limits": Limits(calls=1, over="fallback")}, "needs a model with a fallback"),
    ],
)
def test_limits_that_cannot_be_kept_to_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        App("app").model("gpt", "openai:gpt-5-mini", **options)


def test_an_agents_limit_of_money_wants_a_declared_model() -> None:
    app = App("app")
    jobs = app.table("jobs", Job, key=Job.key)

    async def work(turn: Turn, job: Job) -> None: ...

    with pytest.raises(DeclarationError, match="needs a model that is declared"):
        app.agent(wakes_on=jobs, model="openai:gpt-5-mini", limits=Limits(usd_per_hour=1))(work)
    gpt = app.model("gpt", "openai:gpt-5-mini", max_tokens=10, price=Price(input="1", output="1"))
    app.agent(wakes_on=jobs, model=gpt, limits=Limits(usd_per_hour=1))(work)


def test_errors_say_whether_something_was_charged() -> None:
    assert not PermanentError("no").free
    assert TransientError("no", free=True).free


async def test_a_shadow_takes_nothing_from_the_limits_of_those_who_act() -> None:
    app = Limited(limits=Limits(requests_per_minute=2))
    shadow = app.app.agent(wakes_on=app.jobs, model=app.gpt, shadow=True)(_look)
    host = Host(app.app, None, {"model:gpt": Told()})
    await host.send(app.jobs, *jobs(4))
    sent = admitted(host)
    assert [at for at, one in sent if one.turn.startswith("work:")] == [0, 0, 60, 60]
    assert [at for at, one in sent if one.turn.startswith(f"{shadow.name}:")] == [0, 0, 60, 60]


async def test_why_a_turn_that_waits_for_a_limit_has_not_ended_can_be_told() -> None:
    app, host = limited(None, limits=Limits(requests_per_minute=1))
    host.hand_in(app.jobs, *jobs(2))
    await host.advance(10)
    hold = host.engine.limiting.holds.get("work")
    found = why_not(host.fold, app.work, "j1", host.clock.now_us(), acting=True, hold=hold)
    assert any("1 requests a minute of model:gpt, until " in because for because in found.because)


async def _look(turn: Turn, job: Job) -> None:
    """Asks as the live agent does."""
    await turn.ask(job.key, output=str)
