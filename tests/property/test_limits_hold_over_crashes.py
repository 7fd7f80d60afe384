"""Law: whoever asks when, and whenever the engine dies, an independent count of the log finds no account beyond its
limits, nobody overtaken, and nothing that waits for ever."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from extrovert import Limits, Record
from extrovert.core.ids import chance
from extrovert.core.log import Admitted, Answered, Attempted, Decided, Ended, Failed, Unanswered
from extrovert.turns.limits import HOUR_US, MINUTE_US
from tests.hosts import Host, body
from tests.spec.limited import BEGIN_US, PRICE, Job, Limited, Told

MOST = 100
FEW = st.one_of(st.none(), st.integers(1, 4))
Key = tuple[str, str, int]


class Coming(Record):
    """After so many seconds a job comes for one of two agents; the same key again supersedes what is asked."""

    after_s: float
    agent: int
    key: int


class Plan(Record):
    limits: Limits
    own: Limits | None
    fallback: Limits | None
    jobs: list[Coming]
    crashes: list[float]
    seed: int


def some_limits(over: list[Any]) -> st.SearchStrategy[Limits]:
    return st.builds(
        Limits,
        calls=FEW,
        requests_per_minute=FEW,
        tokens_per_minute=st.one_of(st.none(), st.integers(MOST, 3 * MOST)),
        usd_per_hour=st.one_of(st.none(), st.integers(MOST * 2_000, 5 * MOST * 2_000).map(lambda nano: f"{nano}e-9")),
        over=st.sampled_from(over),
    )


plans = st.builds(
    Plan,
    limits=some_limits(["wait", "fallback"]),
    own=st.one_of(st.none(), some_limits(["wait"])),
    fallback=st.one_of(st.none(), some_limits(["wait"])),
    jobs=st.lists(
        st.builds(Coming, after_s=st.sampled_from([0, 0, 0.5, 3, 20]), agent=st.integers(0, 1), key=st.integers(0, 5)),
        min_size=1,
        max_size=14,
    ),
    crashes=st.lists(st.floats(0, 40), max_size=3),
    seed=st.integers(0, 3),
)


class Model(Told):
    """Time, tokens and failures are functions of the question; every fourth answer does not tell what it took."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return round(30e6 * chance(self.seed, "takes", agent, request_hash) ** 3)

    def answer(self, request: Any) -> Any:
        self.tokens = round(MOST * chance(self.seed, "tokens", request.hash))
        if self.tokens % 4 == 0:
            self.tokens = None
        return super().answer(request)


def run(plan: Plan, path: Path | None) -> Host:
    one = Limited(own=plan.own, limits=plan.limits, **fallback_of(plan))
    tables = [one.jobs, one.agent("other", one.gpt, priority=1)[0]]
    host = Host(one.app, path, {"model:gpt": Model(plan.seed), "model:cheap": Model(plan.seed + 9)})

    async def live() -> None:
        crashes = list(plan.crashes)
        for number, job in enumerate(plan.jobs):
            await host.advance(job.after_s)
            host.hand_in(tables[job.agent], Job(f"k{job.key}", f"{job.key} {number}"))
            host.flush()
            if crashes:
                await host.advance(crashes.pop())
                if number % 2:
                    host.engine.keep_snapshot()
                host.crash()
        await host.settle()

    asyncio.run(live())
    return host


def fallback_of(plan: Plan) -> dict[str, Any]:
    """A fallback where one is wanted; it is declared by the app that is being made."""
    if plan.fallback is None and plan.limits.over == "wait":
        return {}
    return {"cheap": {"limits": plan.fallback, "max_tokens": MOST, "price": PRICE}}


class Count:
    """What the log says was sent and taken, counted anew: `sent` has each ask, when it was sent, ended, and what it
    took, and which asks were `waiting` then."""

    def __init__(self, host: Host) -> None:
        self.sent: list[dict[str, Any]] = []
        self.open: dict[Key, dict[str, Any]] = {}
        self.asked: dict[Key, tuple[int, Any]] = {}
        self.order: list[tuple[Key, int]] = []
        for entry in host.entries():
            self._count(body(entry), entry.at_us, entry.offset)

    def _count(self, one: Any, at_us: int, offset: int) -> None:
        if isinstance(one, Attempted):
            for key in [key for key in self.asked if key[0] == one.turn and key[1] in one.cancelled]:
                self._end(key, at_us)
            for sent in one.asks:
                self.asked[one.turn, sent.hash, sent.occurrence] = (at_us, one.agent)
        elif isinstance(one, Admitted):
            key = (one.turn, one.hash, one.occurrence)
            self.order.append((key, offset))
            ask: dict[str, Any] = {
                "accounts": one.accounts,
                "at": at_us,
                "tokens": one.tokens,
                "nano": one.cost_nano_usd,
                "ends": None,
                "waiting": {other: told for other, told in self.asked.items() if other not in self.open},
                "key": key,
                "model": one.model,
            }
            self.sent.append(ask)
            self.open[key] = ask
        elif isinstance(one, Answered):
            ask = self.open[one.turn, one.hash, one.occurrence]
            if one.usage is not None:
                ask["tokens"] = one.usage.input_tokens + one.usage.output_tokens
                ask["nano"] = one.usage.cost_nano_usd
            self._end((one.turn, one.hash, one.occurrence), at_us)
        elif isinstance(one, Decided | Ended | Failed | Unanswered):
            for key in [key for key in self.asked if key[0] == one.turn]:
                self._end(key, at_us)

    def _end(self, key: Key, at_us: int) -> None:
        self.asked.pop(key, None)
        if key in self.open:
            self.open.pop(key)["ends"] = at_us

    def worst(self, account: str, span_us: int, what: str) -> int:
        mine = [ask for ask in self.sent if account in ask["accounts"]]
        windows = ([a for a in mine if 0 <= a["at"] - first["at"] < span_us] for first in mine)
        return max((sum(1 if what == "asks" else a[what] for a in window) for window in windows), default=0)

    def at_a_time(self, account: str) -> int:
        steps: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for ask in self.sent:
            if account in ask["accounts"]:
                assert ask["ends"] is not None
                if ask["ends"] > ask["at"]:
                    steps[ask["at"]][1] += 1
                    steps[ask["ends"]][0] += 1
        most = now = 0
        for _, (ended, begun) in sorted(steps.items()):
            now += begun - ended
            most = max(most, now)
        return most


@settings(max_examples=100)
@given(plans)
def test_no_account_is_ever_beyond_its_limits_and_nothing_waits_for_ever(plan: Plan) -> None:
    with TemporaryDirectory() as home:
        host = run(plan, Path(home) / "log" if plan.crashes else None)
        count = Count(host)
        assert host.fold.running == {}
        assert count.open == {}
        assert host.dead_letters() == []
        accounts = {"model:gpt": plan.limits, "agent:work": plan.own, "model:cheap": plan.fallback}
        for account, limits in accounts.items():
            if limits is not None:
                check(count, account, limits)
        if plan.own is None and plan.limits.over == "wait":
            check_order(count)
        event(f"sent: {min(len(count.sent), 5)}, late: {any(a['at'] > BEGIN_US + MINUTE_US for a in count.sent)}")
        host.kill()


def check(count: Count, account: str, limits: Limits) -> None:
    most = limits.nano_usd_per_hour
    assert limits.calls is None or count.at_a_time(account) <= limits.calls
    if limits.requests_per_minute is not None:
        assert count.worst(account, MINUTE_US, "asks") <= limits.requests_per_minute
    if limits.tokens_per_minute is not None:
        assert count.worst(account, MINUTE_US, "tokens") <= limits.tokens_per_minute
    if most is not None:
        assert count.worst(account, HOUR_US, "nano") <= most


def check_order(count: Count) -> None:
    """When an ask was sent, no more urgent one was waiting: of the agent with the higher priority, or an older one."""

    def urgency(key: Key, agent: str) -> Any:
        return (0 if agent == "other" else 1, int(key[0].rpartition("@")[2]))

    for ask in count.sent:
        mine = urgency(ask["key"], ask["key"][0].partition(":")[0])
        assert all(urgency(key, agent) >= mine for key, (_, agent) in ask["waiting"].items())
