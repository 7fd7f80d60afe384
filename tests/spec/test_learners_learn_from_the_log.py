"""A learner is a fold of a stream: it answers with what it has learnt by then, and the answer is remembered."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from extrovert import App, DeclarationError, ExtrovertError, Limits, Record, Refuse, Turn
from extrovert.core.log import Admitted, Answered, Attempted, Dead, Told
from extrovert.engine.recovery import recover
from extrovert.testing import World
from tests.frauds import Facts, Frauds, Known, Payment, Screened, Shares, facts_of, fraud_of
from tests.hosts import Host, replayed

FRAUD, GOOD = Known("k1", "AA", fraud=True), Known("k2", "AA", fraud=False)


def learnt(fold: Any, name: str = "risk") -> tuple[int, dict[Any, int], dict[Any, Any]]:
    state = fold.context.operators[name]
    return state.learnt, state.model.all, state.model.by


async def test_it_answers_with_what_it_has_learnt_when_it_is_asked() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        await world.send(frauds.payments, Payment("p1", "AA"))
        await world.send(frauds.known, FRAUD)
        await world.send(frauds.payments, Payment("p2", "AA"))
        await world.send(frauds.known, GOOD, GOOD, GOOD)
        await world.send(frauds.payments, Payment("p3", "AA"), Payment("p4", "BB"))
        assert [frauds.screened[name].chance for name in ("p1", "p2", "p3", "p4")] == [-1.0, 1.0, 0.25, 0.25]


async def test_it_takes_no_time_and_a_decision_needs_no_second_run() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        begun = world.now
        await world.send(frauds.known, FRAUD)
        world.hand_in(frauds.payments, Payment("p1", "AA"))
        await world.advance(timedelta(0))
        assert (await world.decision(frauds.screen, "p1")).reruns == 0
        assert frauds.screened["p1"].chance == 1.0
        assert world.now == begun + timedelta(seconds=10)  # the other agent's policy has taken its time by now


async def test_what_has_no_label_yet_teaches_nothing() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        await world.send(frauds.known, FRAUD, Known("k3", "AA"))
        assert learnt(world.engine.shard.fold)[0] == 1
        assert world.dead_letters() == []


async def test_an_answer_is_remembered_whatever_is_learnt_later(tmp_path: Path) -> None:
    frauds = Frauds()
    host = Host(frauds.app, tmp_path / "log")
    await host.send(frauds.known, FRAUD)
    host.hand_in(frauds.payments, Payment("p1", "AA"))
    await host.advance(1)
    host.hand_in(frauds.known, GOOD, GOOD, GOOD)
    await host.advance(1)
    host.flush()
    host.crash()
    await host.settle()
    assert host.row(frauds.later, "p1") == Screened("p1", 1.5)
    asked = [ask for body in host.bodies(Attempted) for ask in body.asks if body.agent == "look"]
    assert [ask.model for ask in asked] == ["learner:risk", "policy:half"]


async def test_the_log_tells_which_edition_of_a_learner_has_answered(tmp_path: Path) -> None:
    frauds = Frauds()
    host = Host(frauds.app, tmp_path / "log")
    await host.send(frauds.known, FRAUD)
    await host.send(frauds.payments, Payment("p1", "AA"))
    [told] = host.bodies(Told)
    assert msgspec.json.decode(told.parameters) == msgspec.json.decode(frauds.risk.parameters)
    asks = [ask for body in host.bodies(Attempted) for ask in body.asks if ask.model == "learner:risk"]
    assert [ask.told for ask in asks] == [told.told] * 2


# ---- what it learns from


async def test_an_event_that_it_chokes_on_is_a_dead_letter_and_leaves_it_as_it_was() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        await world.send(frauds.known, FRAUD, Known("k2", "poison", fraud=False), GOOD)
        [letter] = world.dead_letters()
        assert letter.cause == "learner `risk`: ArithmeticError: it chokes"
        assert learnt(world.engine.shard.fold) == (2, {True: 1, False: 1}, {"AA": {True: 1, False: 1}})


async def test_features_that_would_spoil_it_are_dead_letters() -> None:
    class Reading(Record):
        key: str
        value: float

    app = App("readings")
    readings = app.stream("readings", Reading, key=Reading.key)
    app.learner(
        "risk",
        Shares,
        over=readings,
        features=lambda one: {"country": one.value * 1e308},
        label=lambda one: one.value / 0 if one.value < 0 else [one.key] if not one.value else True,
    )
    with World(app) as world:
        await world.send(readings, *(Reading("a", value) for value in (1.0, 2.0, -1.0, 0.0)))
        assert [letter.cause.partition(": ")[2] for letter in world.dead_letters()] == [
            "ValueError: its feature `country` is inf",
            "ZeroDivisionError: float division by zero",
            "ValueError: its label is a list; a label is a text, a number, a bool, or None",
        ]
        assert learnt(world.engine.shard.fold)[0] == 1


async def test_it_learns_from_derived_streams_too() -> None:
    app = App("derived")
    payments = app.stream("payments", Payment, key=Payment.payment_id)
    known = app.stream(
        "known", Known, key=Known.payment_id, source=payments.map(lambda one: Known(one.payment_id, one.country, True))
    )
    app.learner("risk", Shares, over=known, features=facts_of, label=fraud_of)
    with World(app) as world:
        await world.send(payments, Payment("p1", "AA"), Payment("p2", "poison"))
        assert learnt(world.engine.shard.fold) == (1, {True: 1}, {"AA": {True: 1}})
        assert [letter.stream for letter in world.dead_letters()] == ["known"]


# ---- snapshots


async def test_a_snapshot_and_the_tail_of_the_log_give_what_the_whole_log_gives(tmp_path: Path) -> None:
    frauds = Frauds()
    host = Host(frauds.app, tmp_path / "log")
    await host.send(frauds.known, FRAUD, Known("k9", "poison", fraud=True), GOOD)
    await host.stop()
    host.begin()
    await host.send(frauds.known, Known("k3", "BB", fraud=True))
    expected = (3, {True: 2, False: 1}, {"AA": {True: 1, False: 1}, "BB": {True: 1}})
    assert learnt(host.fold) == learnt(replayed(host)) == expected
    fold, begins = recover(host.declared, host.store)
    assert begins > 1
    assert learnt(fold) == expected


class Doubled(Shares):
    """Another edition of what learns: it counts each twice."""

    def learn_one(self, x: Any, y: Any) -> None:
        super().learn_one(x, y)
        super().learn_one(x, y)


def edition(make: Any) -> App:
    app = App("editions")
    known = app.stream("known", Known, key=Known.payment_id)
    app.learner("risk", make, over=known, features=facts_of, label=fraud_of)
    return app


async def test_another_edition_learns_from_the_whole_log_again(tmp_path: Path) -> None:
    host = Host(edition(Shares), tmp_path / "log")
    host.engine.intake.lines("known", msgspec.json.encode(FRAUD))
    await host.stop()
    host.declared = edition(Doubled).declared()
    host.begin()
    assert learnt(host.fold) == (1, {True: 2}, {"AA": {True: 2}})


async def test_a_learner_that_is_added_later_learns_from_the_whole_log(tmp_path: Path) -> None:
    app = App("editions")
    app.stream("known", Known, key=Known.payment_id)
    host = Host(app, tmp_path / "log")
    host.engine.intake.lines("known", msgspec.json.encode(FRAUD))
    await host.stop()
    host.declared = edition(Shares).declared()
    host.begin()
    assert learnt(host.fold)[0] == 1


# ---- what it is asked for


async def asked(output: Any, *known: Known, about: Any = None) -> Any:
    """What comes of one ask of a learner that has learnt from these: the answer, or the dead letter's cause."""
    app = App("asking")
    stream = app.stream("known", Known, key=Known.payment_id)
    payments = app.stream("payments", Payment, key=Payment.payment_id)
    risk = app.learner("risk", Shares, over=stream, features=facts_of, label=fraud_of)
    said: list[Any] = []

    @app.agent(wakes_on=payments)
    async def ask(turn: Turn, payment: Payment) -> None:
        said.append(await turn.ask(about or Facts(payment.country), output=output, of=risk))

    with World(app) as world:
        await world.send(stream, *known)
        await world.send(payments, Payment("p1", "AA"))
        return said[0] if said else world.dead_letters()[-1].cause


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        (float, 0.25),
        (float | None, 0.25),
        (dict[str, float], {"true": 0.25, "false": 0.75}),
        (bool, False),
        (Literal["yes"] | bool, False),
    ],
    ids=str,
)
async def test_the_wanted_type_says_what_it_is_asked_for(output: Any, answer: Any) -> None:
    assert await asked(output, FRAUD, GOOD, GOOD, GOOD) == answer


async def test_it_can_be_asked_about_an_event_like_those_that_it_learns_from() -> None:
    assert await asked(float, FRAUD, GOOD, about=Known("k7", "AA")) == 0.5


@pytest.mark.parametrize("output", [float, bool, dict[str, float]], ids=str)
async def test_before_it_has_learnt_anything_it_says_so(output: Any) -> None:
    assert await asked(output | None) is None
    why = (
        "failed: PermanentError: Learner `risk` has not learnt enough to say anything. Allow for that: output=… | None."
    )
    assert await asked(output) == why


async def test_what_does_not_fit_ends_the_turn_and_says_why() -> None:
    assert (await asked(Facts, FRAUD)).startswith(
        "failed: PermanentError: Learner `risk` said true, which is not the wanted type: Expected `object`, got `bool`"
    )
    assert await asked(float, FRAUD, about="a prompt") == (
        "failed: PermanentError: Learner `risk`, having learnt from 1 events, could not say what it was asked: "
        "TypeError: string indices must be integers, not 'str'"
    )


async def test_a_learner_of_another_app_cannot_be_asked() -> None:
    frauds, other = Frauds(), Frauds().risk

    @frauds.app.agent(wakes_on=frauds.payments)
    async def stray(turn: Turn, payment: Payment) -> None:
        await turn.ask(Facts("AA"), output=float, of=other)

    with World(frauds.app) as world:
        await world.send(frauds.payments, Payment("p1", "AA"))
        assert "learner `risk`, which another app has declared" in world.dead_letters()[0].cause

    app = App("other")
    rows = app.table("rows", Facts, key=Facts.country)

    @app.agent(wakes_on=rows, model=other)
    async def lost(turn: Turn, row: Facts) -> None: ...

    with pytest.raises(DeclarationError, match="Agent `lost` asks model `learner:risk`, which is not known"):
        app.declared()


async def test_a_refusal_goes_to_the_model_since_a_learner_would_say_the_same_again() -> None:
    app = App("refusing")
    known = app.stream("known", Known, key=Known.payment_id)
    payments = app.stream("payments", Payment, key=Payment.payment_id)
    risk = app.learner("risk", Shares, over=known, features=facts_of, label=fraud_of)
    screened = app.table("screened", Screened, key=Screened.payment_id)

    @app.policy
    def never(about: str) -> float:
        raise AssertionError(about)

    @app.agent(wakes_on=payments, model=never)
    async def decide(turn: Turn, payment: Payment) -> None:
        limit = await turn.ask("how much?", output=float)
        if await turn.ask(Facts(payment.country), output=float, of=risk) > limit:
            raise Refuse("that is too risky")
        turn.put(screened, Screened(payment.payment_id, limit))

    with World(app) as world:
        script = world.answer(decide, 0.1, 0.9)
        await world.send(known, FRAUD, GOOD)
        await world.send(payments, Payment("p1", "AA"))
        assert screened["p1"].chance == 0.9
        assert script.asked == ["how much?", "how much?"]


async def test_limits_are_for_models(tmp_path: Path) -> None:
    app = App("limited")
    known = app.stream("known", Known, key=Known.payment_id)
    payments = app.stream("payments", Payment, key=Payment.payment_id)
    screened = app.table("screened", Screened, key=Screened.payment_id)
    risk = app.learner("risk", Shares, over=known, features=facts_of, label=fraud_of)

    @app.agent(wakes_on=payments, model=risk, limits=Limits(requests_per_minute=1))
    async def screen(turn: Turn, payment: Payment) -> None:
        turn.put(screened, Screened(payment.payment_id, await turn.ask(Facts(payment.country), output=float)))

    host = Host(app, tmp_path / "log")
    host.hand_in(known, FRAUD)
    host.hand_in(payments, *(Payment(f"p{number}", "AA") for number in range(5)))
    await host.advance(0)
    assert len(host.bodies(Answered)) == len(host.decisions()) == 5
    assert host.bodies(Admitted, Dead) == []


# ---- tests and trials


async def test_a_test_scripts_what_a_learner_says() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        script = world.answer(frauds.risk, 0.9, 0.2)
        world.answer(frauds.look, 0.0)
        await world.send(frauds.payments, Payment("p1", "AA"))
        assert sorted([frauds.screened["p1"].chance, frauds.later["p1"].chance]) == [0.2, 0.9]
        assert script.asked == [Facts("AA")] * 2
        with pytest.raises(ExtrovertError, match="Agent `screen` asks learner risk: script what that answers"):
            world.answer(frauds.screen, 0.5)


async def test_a_backtest_asks_a_learner_as_it_was_then() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        await world.send(frauds.known, FRAUD)
        await world.send(frauds.payments, Payment("p1", "AA"))
        await world.send(frauds.known, GOOD, GOOD, GOOD)
        await world.send(frauds.payments, Payment("p2", "AA"))
        await world.send(frauds.known, *[GOOD] * 12)
        assert [one.differs for one in await world.backtest(frauds.look)] == [[], []]
        found = await world.backtest(frauds.look, model=frauds.risk)
        writes = [msgspec.json.decode(one.candidate.writes[0].row, type=Screened) for one in found]
        assert writes == [Screened("p1", 2.0), Screened("p2", 0.5)]


async def test_a_backtest_of_what_is_as_it_was_finds_the_answers_again_though_more_was_learnt_before_the_end() -> None:
    frauds = Frauds()
    with World(frauds.app) as world:
        await world.send(frauds.known, FRAUD)
        world.hand_in(frauds.payments, Payment("p1", "AA"))
        await world.advance(timedelta(seconds=1))
        await world.send(frauds.known, GOOD)
        [found] = await world.backtest(frauds.look)
        assert found.differs == []


async def test_a_backtest_refuses_a_learner_that_there_is_not() -> None:
    frauds = Frauds()
    why = "App `frauds` has no learner other[.] It has: `risk`"
    with World(frauds.app) as world, pytest.raises(DeclarationError, match=why):
        await world.backtest(frauds.look, model="learner:other")
