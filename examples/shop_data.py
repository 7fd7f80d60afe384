"""What goes on in a made-up shop for an hour: stock and prices, clicks, and the job that refreshes the other index.

All of it is made from a seed: no product, price or customer is real. Records are JSON, as a warehouse would send them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any

from examples.ticking import Ticking

__all__ = ["customers", "refresher", "warehouse"]

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
SECONDS = 3600
REFRESHED_EVERY = 300
BUYS_A_SECOND, REPRICED = 1.0, 0.03
CUSTOMERS, CLICKS_A_SECOND = 25, 1.0

KINDS = {
    "lamp": ("a light for the desk, to read by", 39),
    "couch": ("a sofa for the living room, seats three", 690),
    "kettle": ("boils water for tea in two minutes", 45),
    "suitcase": ("luggage with four wheels for long journeys", 120),
    "raincoat": ("a waterproof jacket for wet days", 85),
    "bicycle": ("seven gears, for the way to work", 520),
    "tent": ("shelter for two on a camping trip", 160),
    "headphones": ("music without the noise around you", 99),
}
LOOKS = ["red", "blue", "green", "black", "oak", "small"]
WISHES = [
    ("reading light", "desk lamp", "red lamp"),
    ("somewhere to sit", "sofa", "blue couch"),
    ("hot drinks", "kettle for tea", "small kettle"),
    ("travel", "luggage", "suitcase with wheels"),
    ("rainy weather", "waterproof coat", "green raincoat"),
    ("commuting", "bike", "black bicycle"),
    ("sleeping outdoors", "camping", "tent"),
    ("listening to songs", "quiet headphones", "black headphones"),
]


def moment(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat()


def products(seed: int = 1) -> Iterator[dict[str, Any]]:
    """Every product as it is at first, and again after each sale, delivery or change of price."""
    random = Random(seed)  # noqa: S311
    rows: dict[str, dict[str, Any]] = {}
    for kind, (about, euros) in KINDS.items():
        for look in LOOKS:
            sku = f"{look}-{kind}"
            price = round(euros * random.uniform(0.8, 1.3), 2)
            row = {"sku": sku, "title": f"{look} {kind}", "about": about, "euros": price, "stock": random.randint(1, 3)}
            rows[sku] = row
            yield row | {"at": moment(0)}
    skus, deliveries, now = list(rows), list[tuple[float, str]](), 0.0
    while (now := now + random.expovariate(BUYS_A_SECOND)) < SECONDS:
        while deliveries and deliveries[0][0] <= now:
            at, sku = heappop(deliveries)
            rows[sku]["stock"] += random.randint(2, 9)
            yield rows[sku] | {"at": moment(at)}
        row = rows[random.choice(skus)]
        if random.random() < REPRICED:
            row["euros"] = round(row["euros"] * random.uniform(0.9, 1.1), 2)
        elif row["stock"]:
            row["stock"] -= 1
            if not row["stock"]:
                heappush(deliveries, (now + random.uniform(30, 300), row["sku"]))
        else:
            continue
        yield row | {"at": moment(now)}


def clicks(seed: int = 1) -> Iterator[dict[str, Any]]:
    """Customers who look around: each has something in mind, and something else after a while."""
    random = Random(seed + 1)  # noqa: S311
    wishes: dict[str, tuple[str, ...]] = {}
    now = 0.0
    while now < SECONDS:
        customer = f"c{random.randrange(CUSTOMERS)}"
        if customer not in wishes or random.random() < 0.1:
            wishes[customer] = random.choice(WISHES)
        yield {"customer": customer, "words": random.choice(wishes[customer]), "at": moment(now)}
        now += random.expovariate(CLICKS_A_SECOND)


def refreshes() -> Iterator[dict[str, Any]]:
    """When the other index is made anew: at the beginning, and every five minutes."""
    return ({"index": "copies", "at": moment(second)} for second in range(0, SECONDS, REFRESHED_EVERY))


warehouse = Ticking("products", products)
customers = Ticking("clicks", clicks)
refresher = Ticking("refreshes", refreshes)
