"""The effects of an agent and key are steps: performed in the order of their decisions, one after the other. When one
comes to a bad end, later ones of its decision are withdrawn and earlier ones undone, in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, Effect, Outcome, PermanentError, Record, Table, TransientError, Turn
from extrovert.core.log import Decided
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.outside import Order, Outside, PowerCut, moves, order_app


class Reversal(Record):
    decision: str


class Trip:
    """Books a flight, a hotel and a car; each can be cancelled, but the car."""

    def __init__(self, outside: Outside, **options: Any) -> None:
        self.app, self.orders = order_app()
        self.outside = outside
        self.told: list[tuple[str, str, Any]] = []
        self.outcomes_given: list[tuple[str, Any]] = []
        self.reversals = self.app.stream("reversals", Reversal, key=Reversal.decision)
        self.seen: list[Outcome] = []
        steps = [self.step(name, options) for name in ("flight", "hotel")]
        car = self.declare("car", {"idempotent": True, **options})

        @self.app.agent(wakes_on=self.orders)
        async def book(turn: Turn, order: Order) -> None:
            for effect in (*steps, car):
                turn.effect(effect, order.order_id)

        @self.app.agent(wakes_on=self.reversals)
        async def reverse(turn: Turn, reversal: Reversal) -> None:
            turn.undo(reversal.decision)

        @self.app.agent(wakes_on=self.app.outcomes(car))
        async def notice(turn: Turn, outcome: Outcome) -> None:
            self.seen.extend(turn.events)

    def declare(self, name: str, options: dict[str, Any]) -> Effect[[str]]:
        outside = self.outside

        async def act(what: str, *, idempotency_key: str = "") -> str:
            return await outside.act(name, what, idempotency_key)

        act.__name__ = name
        declare: Any = self.app.effect
        return declare(**options)(act)

    def step(self, name: str, options: dict[str, Any]) -> Effect[[str]]:
        outside = self.outside

        async def cancel(what: str, *, undoes: str = "", outcome: Any = None, idempotency_key: str = "") -> str:
            self.outcomes_given.append((undoes.rpartition("/")[2], outcome))
            return await outside.act(f"cancel_{name}", what, idempotency_key)

        cancel.__name__ = f"cancel_{name}"
        undo = self.app.effect(idempotent=True)(cancel)
        return self.declare(name, {"idempotent": True, "undo": undo, **options})


async def test_a_later_step_begins_when_the_earlier_one_is_at_its_end(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["flight"] = [TransientError("busy")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    assert outside.done == ["flight o1", "hotel o1", "car o1"]
    assert [slot for slot, _ in moves(host)] == ["0"] * 4 + ["1"] * 2 + ["2"] * 2


async def test_effects_of_a_key_keep_the_order_of_their_decisions(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["flight"] = [TransientError("busy", retry_after_s=60)]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    host.hand_in(trip.orders, Order("o1"))
    await host.advance(1)
    host.hand_in(trip.orders, Order("o1", number=2), Order("o2"))
    await host.advance(10)
    assert outside.done == ["flight o2", "hotel o2", "car o2"]
    host.flush()
    assert picture(replayed(host)) == picture(host.fold)
    await host.settle()
    assert outside.done[3:] == ["flight o1", "hotel o1", "car o1"] * 2


async def test_a_step_that_fails_for_good_undoes_the_earlier_ones_latest_first(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["car"] = [PermanentError("no car")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    assert outside.done == ["flight o1", "hotel o1", "cancel_hotel o1", "cancel_flight o1"]
    assert [key.rpartition("@")[2].partition("/")[2] for key in outside.keys] == ["0", "1", "1/undo", "0/undo"]
    assert trip.outcomes_given == [("1", "hotel o1: done"), ("0", "flight o1: done")]
    assert (host.fold.outbox.pending, host.fold.outbox.done, host.fold.outbox.unwinding) == ({}, {}, {})
    assert picture(replayed(host)) == picture(host.fold)


async def test_steps_that_have_not_begun_are_withdrawn(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["flight"] = [PermanentError("no flight")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    assert outside.done == []
    assert moves(host) == [("0", "performing"), ("0", "failed"), ("1", "withdrawn"), ("2", "withdrawn")]


async def test_later_decisions_of_the_key_wait_until_all_is_undone(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["hotel"] = [TransientError("busy", retry_after_s=5), PermanentError("no hotel")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    host.hand_in(trip.orders, Order("o1"))
    await host.advance(2)
    await host.send(trip.orders, Order("o1", number=2))
    assert outside.done == ["flight o1", "cancel_flight o1", "flight o1", "hotel o1", "car o1"]


async def test_an_undo_that_fails_for_a_while_is_tried_again(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["car"] = [PermanentError("no car")]
    outside.errors["cancel_hotel"] = [TransientError("busy"), ConnectionResetError("by peer")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    assert outside.done[2:] == ["cancel_hotel o1", "cancel_flight o1"]


async def test_an_undo_that_fails_for_good_is_shown_and_the_others_go_on(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["car"] = [PermanentError("no car")]
    outside.errors["cancel_hotel"] = [PermanentError("too late")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    assert outside.done[2:] == ["cancel_flight o1"]
    assert [one.effect for one in host.fold.outbox.failed.values()] == ["car", "cancel_hotel"]


async def reversed_later(trip: Trip, host: Host, *, after: Callable[[], Any]) -> None:
    await host.send(trip.orders, Order("o1"))
    after()
    await host.send(trip.reversals, Reversal(host.decisions()[0].turn))


async def test_a_decision_can_be_undone_by_another(tmp_path: Path) -> None:
    outside = Outside()
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await reversed_later(trip, host, after=lambda: None)
    assert outside.done[3:] == ["cancel_hotel o1", "cancel_flight o1"]
    by: Decided = host.decisions()[-1]
    assert by.undoes == [host.decisions()[0].turn]


async def test_also_after_a_restart_from_a_snapshot(tmp_path: Path) -> None:
    outside = Outside()
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    await host.stop()
    host.begin(host.clock.now_us())
    await host.send(trip.reversals, Reversal(host.decisions()[0].turn))
    assert outside.done[3:] == ["cancel_hotel o1", "cancel_flight o1"]


async def test_what_has_not_been_performed_is_withdrawn_when_its_decision_is_undone(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["hotel"] = [TransientError("busy", retry_after_s=60)]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    host.hand_in(trip.orders, Order("o1"))
    await host.advance(5)
    await host.send(trip.reversals, Reversal(host.decisions()[0].turn))
    assert outside.done == ["flight o1", "cancel_flight o1"]
    assert moves(host)[-4:-2] == [("1", "withdrawn"), ("2", "withdrawn")]


async def test_beyond_its_horizon_nothing_is_undone(tmp_path: Path) -> None:
    outside = Outside()
    trip = Trip(outside, horizon=timedelta(hours=1))
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    await host.advance(3_700)
    await host.send(trip.orders, Order("o2"))
    assert [turn.partition("@")[0] for turn in host.fold.outbox.done] == ["book:o2"]
    await host.send(trip.reversals, Reversal(host.decisions()[0].turn))
    assert not any(done.startswith("cancel") for done in outside.done)


@pytest.mark.parametrize("cut", ["flight", "hotel", "car", "cancel_hotel", "cancel_flight"])
async def test_a_crash_in_any_act_changes_nothing_but_the_number_of_tries(tmp_path: Path, cut: str) -> None:
    outside = Outside()
    outside.errors["car"] = [PermanentError("no car")]
    outside.errors.setdefault(cut, []).insert(0, PowerCut())
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    with pytest.raises(PowerCut):
        await host.send(trip.orders, Order("o1"))
    host.crash()
    await host.settle()
    order = dict.fromkeys(done for done in outside.done if done != "car o1")
    assert list(order) == ["flight o1", "hotel o1", "cancel_hotel o1", "cancel_flight o1"]
    assert host.fold.outbox.pending == {}
    assert picture(replayed(host)) == picture(host.fold)


async def test_what_came_of_an_effect_wakes_an_agent(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["car"] = [PermanentError("no car")]
    trip = Trip(outside)
    host = Host(trip.app, tmp_path / "log")
    await host.send(trip.orders, Order("o1"))
    await host.send(trip.orders, Order("o2"))
    (failed, settled) = trip.seen
    assert (failed.about, failed.state, failed.args, failed.error) == (
        "o1",
        "failed",
        ["o1"],
        "PermanentError: no car",
    )
    assert (settled.about, settled.state, settled.result) == ("o2", "settled", "car o2: done")
    assert picture(replayed(host)) == picture(host.fold)


def alone(outside: Outside, **options: Any) -> tuple[App, Table[str, Order]]:
    """Two effects in each decision: `first`, declared as said, and `second`."""
    app, orders = order_app()

    async def first(account: str) -> str:
        return await outside.act("first", account)

    async def second(account: str) -> str:
        return await outside.act("second", account)

    declare: Any = app.effect
    one, two = declare(**options)(first), declare(**options)(second)

    @app.agent(wakes_on=orders)
    async def pay(turn: Turn, order: Order) -> None:
        turn.effect(one, order.text)
        turn.effect(two, order.text)

    return app, orders


async def test_effects_that_stand_alone_neither_wait_nor_are_withdrawn(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["first"] = [PermanentError("no")]
    app, orders = alone(outside, in_order=False)
    host = Host(app, tmp_path / "log")
    await host.send(orders, Order("o1", "A"))
    assert outside.done == ["second A"]


async def test_order_by_keeps_the_order_across_agents_keys(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors["first"] = [TransientError("busy", retry_after_s=60)]
    app, orders = alone(outside, in_order=False, order_by="account")
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o1", "A"))
    await host.advance(1)
    host.hand_in(orders, Order("o2", "A"), Order("o3", "B"))
    await host.advance(5)
    assert outside.done == ["first B", "second B"]
    await host.settle()
    assert outside.done[2:] == ["first A", "second A"] * 2


async def test_what_an_order_or_undo_names_must_fit() -> None:
    app, _ = order_app()

    @app.effect
    async def take_back(number: int) -> None: ...

    with pytest.raises(DeclarationError, match="order_by= names `account`, which is none of its parameters"):

        @app.effect(order_by="account")
        async def one(text: str) -> None: ...

    with pytest.raises(DeclarationError, match="Effect `two` is undone by `take_back`, which takes other arguments"):

        @app.effect(undo=take_back)
        async def two(text: str) -> None: ...
