"""An app that learns which payments are frauds, and what it learns with: a classifier that can be followed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from extrovert import App, Record, Thinking, Turn
from extrovert.turns.declare import Agent

__all__ = ["Facts", "Frauds", "Known", "Payment", "Screened", "Shares", "facts_of", "fraud_of"]

POISON = "poison"


class Payment(Record):
    payment_id: str
    country: str


class Known(Record):
    """What a payment has turned out to be; None is not known yet."""

    payment_id: str
    country: str
    fraud: bool | None = None


class Facts(Record):
    country: str


class Screened(Record):
    payment_id: str
    chance: float


class Shares:
    """How often each label came with a country, and of a country that it does not know, with any.

    Over the country "poison" it fails when it has counted the one half.
    """

    def __init__(self) -> None:
        self.all: dict[Any, int] = {}
        self.by: dict[Any, dict[Any, int]] = {}

    def learn_one(self, x: Mapping[str, Any], y: Any) -> None:
        self.all[y] = self.all.get(y, 0) + 1
        if x["country"] == POISON:
            raise ArithmeticError("it chokes")
        counts = self.by.setdefault(x["country"], {})
        counts[y] = counts.get(y, 0) + 1

    def predict_proba_one(self, x: Mapping[str, Any]) -> dict[Any, float]:
        counts = self.by.get(x["country"], self.all)
        return {label: count / sum(counts.values()) for label, count in counts.items()}

    def predict_one(self, x: Mapping[str, Any]) -> Any:
        chances = self.predict_proba_one(x)
        return max(chances, key=lambda label: (chances[label], str(label))) if chances else None


def facts_of(known: Known) -> Facts:
    return Facts(known.country)


def fraud_of(known: Known) -> bool | None:
    return known.fraud


class Frauds:
    """The app: each payment is screened by the learner `risk` at once, and by a policy that takes its time."""

    def __init__(self, **options: Any) -> None:
        self.app = app = App("frauds", **options)
        self.known = known = app.stream("known", Known, key=Known.payment_id)
        self.payments = payments = app.stream("payments", Payment, key=Payment.payment_id)
        self.screened = app.table("screened", Screened, key=Screened.payment_id)
        self.later = app.table("later", Screened, key=Screened.payment_id)
        self.risk = app.learner("risk", Shares, over=known, features=facts_of, label=fraud_of)

        @app.policy(thinks=Thinking(timedelta(seconds=10), sigma=0))
        def half(facts: Facts) -> float:
            return 0.5

        @app.agent(wakes_on=payments, model=self.risk)
        async def screen(turn: Turn, payment: Payment) -> None:
            """You screen payments."""
            chance = await turn.ask(Facts(payment.country), output=float | None)
            turn.put(self.screened, Screened(payment.payment_id, -1.0 if chance is None else chance))

        @app.agent(wakes_on=payments, model=half)
        async def look(turn: Turn, payment: Payment) -> None:
            chance = await turn.ask(Facts(payment.country), output=float | None, of=self.risk)
            other = await turn.ask(Facts(payment.country), output=float)
            turn.put(self.later, Screened(payment.payment_id, -1.0 if chance is None else chance + other))

        self.screen: Agent[Any] = screen
        self.look: Agent[Any] = look
