"""The models of river learn within an engine as they do outside, over snapshots, and alike in each process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, compose, forest, linear_model, naive_bayes, neighbors, preprocessing, tree

from extrovert import App, Record
from extrovert.context.learner import Learner, LearnerState, Learns
from extrovert.core.ids import canonical
from extrovert.engine.recovery import recover
from extrovert.models.predicting import LearnerModel
from extrovert.turns.fold import Fold
from extrovert.turns.request import Request
from tests.hosts import Host

__all__ = ["MODELS", "answers"]

HOME = Path(__file__).parents[2]
MANY = 400


class Facts(Record):
    euros: float
    hour: int
    country: str


class Known(Record):
    payment_id: str
    facts: Facts
    fraud: bool


class Numbers(Record):
    """Facts for models that take numbers alone."""

    euros: float
    hour: int


def scaled(last: Any) -> compose.Pipeline:
    return compose.Pipeline(compose.Discard("country"), preprocessing.StandardScaler(), last)


MODELS: dict[str, tuple[Callable[[], Learns], Callable[[Known], Any] | None, Any]] = {
    "logistic": (lambda: scaled(linear_model.LogisticRegression()), lambda one: one.fraud, float),
    "hot": (
        lambda: compose.Select("country") | preprocessing.OneHotEncoder() | linear_model.LogisticRegression(),
        lambda one: one.fraud,
        float,
    ),
    "bayes": (naive_bayes.GaussianNB, lambda one: "fraud" if one.fraud else "good", dict[str, float]),
    "tree": (lambda: tree.HoeffdingTreeClassifier(grace_period=20), lambda one: one.fraud, float),
    "forest": (lambda: forest.ARFClassifier(n_models=3, seed=7), lambda one: one.fraud, bool),
    "near": (
        lambda: scaled(neighbors.KNNClassifier(n_neighbors=3, engine=neighbors.LazySearch(window_size=100))),
        lambda one: one.fraud,
        bool,
    ),
    "linear": (lambda: scaled(linear_model.LinearRegression()), lambda one: one.facts.euros, float),
    "odd": (lambda: scaled_to_one(anomaly.HalfSpaceTrees(n_trees=5, height=4, seed=7)), None, float),
}
"""A model of each kind, its label, and the type of its answers."""


def scaled_to_one(last: Any) -> compose.Pipeline:
    return compose.Pipeline(compose.Discard("country"), preprocessing.MinMaxScaler(), last)


def learners() -> tuple[App, Any, dict[str, Learner[Known]]]:
    app = App("learners")
    known = app.stream("known", Known, key=Known.payment_id)
    found = {
        name: app.learner(name, make, over=known, features=features(name), label=label)
        for name, (make, label, _) in MODELS.items()
    }
    return app, known, found


def features(name: str) -> Callable[[Known], Record]:
    if name == "bayes":
        return lambda one: Numbers(one.facts.euros, one.facts.hour)
    return lambda one: one.facts


def payments(seed: int, many: int) -> list[Known]:
    draw = random.Random(seed)
    found: list[Known] = []
    for number in range(many):
        fraud = draw.random() < 0.2
        euros = round(draw.gauss(900, 100) if fraud else draw.gauss(50, 20), 2)
        facts = Facts(euros, draw.randrange(24), draw.choice(["AT", "DE", "FR"] if not fraud else ["FR", "XX"]))
        found.append(Known(f"p{number}", facts, fraud))
    return found


def answers(fold: Fold, found: dict[str, Learner[Known]]) -> dict[str, list[bytes]]:
    """What each says about payments that it has not seen."""
    return {name: said(LearnerModel(learner).over(fold.context), learner) for name, learner in found.items()}


def said(model: LearnerModel, learner: Learner[Known]) -> list[bytes]:
    output = MODELS[learner.name][2] | None
    requests = [Request("ask", learner.asked_as, learner.features(one), output) for one in payments(2, 20)]
    return [bytes(model.answer(request)) for request in requests]


def taught(learner: Learner[Known], known: list[Known]) -> LearnerState:
    """The learner with a model that was taught in a plain loop."""
    state = LearnerState(learner)
    for one in known:
        facts: Any = learner.features(one)
        given = {name: getattr(facts, name) for name in facts.__struct_fields__}
        state.model.learn_one(*((given,) if learner.label is None else (given, learner.label(one))))
    return state


async def test_they_learn_over_snapshots_what_they_learn_in_a_loop(tmp_path: Path) -> None:
    app, known, found = learners()
    host = Host(app, tmp_path / "log")
    sent = payments(1, MANY)
    for begin in range(0, MANY, 90):
        answers(host.fold, found)  # to ask changes nothing
        host.hand_in(known, *sent[begin : begin + 90])
        if begin == 90:
            await host.stop()
            host.begin()
    assert host.dead_letters() == []
    by_hand = {name: said(LearnerModel(one, taught(one, sent)), one) for name, one in found.items()}
    assert answers(host.fold, found) == by_hand
    host.flush()
    fold, begins = recover(host.declared, host.store)
    assert begins > 1
    assert answers(fold, found) == by_hand


async def test_they_find_what_there_is_to_find(tmp_path: Path) -> None:
    app, known, found = learners()
    host = Host(app, tmp_path / "log")
    host.hand_in(known, *payments(1, MANY))

    def says(name: str, euros: float, country: str, output: Any) -> Any:
        about = Numbers(euros, 12) if name == "bayes" else Facts(euros, 12, country)
        request = Request("ask", found[name].asked_as, about, output)
        return request.decode(LearnerModel(found[name]).over(host.fold.context).answer(request))

    for name in ("logistic", "tree", "forest", "near"):
        assert says(name, 950.0, "XX", float) > 0.5 > says(name, 40.0, "AT", float), name
        assert (says(name, 950.0, "XX", bool), says(name, 40.0, "AT", bool)) == (True, False), name
    assert says("hot", 50.0, "XX", float) > says("hot", 50.0, "AT", float)
    assert says("bayes", 950.0, "XX", str) == "fraud"
    assert says("bayes", 40.0, "AT", dict[str, float])["good"] > 0.5
    assert says("odd", 5000.0, "AT", float) > says("odd", 50.0, "AT", float)


async def test_the_log_tells_the_version_of_the_library() -> None:
    _, _, found = learners()
    assert {name: one.libraries for name, one in found.items()} == {
        name: {"river": version("river")} for name in MODELS
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
async def test_another_process_with_other_hashes_learns_the_same(seed: str, tmp_path: Path) -> None:
    app, known, found = learners()
    host = Host(app, tmp_path / "log")
    host.hand_in(known, *payments(1, MANY))
    done = subprocess.run(
        [sys.executable, "-c", OTHER],
        cwd=HOME,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == canonical(answers(host.fold, found)).decode()


OTHER = """
from extrovert.core.ids import canonical
from tests.hosts import Host
from tests.integration.test_river_learns import MANY, answers, learners, payments

app, known, found = learners()
host = Host(app, None)
host.hand_in(known, *payments(1, MANY))
print(canonical(answers(host.fold, found)).decode())
"""
