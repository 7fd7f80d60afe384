"""What the ledger's tables tell of asks with limits is what the engine's own accounts tell, whatever became of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from extrovert import Limits, TransientError
from extrovert.core.ids import chance
from extrovert.core.time import from_us
from extrovert.queries.closed import run
from extrovert.queries.ledger import LEDGER, gathered
from tests.hosts import Host, replayed
from tests.spec.limited import PRICE, Job, Limited, Told, limited

TOKENS = 100
ROOMY = Limits(calls=50, requests_per_minute=1_000, tokens_per_minute=1_000_000, usd_per_hour=100)


def rows(host: Host, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in the log as it is now."""
    tables = {name: one.table() for name, one in gathered(host.entries(), LEDGER).items()}
    return run(query, tables, limit=None).rows


def accounts(host: Host) -> dict[str, tuple[int, int, int, int]]:
    """Calls in flight, requests and tokens of the minute, nano-dollars of the hour, as the engine counts them."""
    now_us = host.clock.now_us()
    for account in host.fold.spending.accounts.values():
        account.pass_until(now_us)
    return {
        name: (one.calls, len(one.minute), one.tokens, one.nano_usd)
        for name, one in host.fold.spending.accounts.items()
        if one.calls or one.minute or one.hour
    }


def summed(host: Host) -> dict[str, tuple[int, int, int, int]]:
    """The same, by the ledger's tables."""
    now = from_us(host.clock.now_us()).isoformat()
    found = rows(
        host,
        f"""
        with charges as (
            select unnest(accounts) as account, timestamptz '{now}' - admitted_at as past, * from ledger_admissions
        )
        select account,
               count(*) filter (state = 'open'),
               count(*) filter (past < interval 1 minute),
               coalesce(sum(charged_tokens) filter (past < interval 1 minute), 0),
               coalesce(sum(round(charged_usd * 1e9)::long) filter (past < interval 1 hour), 0)
        from charges group by account
        """,
    )
    return {account: (calls, *sums) for account, calls, *sums in found if calls or any(sums)}


class Moody:
    """A model that takes its time, and now and then fails, or does not tell what it took."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.told = Told()

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return round(20e6 * chance("takes", self.seed, request_hash, occurrence))

    def answer(self, request: Any) -> Any:
        luck = chance("luck", self.seed, request.hash, len(self.told.asked))
        if luck < 0.3:
            self.told.asked.append(request.about)
            raise TransientError("busy", free=luck < 0.15)
        self.told.tokens = None if luck < 0.5 else round(TOKENS * luck)
        return self.told.answer(request)


@pytest.mark.parametrize("seed", range(4))
async def test_the_sums_are_those_of_the_engines_accounts(tmp_path: Path, seed: int) -> None:
    limits = Limits(calls=3, requests_per_minute=20, tokens_per_minute=12 * TOKENS, usd_per_hour="0.01")
    own = Limits(calls=2, requests_per_minute=12)
    app = Limited(limits=limits, own=own)
    app.agent("other", app.gpt, priority=1)
    host = Host(app.app, tmp_path / "log", {"model:gpt": Moody(seed)}, seed=seed)
    for step in range(30):
        table = host.declared.tables[step % 2]
        host.hand_in(table, Job(f"j{step % 8}", f"text {step}"))  # pyright: ignore[reportArgumentType]
        await host.advance(8 * chance("step", seed, step))
        if chance("crash", seed, step) < 0.2:
            host.flush()
            host.crash()
        assert summed(host) == accounts(host), f"seed {seed}, step {step}"
    await host.settle()
    assert summed(host) == accounts(host)
    states = {state for (state,) in rows(host, "select distinct state from ledger_admissions")}
    assert states == {"answered", "unanswered", "cancelled"}
    assert replayed(host).spending.save(host.clock.now_us()) == host.fold.spending.save(host.clock.now_us())


async def test_an_ask_tells_how_long_it_waited_and_for_what() -> None:
    app, host = limited(None, Told(5, tokens=20), limits=Limits(calls=1))
    await host.send(app.jobs, Job("j0"), Job("j1"))
    waited = "select agent, waited_ms, waited_for from ledger_admissions order by admitted_at"
    assert rows(host, waited) == [("work", 0.0, ""), ("work", 5000.0, "1 calls at a time of model:gpt")]
    asked = (
        "select epoch_ms(admitted_at) - epoch_ms(sent_at), waited_for, fallback from ledger_asks order by sent_at, 1"
    )
    assert rows(host, asked) == [(0, "", ""), (5000, "1 calls at a time of model:gpt", "")]


async def test_what_is_reserved_and_what_is_charged_are_both_told() -> None:
    app, host = limited(None, Told(5, tokens=20), limits=ROOMY)
    charges = "select state, reserved_tokens, reserved_usd, charged_tokens, charged_usd from ledger_admissions"
    host.hand_in(app.jobs, Job("j0"))
    await host.advance(1)
    assert rows(host, charges) == [("open", 100, 200e-6, 100, 200e-6)]
    await host.settle()
    assert rows(host, charges) == [("answered", 100, 200e-6, 20, 40e-6)]


async def test_an_ask_that_went_to_a_fallback_tells_to_whom_and_why() -> None:
    app = Limited(limits=Limits(requests_per_minute=1, over="fallback"), cheap={"price": PRICE, "max_tokens": 10})
    host = Host(app.app, None, {"model:gpt": Told(1), "model:cheap": Told(1)})
    await host.send(app.jobs, Job("j0"), Job("j1"))
    asked = "select model, fallback, fallback_why, state from ledger_asks order by sent_at, fallback"
    why = "1 requests a minute of model:gpt"
    assert rows(host, asked) == [
        ("model:gpt", "", "", "answered"),
        ("model:gpt", "model:cheap", why, "answered"),
    ]


async def test_a_request_that_a_crash_has_cut_off_is_lost_and_let_through_anew(tmp_path: Path) -> None:
    async def hangs(request: Any) -> Any:
        await asyncio.Event().wait()

    app = Limited(limits=ROOMY)
    host = Host(app.app, tmp_path / "log", {"model:gpt": hangs})  # pyright: ignore[reportArgumentType]
    host.hand_in(app.jobs, Job("j0"))
    for _ in range(2):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(host.engine.run(until="idle"), 0.1)
        await host.engine.calls.close()
        host.flush()
        assert summed(host) == accounts(host)
        host.crash(away=1)
    found = rows(host, "select decision, state, charged_tokens from ledger_admissions order by admitted_at")
    assert [row[1:] for row in found] == [("lost", TOKENS), ("open", TOKENS)]
    assert len(rows(host, "from ledger_asks")) == 1
