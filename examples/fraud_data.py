"""Payments for `examples.fraud`, made up from a seed: no card, shop or thief is real. The frauds are planted.

Of about 2,400 payments in an hour some 6 % are frauds: stolen cards, with which 80 to 500 euros are paid four to eight
times within minutes, mostly abroad; and bots that try out the numbers of cards at one shop, by tiny sums. Honest people
make it hard: some travel, some buy dear things or several, and some buy a coffee where a bot is at work. The first
payments of a thief look like those. Of each payment its owner says five to eight minutes later whether it was theirs;
real owners take weeks, and say nothing of what was declined.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from extrovert import Record

__all__ = ["Answered", "Payment", "Report", "Shops", "an_hour", "shops"]

COUNTRIES = ("AT", "DE", "FR", "IT")
CARDS, SHOPS, TRAVELLERS = 600, 60, 40
HONEST, STOLEN, BOTS = 2_300, 12, 7


class Payment(Record):
    payment_id: str
    card: str
    home: str  # the country of the card
    shop: str
    country: str  # that of the shop
    euros: float
    at: datetime


class Report(Record):
    """What the owner of the card says of a payment later."""

    payment_id: str
    fraud: bool
    at: datetime


# ---- what is made up


class Card(NamedTuple):
    name: str
    home: str
    usual: float


class Shop(NamedTuple):
    name: str
    country: str


Made: TypeAlias = tuple[float, Card, Shop, float, bool]
"""The second of the hour, the card, the shop, the euros, and whether it is a fraud."""


def an_hour(begins: datetime, seed: int = 1) -> list[Payment | Report]:
    """An hour of payments, and what was said of each, in order of time."""
    draw = random.Random(seed)  # noqa: S311 -- it makes data up
    cards = [Card(f"card-{n}", draw.choice(COUNTRIES), draw.lognormvariate(3.4, 0.5)) for n in range(CARDS)]
    places = [Shop(f"shop-{n}", draw.choice(COUNTRIES)) for n in range(SHOPS)]
    made = sorted([*_honest(draw, cards, places), *_thieves(draw, cards, places), *_bots(draw, cards, places)])
    found: list[Payment | Report] = []
    for number, (second, card, shop, euros, fraud) in enumerate(made):
        at, name = begins + timedelta(seconds=second), f"p{number}"
        found.append(Payment(name, card.name, card.home, shop.name, shop.country, round(max(euros, 0.5), 2), at))
        found.append(Report(name, fraud, at + timedelta(minutes=draw.uniform(5, 8))))
    return sorted(found, key=lambda one: one.at)


def _honest(draw: random.Random, cards: list[Card], places: list[Shop]) -> Iterator[Made]:
    travel = {card.name for card in draw.sample(cards, TRAVELLERS)}
    for _ in range(HONEST):
        card = draw.choice(cards)
        there = [shop for shop in places if (shop.country != card.home) == (card.name in travel)]
        coffee = draw.random() < 0.05
        euros = draw.uniform(1, 3) if coffee else card.usual * draw.lognormvariate(0, 0.6)
        yield draw.uniform(0, 3600), card, draw.choice(there), euros, False


def _thieves(draw: random.Random, cards: list[Card], places: list[Shop]) -> Iterator[Made]:
    for card in draw.sample(cards, STOLEN):
        begin, abroad = draw.uniform(60, 3000), draw.random() < 0.8
        there = [shop for shop in places if (shop.country != card.home) == abroad]
        for number in range(draw.randint(4, 8)):
            yield begin + number * draw.uniform(15, 60), card, draw.choice(there), draw.uniform(80, 500), True


def _bots(draw: random.Random, cards: list[Card], places: list[Shop]) -> Iterator[Made]:
    for shop in draw.sample(places, BOTS):
        begin = draw.uniform(60, 3300)
        for card in draw.sample(cards, draw.randint(8, 14)):
            yield begin + draw.uniform(0, 120), card, shop, draw.uniform(0.5, 2), True


# ---- who waits for an answer


class Answered(NamedTuple):
    verdict: str
    at_once: bool
    at_s: float


class Shops:
    """The terminals of the shops, and what each payment was answered, when by this machine's clock."""

    def __init__(self) -> None:
        self.answered: dict[str, Answered] = {}

    def answer(self, payment_id: str, verdict: str, at_once: bool) -> None:
        self.answered[payment_id] = Answered(verdict, at_once, time.perf_counter())


shops = Shops()
