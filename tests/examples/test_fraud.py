"""The example of fraud: a learner decides at once, an agent investigates the doubtful, and it learns from both."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from examples.fraud import Facts, app, decide, history, investigate, learn, payments, reports, risk, verdicts
from examples.fraud_data import Payment, Report, an_hour

from extrovert.testing import World

__all__ = ["app"]

ROOT = Path(__file__).parents[2]
SEED = 1
HOUR = timedelta(hours=1)


def payment(world: World, name: str, euros: float, *, card: str = "ann's", country: str = "AT") -> Payment:
    """A payment of now with a card of Austria."""
    return Payment(name, card, "AT", "a shop", country, euros, world.now)


async def test_the_learner_decides_at_once(world: World) -> None:
    world.answer(risk, 0.01, 0.99)
    world.hand_in(payments, payment(world, "p1", 20.0), payment(world, "p2", 400.0, country="IT"))
    await world.advance(timedelta(0))
    assert [verdicts[name].verdict for name in ("p1", "p2")] == ["good", "fraud"]
    assert world.decisions(investigate) == []
    await world.settle()
    assert world.performed == [("answer", ["p1", "good", True]), ("answer", ["p2", "fraud", True])]


async def test_who_knows_nothing_yet_is_in_doubt_and_the_agent_takes_its_time(world: World) -> None:
    world.hand_in(payments, payment(world, "p1", 20.0))
    await world.advance(timedelta(milliseconds=100))
    assert verdicts["p1"].verdict == "doubtful"
    assert world.performed == []
    await world.settle()
    assert world.performed == [("answer", ["p1", "good", False])]


async def test_what_comes_while_a_payment_is_investigated_counts(world: World) -> None:
    world.answer(risk, 0.5)
    world.hand_in(payments, payment(world, "p1", 300.0, country="IT"))
    await world.advance(timedelta(milliseconds=100))
    world.hand_in(payments, payment(world, "p2", 250.0, country="FR"))  # the thief goes on
    decision = await world.decision(investigate, "p1")
    assert verdicts["p1"].verdict == verdicts["p2"].verdict == "fraud"
    assert decision.attempts == 3  # it was asked, asked again with both, and decided


async def test_one_dear_payment_alone_is_no_spree(world: World) -> None:
    world.answer(risk, 0.5)
    await world.send(payments, payment(world, "p1", 300.0, country="IT"))
    assert verdicts["p1"].verdict == "good"


async def test_a_bot_that_tries_out_cards_is_seen_at_its_third_payment(world: World) -> None:
    world.answer(risk, 0.5)
    for number in range(4):
        await world.send(payments, payment(world, f"p{number}", 1.0, card=f"card {number}"))
    assert [verdicts[f"p{number}"].verdict for number in range(4)] == ["good", "good", "fraud", "fraud"]


async def test_it_learns_from_what_was_known_when_it_decided(world: World) -> None:
    await world.send(payments, payment(world, "p1", 20.0))
    await world.send(payments, payment(world, "p2", 30.0))  # of the same card: its window has gone on
    await world.send(reports, Report("p1", False, world.now), Report("p2", True, world.now))
    lessons = [(await world.decision(learn, name)).emits[0][1] for name in ("p1", "p2")]
    assert [(lesson.facts, lesson.fraud) for lesson in lessons] == [
        (Facts(20.0, False, 20.0, 0), False),
        (Facts(30.0, False, 50.0, 0), True),
    ]


async def test_a_report_of_a_payment_that_nobody_made_teaches_nothing(world: World) -> None:
    await world.send(reports, Report("p1", True, world.now))
    assert (await world.decision(learn, "p1")).emits == []


async def test_of_the_made_up_hour_it_catches_most_frauds_and_investigates_few(world: World) -> None:
    print(f"seed {SEED}")
    begins, since = world.now - HOUR, world.now
    hour = [one for one in an_hour(begins, SEED) if one.at < begins + HOUR / 2]
    for one in hour:
        await world.advance(max(timedelta(0), since + (one.at - begins) / 60 - world.now))
        world.hand_in(payments if isinstance(one, Payment) else reports, one)
    await world.settle()

    assert world.dead_letters() == []
    taught = {one.payment_id for one in hour if isinstance(one, Payment) and one.at > begins + HOUR / 4}
    planted = {one.payment_id for one in an_hour(begins, SEED) if isinstance(one, Report) and one.fraud} & taught
    told = {args[0]: args[1:] for _, args in world.performed if args[0] in taught}
    declined = {name for name, (verdict, _) in told.items() if verdict == "fraud"}
    assert told.keys() == taught
    assert len(world.performed) == history.count()
    assert sum(at_once for _, at_once in told.values()) > 0.75 * len(taught)
    assert len(declined & planted) > 0.8 * len(planted) > 10
    assert len(declined & planted) > 0.7 * len(declined)
    assert len(world.decisions(decide)) == history.count()


def test_it_runs_by_itself_and_tells_what_became_of_each_payment() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.fraud_play", "2"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("in all")]
    number, at_once, _, _, investigated = (float(word.replace(",", "")) for word in line.split()[:5])
    assert number == at_once + investigated > 50
    assert re.search(r"extrovert decisions --app examples/fraud.py --data /\S+$", done.stdout.strip())
