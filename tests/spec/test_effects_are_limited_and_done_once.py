"""An effect is performed once for a business key, at most so many at a time and so many a second; what is unknown is
looked up again and again, or waits for a person."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Backoff, DeclarationError, PermanentError, Table, TransientError, Turn
from extrovert.core.log import EffectMoved, EffectStep
from extrovert.engine.settling import settle
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.outside import Order, Outside, moves, order_app, steps_of


def shop(outside: Outside, *, once: bool = False, **options: Any) -> tuple[App, Table[str, Order]]:
    """Each order is paid, under its text as the business key if `once`."""
    app, orders = order_app()

    async def pay(what: str, *, idempotency_key: str = "") -> str:
        return await outside.act("pay", what, idempotency_key)

    declare: Any = app.effect
    effect = declare(**options)(pay)

    @app.agent(wakes_on=orders)
    async def buy(turn: Turn, order: Order) -> None:
        intended = turn.effect(effect, order.text)
        if once:
            intended.once(order.text)

    return app, orders


def all_moves(host: Host) -> list[EffectMoved]:
    return [move for step in host.bodies(EffectStep) for move in step.moves]


# ---- once


async def test_of_two_decisions_with_one_business_key_one_is_performed(tmp_path: Path) -> None:
    outside = Outside()
    app, orders = shop(outside, once=True)
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "invoice 7"), Order("o2", "invoice 7"), Order("o3", "invoice 8"))
    assert outside.done == ["pay invoice 7", "pay invoice 8"]
    (other,) = [move for move in all_moves(host) if move.of]
    assert (other.state, other.of, bytes(other.outcome)) == ("settled", outside.keys[0], b'"pay invoice 7: done"')


@pytest.mark.parametrize("clean", [True, False])
async def test_that_outlives_a_restart(tmp_path: Path, clean: bool) -> None:
    outside = Outside()
    app, orders = shop(outside, once=True)
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "invoice 7"))
    if clean:
        await host.stop()
        host.begin(host.clock.now_us())
    else:
        host.flush()
        host.crash()
    await host.send(orders, Order("o2", "invoice 7"))
    assert outside.done == ["pay invoice 7"]
    assert picture(replayed(host)) == picture(host.fold)


async def test_where_the_first_fails_for_good_the_second_is_performed(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["pay"] = [TransientError("busy", retry_after_s=9), PermanentError("refused")]
    app, orders = shop(outside, once=True)
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o1", "invoice 7"))
    await host.advance(1)
    await host.send(orders, Order("o2", "invoice 7"))
    assert [move.state for move in all_moves(host)] == [
        "performing",
        "failed",
        "performing",
        "failed",
        "performing",
        "settled",
    ]
    assert outside.done == ["pay invoice 7"]


async def test_a_business_key_counts_within_its_horizon(tmp_path: Path) -> None:
    outside = Outside()
    app, orders = shop(outside, once=True, horizon=timedelta(hours=1))
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "invoice 7"))
    await host.advance(3_000)
    await host.send(orders, Order("o2", "invoice 7"))
    assert len(outside.done) == 1
    await host.advance(1_000)
    await host.send(orders, Order("o3", "invoice 7"))
    assert len(outside.done) == 2


async def test_what_was_undone_may_be_done_once_more(tmp_path: Path) -> None:
    outside = Outside()
    app, orders = order_app()

    @app.effect
    async def unpay(what: str) -> str:
        return await outside.act("unpay", what)

    @app.effect(undo=unpay)
    async def pay(what: str) -> str:
        return await outside.act("pay", what)

    @app.agent(wakes_on=orders)
    async def buy(turn: Turn, order: Order) -> None:
        if order.text.startswith("buy:"):
            turn.undo(order.text)
        else:
            turn.effect(pay, order.text).once(order.text)

    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "invoice 7"))
    first = host.decisions()[0].turn
    host.hand_in(orders, Order("o2", first))
    await host.advance(0)
    await host.send(orders, Order("o3", "invoice 7"))
    assert outside.done == ["pay invoice 7", "unpay invoice 7", "pay invoice 7"]


# ---- limits


async def test_at_most_so_many_are_performing_at_a_time(tmp_path: Path) -> None:
    outside = Outside()
    app, orders = shop(outside, concurrency=2)
    host = Host(app, tmp_path / "log")
    await host.send(orders, *(Order(f"o{number}", str(number)) for number in range(5)))
    assert sorted(outside.done) == [f"pay {number}" for number in range(5)]
    acting = most = 0
    for move in all_moves(host):
        acting += 1 if move.state == "performing" else -1
        most = max(most, acting)
    assert most == 2


async def test_so_many_a_second_are_begun(tmp_path: Path) -> None:
    outside = Outside()
    app, orders = shop(outside, per_second=2)
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, *(Order(f"o{number}", str(number)) for number in range(4)))
    await host.advance(0.8)
    host.flush()
    host.crash()  # the rate outlives it
    await host.settle()
    begun = [
        entry.at_us
        for entry in host.entries()
        if entry.kind == "effects"
        for _ in range(entry.body.count(b'"state":"performing"'))
    ]
    assert len(begun) == 4
    assert min(after - before for before, after in pairwise(begun)) >= 500_000


# ---- waits


def test_a_wait_doubles_up_to_a_bound_and_is_a_function_of_who_waits() -> None:
    backoff = Backoff(timedelta(seconds=2), timedelta(seconds=10), jitter=0.5)
    waits = [backoff.wait_us(tries, "k") for tries in (1, 2, 3, 4)]
    for wait, longest in zip(waits, (2, 4, 8, 10), strict=True):
        assert longest * 500_000 <= wait <= longest * 1_000_000
    assert waits == [backoff.wait_us(tries, "k") for tries in (1, 2, 3, 4)]
    assert waits[0] != backoff.wait_us(1, "other")
    assert Backoff(jitter=0).wait_us(3) == 4_000_000


# ---- unknown


async def test_a_look_up_that_fails_is_made_again(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["pay"] = [ConnectionResetError("by peer")]
    wrong: list[Exception] = [OSError("no network"), TransientError("later", retry_after_s=50)]

    async def look_up(key: str) -> str | None:
        if wrong:
            raise wrong.pop(0)
        return await outside.look_up(key)

    app, orders = shop(outside, reconcile=look_up)
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "7"))
    assert outside.done == ["pay 7"]
    key = outside.keys[0]
    assert steps_of(host, key) == ["performing", "unknown", "unknown", "unknown", "failed", "performing", "settled"]


async def test_tries_that_may_have_acted_do_not_end_as_failed(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["pay"] = [ConnectionResetError("by peer"), TransientError("busy")]
    app, orders = shop(outside, idempotent=True, max_tries=2)
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "7"))
    assert [state for _, state in moves(host)] == ["performing", "unknown", "performing", "unknown"]
    (pending,) = host.fold.outbox.pending.values()
    assert pending.retry_at_us is None


async def test_one_that_may_have_happened_and_that_the_app_no_longer_has_stays_unknown(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["pay"] = [ConnectionResetError("by peer")]
    app, orders = shop(outside, idempotent=True)
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o1", "7"))
    await host.advance(0.3)
    host.flush()
    host.declared = msgspec.structs.replace(host.declared, effects=[])
    host.crash()
    await host.settle()
    assert [state for _, state in moves(host)] == ["performing", "unknown", "performing", "unknown"]


async def unknown(path: Path) -> tuple[Outside, Host, str]:
    """One payment of which nobody knows, and another order of its customer behind it."""
    outside = Outside()
    outside.errors["pay"] = [ConnectionResetError("by peer")]
    app, orders = shop(outside)
    host = Host(app, path)
    await host.send(orders, Order("o1", "7"))
    await host.send(orders, Order("o1", "8"))
    (first, second) = host.fold.outbox.pending.values()
    assert (first.state, second.state) == ("unknown", "intended")
    assert host.fold.outbox.ahead(second) == first.key
    return outside, host, first.key


async def test_a_person_says_that_it_was_done(tmp_path: Path) -> None:
    outside, host, key = await unknown(tmp_path / "log")
    settle(host.engine, key, "done", by="ann", because="it is on the statement")
    await host.settle()
    assert outside.done == ["pay 8"]
    (said,) = [move for move in all_moves(host) if move.by]
    assert (said.state, said.by, said.error) == ("settled", "ann", "it is on the statement")
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_person_says_that_it_was_not_done(tmp_path: Path) -> None:
    outside, host, key = await unknown(tmp_path / "log")
    settle(host.engine, key, "not-done", by="ann")
    await host.settle()
    assert outside.done == ["pay 7", "pay 8"]


async def test_a_person_withdraws_it(tmp_path: Path) -> None:
    outside, host, key = await unknown(tmp_path / "log")
    settle(host.engine, key, "withdrawn", by="ann")
    await host.settle()
    assert outside.done == ["pay 8"]
    with pytest.raises(DeclarationError, match="It is withdrawn, at its end"):
        settle(host.engine, key, "done", by="ann")


async def test_of_what_is_known_a_person_is_not_asked(tmp_path: Path) -> None:
    _, host, key = await unknown(tmp_path / "log")
    (_, second) = host.fold.outbox.pending
    with pytest.raises(DeclarationError, match="is intended: that it has not happened is known"):
        settle(host.engine, second, "done", by="ann")
    with pytest.raises(DeclarationError, match="never was"):
        settle(host.engine, key + "0", "done", by="ann")


@pytest.mark.parametrize(
    "wrong",
    [{"concurrency": 0}, {"per_second": 0}, {"max_tries": 0}, {"retry": Backoff(jitter=2)}],
)
def test_limits_must_make_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="Effect `pay`"):
        shop(Outside(), **wrong)
