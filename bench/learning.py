"""Learning: lessons a second in the live context alone, and decisions a second that ask a learner, durable.

The reference of a lesson is the same model of river in a plain loop. Both are asked about the same facts. The
decisions are those of `decisions`, with a learner asked in the place of the policy.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, alternate, expect, spent
from extrovert import App, Learner, Record, Turn
from extrovert.context.live import LiveContext
from extrovert.engine.hosting import hosted

__all__ = ["measure"]

LESSONS = 50_000
FOREST_LESSONS = 2_000
DECISIONS = 20_000
CHUNK = 250
AHEAD = 5_000


class Facts(Record):
    """Eight features."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    g: float
    h: float


class Known(Record):
    key: str
    facts: Facts
    fraud: bool


class Screened(Record):
    key: str
    chance: float


def logistic() -> Any:
    from river import compose, linear_model, preprocessing

    return compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())


def forest() -> Any:
    from river import forest

    return forest.ARFClassifier(n_models=10, seed=1)


def measure(scale: Scale) -> list[Figure]:
    """Lessons and decisions a second."""
    decisions = scale.of(DECISIONS)
    return [
        _lessons(scale, "scaler and logistic regression, 8 features", logistic, scale.of(LESSONS)),
        _lessons(scale, "random forest of 10 trees, 8 features", forest, scale.of(FOREST_LESSONS)),
        Figure(
            bench="learning",
            what="one ask of a learner",
            unit="decisions/s",
            runs=[_decisions(decisions) for _ in range(scale.runs)],
        ),
    ]


def _lessons(scale: Scale, what: str, make: Callable[[], Any], count: int) -> Figure:
    known = _known(count)
    pairs = alternate(scale.runs, lambda: _folded(make, known), lambda: _looped(make, known))
    expect("chances", pairs[0][0][1], pairs[0][1][1])
    return Figure(
        bench="learning",
        what=what,
        unit="lessons/s",
        runs=[count / ours for (ours, _), _ in pairs],
        beside="plain loop",
        references=[count / reference for _, (reference, _) in pairs],
    )


def _known(count: int) -> list[Known]:
    draw = random.Random(1)
    found: list[Known] = []
    for number in range(count):
        facts = Facts(*(draw.gauss(0, 1) for _ in range(8)))
        found.append(Known(f"k{number}", facts, facts.a + facts.b + draw.gauss(0, 0.5) > 1))
    return found


def _given(facts: Facts) -> dict[str, float]:
    return {name: getattr(facts, name) for name in facts.__struct_fields__}


def _folded(make: Callable[[], Any], known: list[Known]) -> tuple[float, list[Any]]:
    app, _ = _app(make)
    context = LiveContext([], [], app.declared().operators)
    keys = [one.key for one in known]
    with spent() as took:
        for start in range(0, len(known), CHUNK):
            batch = known[start : start + CHUNK]
            context.fold("known", keys[start : start + CHUNK], batch, range(1 + start, 1 + start + len(batch)))
    state: Any = context.operators["risk"]
    expect("lessons learnt", state.learnt, len(known))
    return took.wall_s, [state.model.predict_proba_one(_given(one.facts)) for one in known[:100]]


def _looped(make: Callable[[], Any], known: list[Known]) -> tuple[float, list[Any]]:
    model = make()
    with spent() as took:
        for one in known:
            model.learn_one(_given(one.facts), one.fraud)
    return took.wall_s, [model.predict_proba_one(_given(one.facts)) for one in known[:100]]


def _app(make: Callable[[], Any]) -> tuple[App, Learner[Known]]:
    app = App("learning")
    known = app.stream("known", Known, key=Known.key)
    risk = app.learner("risk", make, over=known, features=lambda one: one.facts, label=lambda one: one.fraud)
    return app, risk


def _decisions(count: int) -> float:
    app, risk = _app(logistic)
    asked = app.stream("asked", Known, key=Known.key)
    screened = app.table("screened", Screened, key=Screened.key)

    @app.agent(wakes_on=asked, model=risk)
    async def screen(turn: Turn, one: Known) -> None:  # pyright: ignore[reportUnusedFunction]
        turn.put(screened, Screened(one.key, await turn.ask(one.facts, output=float)))

    with tempfile.TemporaryDirectory() as directory:
        return count / asyncio.run(_decided(app, Path(directory), _known(count)))


async def _decided(app: App, data: Path, known: list[Known]) -> float:
    encode: Any = msgspec.json.Encoder().encode_lines
    lessons = [encode(known[:1_000])]
    chunks = [encode(known[start : start + CHUNK]) for start in range(0, len(known), CHUNK)]
    async with hosted(app.declared(), data) as engine:
        await feed(engine, "known", lessons, ahead=AHEAD)
        with spent() as took:
            await feed(engine, "asked", chunks, ahead=AHEAD)
        rows: dict[str, Any] = dict(engine.shard.fold.context.tables["screened"].rows)
    model = logistic()
    for one in known[:1_000]:
        model.learn_one(_given(one.facts), one.fraud)
    wanted = {one.key: model.predict_proba_one(_given(one.facts))[True] for one in known}
    expect("chances", {key: row.chance for key, row in rows.items()} == wanted, True)
    return took.wall_s
