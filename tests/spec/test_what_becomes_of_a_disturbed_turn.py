"""A turn that the world disturbs too often, or that takes too long, ends as its agent declares, visibly."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, Approval, DeclarationError, Record, Turn
from extrovert.core.log import Answered, Attempted, Decided
from extrovert.engine.approving import decide, pending_approvals
from extrovert.turns.declare import OnConflict
from tests.hosts import Host, Rule, replayed
from tests.picture import picture


class Price(Record):
    sku: str
    cents: int


class Offer(Record):
    sku: str
    text: str


class Shop:
    """An app whose agent asks about a price that goes on changing."""

    def __init__(self, on_conflict: OnConflict, **options: Any) -> None:
        self.app = App("shop")
        self.wishes = self.app.stream("wishes", Offer, key=Offer.sku)
        self.prices = self.app.table("prices", Price, key=Price.sku)
        self.offers = self.app.table("offers", Offer, key=Offer.sku)

        @self.app.agent(wakes_on=self.wishes, on_conflict=on_conflict, **options)
        async def offer(turn: Turn, wish: Offer) -> None:
            price = self.prices[wish.sku]
            first = await turn.ask(f"how to praise it at {price.cents}?", output=str)
            second = await turn.ask(f"shorter, at {price.cents}: {first}", output=str)
            turn.put(self.offers, Offer(wish.sku, f"{second} {self.prices[wish.sku].cents} {len(turn.changes)}"))

    async def disturbed(self, path: Path, times: int = 5) -> Host:
        """A host on which the price has changed so many times while the agent's model thinks for a minute."""
        host = Host(self.app, path, {"agent:offer": Rule(lambda about: f"<{about[-30:]}>", 60)})
        host.hand_in(self.prices, Price("lamp", 1))
        host.hand_in(self.wishes, Offer("lamp", "please"))
        for cents in range(2, 2 + times):
            await host.advance(1)
            host.hand_in(self.prices, Price("lamp", cents))
        await host.advance(1)
        return host


async def test_contended_ends_it_with_a_dead_letter(tmp_path: Path) -> None:
    host = await Shop("contended", max_reruns=3).disturbed(tmp_path / "log")
    assert host.outcomes() == ["contended"]
    assert "changed in 3 runs; the last change: prices/lamp" in host.dead_letters()[0].cause


async def test_drop_gives_it_up_and_says_so_in_the_ledger(tmp_path: Path) -> None:
    host = await Shop("drop", max_reruns=3).disturbed(tmp_path / "log")
    assert host.outcomes() == ["dropped"]
    assert host.dead_letters() == []


async def test_guarded_takes_the_answers_in_their_order_and_commits(tmp_path: Path) -> None:
    shop = Shop("guarded", max_reruns=3)
    host = await shop.disturbed(tmp_path / "log", times=10)
    await host.settle()
    (decision,) = host.bodies(Decided)
    assert decision.guarded
    assert host.row(shop.offers, "lamp").text == "<t 11: <how to praise it at 4?>> 11 1"
    sent = [ask for body in host.bodies(Attempted) for ask in body.asks]
    assert [bytes(ask.request).decode()[:30] for ask in sent][-2:] == [
        '"how to praise it at 4?"',
        '"shorter, at 11: <how to prais',
    ]
    assert picture(host.fold) == picture(replayed(host))


async def test_a_guarded_turn_goes_on_over_a_crash(tmp_path: Path) -> None:
    shop = Shop("guarded", max_reruns=2)
    host = await shop.disturbed(tmp_path / "log", times=5)
    for snapshot in (False, True):
        if snapshot:
            host.engine.keep_snapshot()
        host.flush()
        host.crash()
        await host.advance(1)
        host.hand_in(shop.prices, Price("lamp", 100 + snapshot))
    await host.settle()
    assert [decision.guarded for decision in host.bodies(Decided)] == [True]
    assert host.row(shop.offers, "lamp").text.endswith(" 101 1")


async def test_what_a_guarded_turn_had_asked_before_a_crash_is_asked_again_as_it_was(tmp_path: Path) -> None:
    shop = Shop("guarded", max_reruns=2)
    host = await shop.disturbed(tmp_path / "log", times=5)
    host.hand_in(shop.prices, Price("lamp", 100))
    host.flush()
    host.crash()
    await host.settle()
    first, *_ = host.bodies(Answered)
    (asked,) = [ask for body in host.bodies(Attempted) for ask in body.asks if ask.hash == first.hash]
    assert bytes(first.answer).decode()[2:-2] == bytes(asked.request).decode()[1:-1][-30:]


async def test_hold_waits_for_a_person_who_lets_it_go_on(tmp_path: Path) -> None:
    shop = Shop("hold", max_reruns=3)
    host = await shop.disturbed(tmp_path / "log")
    (pending,) = pending_approvals(host.fold)
    assert b"changed in 3 runs" in bytes(pending.what)
    host.hand_in(shop.prices, Price("lamp", 77))
    await host.advance(300)
    assert host.bodies(Decided) == []
    host.flush()
    host.crash()
    decide(host.engine, "offer:lamp", Approval(True, "ann"))
    await host.settle()
    assert host.row(shop.offers, "lamp").text.endswith(" 77 1")
    assert not host.bodies(Decided)[0].guarded


@pytest.mark.parametrize("acting", [True, False])
async def test_hold_waits_for_a_person_who_gives_it_up(tmp_path: Path, acting: bool) -> None:
    host = await Shop("hold", max_reruns=3).disturbed(tmp_path / "log")
    host.flush()
    host.kill()
    host.settings = type(host.settings)(acting=acting)
    host.begin()
    decide(host.engine, "offer:lamp", Approval(False, "ann", "no more lamps"))
    host.flush()
    host.kill()
    host.settings = type(host.settings)()
    host.begin()
    await host.settle()
    assert host.outcomes() == ["dropped"]
    assert host.fold.running == {}


@pytest.mark.parametrize("on_conflict", ["contended", "drop", "guarded", "hold"])
async def test_a_deadline_bounds_a_turn_whose_model_is_slow(tmp_path: Path, on_conflict: OnConflict) -> None:
    shop = Shop(on_conflict, deadline=timedelta(seconds=30))
    host = await shop.disturbed(tmp_path / "log", times=0)
    await host.advance(40)
    expected = {"contended": ["contended"], "drop": ["dropped"]}.get(on_conflict, [])
    assert host.outcomes() == expected
    assert len(pending_approvals(host.fold)) == (on_conflict == "hold")
    host.hand_in(shop.prices, Price("lamp", 9))
    await host.advance(200)
    assert [decision.guarded for decision in host.bodies(Decided)] == ([True] if on_conflict == "guarded" else [])


def test_what_is_declared_wrongly_is_said_at_once() -> None:
    with pytest.raises(DeclarationError, match="on_conflict= is one of contended, guarded, drop, hold"):
        Shop("never")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DeclarationError, match="give quiet= too"):
        Shop("drop", max_wait=timedelta(seconds=1))
    with pytest.raises(DeclarationError, match="deadline= must not be negative"):
        Shop("drop", deadline=timedelta(seconds=-1))
