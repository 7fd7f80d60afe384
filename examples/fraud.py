"""Fraud at the moment of payment: windows and a learner decide in milliseconds, an agent investigates the doubtful."""

import os
from datetime import datetime, timedelta

from river import linear_model, optim, preprocessing

from examples.fraud_data import Payment, Report, shops
from extrovert import App, Record, Sliding, Thinking, Turn, aggregates

MODEL = os.environ.get("EXTROVERT_MODEL")  # such as openai:gpt-5-mini; without one a written rule investigates
TEN_MINUTES = timedelta(minutes=10)


class OfCard(Record):
    card: str
    starts_at: datetime
    ends_at: datetime
    spent: float


class Facts(Record):  # what a payment is judged by
    euros: float
    abroad: bool
    spent: float  # with this card, in ten minutes
    tests: int  # if it is tiny: how many such there were in this shop, in ten minutes


class Verdict(Record):
    payment_id: str
    verdict: str  # good, fraud, or doubtful as long as it is investigated
    facts: Facts  # as they were at that moment
    fraud: bool | None = None  # as its owner says later


class Case(Record):
    facts: Facts
    payments: tuple[Payment, ...]  # with this card, around this one


app = App("fraud")
payments = app.stream("payments", Payment, key=Payment.payment_id)
spans = Sliding(TEN_MINUTES, every=timedelta(minutes=1))
of_card = app.window(payments, OfCard, by=Payment.card, at=Payment.at, spans=spans, spent=aggregates.sum(Payment.euros))
history = app.table("history", Payment, key=Payment.payment_id, source=payments, ttl=timedelta(days=1))
by_card = history.range_index(Payment.card, Payment.at)
tiny = app.stream("tiny", Payment, key=Payment.payment_id, source=payments.filter(lambda payment: payment.euros < 3))
tests = app.table("tests", Payment, key=Payment.payment_id, source=tiny, ttl=timedelta(hours=1))
by_shop = tests.range_index(Payment.shop, Payment.at)
verdicts = app.table("verdicts", Verdict, key=Verdict.payment_id)
reports = app.stream("reports", Report, key=Report.payment_id)
lessons = app.stream("lessons", Verdict, key=Verdict.payment_id)
risk = app.learner(
    "risk",
    lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.Adam(0.03), intercept_lr=0.1),
    over=lessons,
    features=lambda verdict: verdict.facts,
    label=lambda verdict: verdict.fraud,
)


@app.effect(idempotent=True)
async def answer(payment_id: str, verdict: str, at_once: bool, *, idempotency_key: str = "") -> None:
    shops.answer(payment_id, verdict, at_once)


@app.agent(wakes_on=payments)
async def decide(turn: Turn, payment: Payment) -> None:
    card, since = of_card.at(payment.card, payment.at), payment.at - TEN_MINUTES
    tests = by_shop.count_between((payment.shop, since), (payment.shop, payment.at)) if payment.euros < 3 else 0
    facts = Facts(payment.euros, payment.country != payment.home, card.spent if card else payment.euros, tests)
    chance = await turn.ask(facts, output=float, of=risk)
    verdict = "good" if chance < 0.05 else "fraud" if chance > 0.9 else "doubtful"
    turn.put(verdicts, Verdict(payment.payment_id, verdict, facts))
    if verdict != "doubtful":
        turn.effect(answer, payment.payment_id, verdict, True)


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def look_closer(case: Case) -> bool:
    in_a_row = [payment for payment in case.payments if payment.euros > 80]
    return case.facts.tests > 2 or (case.facts.euros > 80 and len(in_a_row) > 1)


@app.agent(wakes_on=verdicts, when=lambda one: one.verdict == "doubtful", model=MODEL or look_closer)
async def investigate(turn: Turn, doubtful: Verdict) -> None:
    """Is this payment a fraud? Bots try out cards by tiny sums; thieves buy dear things in a row, mostly abroad."""
    payment = history[doubtful.payment_id]
    since, until = payment.at - TEN_MINUTES, payment.at + TEN_MINUTES  # so also what comes while it is investigated
    case = Case(doubtful.facts, by_card.between((payment.card, since), (payment.card, until)))
    verdict = "fraud" if await turn.ask(case, output=bool) else "good"
    turn.put(verdicts, doubtful.but(verdict=verdict))
    turn.effect(answer, payment.payment_id, verdict, False)


@app.agent(wakes_on=reports)
async def learn(turn: Turn, report: Report) -> None:
    if verdict := verdicts.get(report.payment_id):
        turn.emit(lessons, verdict.but(fraud=report.fraud))
