"""An effect happens once: it is performed after its decision is durable, under an idempotency key, and a crash leaves
as unknown only what was truly in flight; that is then settled as the effect declares."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extrovert import App, Effect, PermanentError, TransientError, Turn
from extrovert.core.log import EffectMoved, EffectStep
from tests.hosts import Host, replayed, serving, until
from tests.picture import picture
from tests.spec.airline import Flight


class PowerCut(BaseException):
    """The engine's process ends here."""


class Outside:
    """The world that effects act on: what was `done`, by idempotency key, and what goes wrong."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.tries = 0
        self.errors: list[BaseException] = []
        self.looked_up: list[str] = []

    async def act(self, flight_id: str, key: str) -> str:
        self.tries += 1
        if self.errors and not isinstance(self.errors[0], PowerCut):
            raise self.errors.pop(0)
        self.done.append(key)
        if self.errors:
            raise self.errors.pop(0)
        return f"told {flight_id}"

    async def look_up(self, key: str) -> str | None:
        self.looked_up.append(key)
        return "found" if key in self.done else None


def airline(outside: Outside, **declared: Any) -> App:
    """An app that announces each flight; the effect is declared as said."""
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)

    async def announce(flight_id: str, *, idempotency_key: str = "") -> str:
        return await outside.act(flight_id, idempotency_key)

    declare: Any = app.effect
    effect: Effect[[str]] = declare(**declared)(announce)

    @app.agent(wakes_on=flights)
    async def tell(turn: Turn, flight: Flight) -> None:
        turn.effect(effect, flight.flight_id)

    return app


def states(host: Host) -> list[str]:
    """The steps of the one effect, in order."""
    return [move.state for step in host.bodies(EffectStep) for move in step.moves]


async def one_flight(host: Host) -> None:
    await host.send(host.declared.tables[0], Flight("F1"))


async def test_an_effect_goes_from_its_intent_to_its_outcome(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    await one_flight(host)
    assert states(host) == ["performing", "settled"]
    settled: EffectMoved = host.bodies(EffectStep)[-1].moves[0]
    assert msgspec.json.decode(settled.outcome) == "told F1"
    assert host.fold.outbox.pending == {}


async def test_its_idempotency_key_is_its_decision_and_its_slot(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    await one_flight(host)
    assert outside.done == [f"{host.decisions()[0].turn}/0"]


async def test_it_is_performed_though_the_engine_stopped_between_the_decision_and_the_act(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Flight("F1"))
    await host.advance(0)
    host.flush()
    assert outside.done == []
    host.crash()
    await host.settle()
    assert len(outside.done) == 1
    assert states(host) == ["performing", "settled"]


async def test_it_is_not_performed_where_its_decision_was_lost(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Flight("F1"))
    await host.advance(0)
    host.crash()
    await host.settle()
    assert outside.done == []


async def crash_in_the_act(host: Host, outside: Outside) -> None:
    """The power goes after the act, and before anything was heard of it."""
    outside.errors.append(PowerCut())
    with pytest.raises(PowerCut):
        await one_flight(host)
    host.crash()
    await host.settle()


async def test_one_with_an_idempotent_target_is_performed_again_under_the_same_key(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside, idempotent=True), tmp_path / "log")
    await crash_in_the_act(host, outside)
    assert outside.tries == 2
    assert len(set(outside.done)) == 1
    assert states(host) == ["performing", "unknown", "performing", "settled"]


async def test_one_that_can_be_looked_up_is_looked_up_and_not_performed_again(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside, reconcile=outside.look_up), tmp_path / "log")
    await crash_in_the_act(host, outside)
    assert outside.tries == 1
    assert outside.looked_up == outside.done
    assert states(host) == ["performing", "unknown", "settled"]
    settled: EffectMoved = host.bodies(EffectStep)[-1].moves[0]
    assert msgspec.json.decode(settled.outcome) == "found"


async def test_one_that_turns_out_not_to_have_happened_is_performed(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside, reconcile=outside.look_up), tmp_path / "log")
    outside.errors.append(PowerCut())
    with pytest.raises(PowerCut):
        await one_flight(host)
    outside.done.clear()  # it was lost on the way
    host.crash()
    await host.settle()
    assert len(outside.done) == 1


async def test_one_with_neither_stays_unknown_and_is_never_repeated(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    await crash_in_the_act(host, outside)
    host.crash()
    await host.settle()
    assert outside.tries == 1
    assert states(host) == ["performing", "unknown"]
    assert [pending.state for pending in host.fold.outbox.pending.values()] == ["unknown"]
    unknown: EffectMoved = host.bodies(EffectStep)[-1].moves[0]
    assert unknown.error == "the engine stopped meanwhile"


@pytest.mark.parametrize("declared", [{}, {"idempotent": True}])
async def test_one_that_says_that_it_did_not_happen_is_tried_again(tmp_path: Path, declared: dict[str, Any]) -> None:
    outside = Outside()
    outside.errors.extend([TransientError("busy"), TransientError("busy", retry_after_s=9)])
    host = Host(airline(outside, **declared), tmp_path / "log")
    await one_flight(host)
    assert states(host) == ["performing", "failed", "performing", "failed", "performing", "settled"]
    entries = [entry.at_us for entry in host.entries() if entry.kind == "effects"]
    waits = [after - before for before, after in zip(entries[1::2], entries[2::2], strict=False)]
    assert 500_000 <= waits[0] <= 1_000_000
    assert waits[1] == 9_000_000


async def test_one_that_fails_in_an_unclear_way_is_unknown(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors.append(ConnectionResetError("by peer"))
    host = Host(airline(outside), tmp_path / "log")
    await one_flight(host)
    assert outside.tries == 1
    assert states(host) == ["performing", "unknown"]


async def test_one_that_fails_in_an_unclear_way_is_performed_again_where_that_is_safe(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors.append(ConnectionResetError("by peer"))
    host = Host(airline(outside, idempotent=True), tmp_path / "log")
    await one_flight(host)
    assert states(host) == ["performing", "unknown", "performing", "settled"]


async def test_one_that_can_never_work_has_failed(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors.append(PermanentError("no such customer"))
    host = Host(airline(outside, idempotent=True), tmp_path / "log")
    await one_flight(host)
    assert states(host) == ["performing", "failed"]
    assert host.fold.outbox.pending == {}


async def test_its_tries_are_bounded(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors.extend(TransientError("busy") for _ in range(9))
    host = Host(airline(outside, idempotent=True, max_tries=3), tmp_path / "log")
    await one_flight(host)
    assert outside.tries == 3
    assert states(host)[-1] == "failed"
    assert host.fold.outbox.pending == {}


async def test_a_retry_outlives_a_crash(tmp_path: Path) -> None:
    outside = Outside()
    outside.errors.append(TransientError("busy", retry_after_s=30))
    host = Host(airline(outside), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Flight("F1"))
    await host.advance(10)
    host.flush()
    host.crash()
    assert picture(replayed(host)) == picture(host.fold)
    await host.settle()
    assert len(outside.done) == 1


async def test_one_that_the_app_no_longer_has_has_failed(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Flight("F1"))
    await host.advance(0)
    host.flush()
    host.declared = msgspec.structs.replace(host.declared, effects=[])
    host.crash()
    await host.settle()
    assert states(host) == ["performing", "failed"]
    assert host.bodies(EffectStep)[-1].moves[0].error == "there is no effect `announce` any more"


async def test_effects_of_one_decision_have_each_a_slot_and_keep_their_order(tmp_path: Path) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    done: list[tuple[str, str]] = []

    @app.effect
    async def say(text: str, *, idempotency_key: str = "") -> None:
        done.append((text, idempotency_key.rpartition("/")[2]))

    @app.agent(wakes_on=flights)
    async def tell(turn: Turn, flight: Flight) -> None:
        for text in ("ready", "steady", "go"):
            turn.effect(say, text)

    host = Host(app, tmp_path / "log")
    await host.send(flights, Flight("F1"))
    assert done == [("ready", "0"), ("steady", "1"), ("go", "2")]


async def test_a_clean_stop_performs_what_it_has_called_performing(tmp_path: Path) -> None:
    outside = Outside()
    host = Host(airline(outside), tmp_path / "log")
    host.hand_in(host.declared.tables[0], Flight("F1"))
    while not any(pending.state == "performing" for pending in host.fold.outbox.pending.values()):
        await host.advance(0.05)
    assert outside.done == []
    await host.stop()
    host.begin()
    await host.settle()
    assert len(outside.done) == 1
    assert states(host) == ["performing", "settled"]


async def test_a_clean_stop_waits_for_an_effect_that_has_begun(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    begun: list[str] = []

    class Slow(Outside):
        async def act(self, flight_id: str, key: str) -> str:
            begun.append(key)
            await go_on.wait()
            return await super().act(flight_id, key)

    outside = Slow()
    async with serving(airline(outside), tmp_path) as engine:
        engine.intake.lines("flights", b'{"flight_id":"F1"}')
        engine.nudge()
        await until(lambda: begun)
        asyncio.get_running_loop().call_soon(go_on.set)
    assert len(outside.done) == 1
    host = Host(airline(outside), tmp_path / "log.sqlite")
    assert states(host) == ["performing", "settled"]


async def test_of_effects_under_way_together_each_outcome_is_noted(tmp_path: Path) -> None:
    class Slow(Outside):
        async def act(self, flight_id: str, key: str) -> str:
            for _ in range(5 * int(flight_id)):
                await asyncio.sleep(0)
            return await super().act(flight_id, key)

    outside = Slow()
    async with serving(airline(outside), tmp_path) as engine:
        for number in range(20):
            engine.intake.lines("flights", b'{"flight_id":"%d"}' % number)
        engine.nudge()
        await until(lambda: len(outside.done) == 20 and not engine.shard.fold.outbox.pending)
    assert len(set(outside.done)) == 20


@pytest.mark.parametrize("wrong", [None, 3])
async def test_arguments_that_do_not_fit_fail_the_effect(tmp_path: Path, wrong: Any) -> None:
    app = App("airline")
    flights = app.table("flights", Flight, key=Flight.flight_id)
    said: list[str] = []

    @app.effect
    async def say(text: str) -> None:
        said.append(text)

    @app.agent(wakes_on=flights)
    async def tell(turn: Turn, flight: Flight) -> None:
        turn.effect(say, wrong)

    host = Host(app, tmp_path / "log")
    await host.send(flights, Flight("F1"))
    assert said == []
    assert states(host) == ["performing", "failed"]
