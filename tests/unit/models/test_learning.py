"""What learns is checked when it is declared: it has to be a fold of the log, and to fit in a snapshot."""

from __future__ import annotations

import random
from typing import Any

import pytest

from extrovert import App, DeclarationError
from tests.frauds import Known, Shares, facts_of, fraud_of


class Drawing(Shares):
    """Begins with what it draws."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self.random = random.Random(seed)


class Holding(Shares):
    def __init__(self) -> None:
        super().__init__()
        self.function = lambda: None


def declare(make: Any, **functions: Any) -> Any:
    app = App("frauds")
    known = app.stream("known", Known, key=Known.payment_id)
    given: dict[str, Any] = {"over": known, "features": facts_of, "label": fraud_of, **functions}
    return app.learner("risk", make, **given)


@pytest.mark.parametrize(
    ("make", "functions", "why"),
    [
        (Shares(), {}, "the model is given as a function, not as <"),
        (Shares, {"features": "country"}, "features= is given as a function, not as 'country'"),
        (Shares, {"label": "fraud"}, "label= is given as a function"),
        (dict, {}, "makes a dict, which has no learn_one"),
        (Drawing, {}, "two models that its function makes are not alike.* give it a seed: seed=1"),
        (Holding, {}, "cannot be kept in a snapshot: .* not a lambda"),
        (Shares, {"over": "known"}, "over= is a stream, not 'known'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_could_not_be_a_fold_is_refused(make: Any, functions: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=f"Learner `risk`: .*{why}"):
        declare(make, **functions)


def test_with_a_seed_chance_is_alike() -> None:
    assert declare(lambda: Drawing(7)).libraries == {}


def test_two_operators_cannot_have_one_name() -> None:
    app = App("frauds")
    known = app.stream("known", Known, key=Known.payment_id)
    app.learner("risk", Shares, over=known, features=facts_of)
    with pytest.raises(DeclarationError, match="There are two learners named `risk`"):
        app.learner("risk", Shares, over=known, features=facts_of)
