"""Bounds: limits of models and agents, and sources that fall silent. They are drawn from a generator of their own, so
that all else in the plan of a seed is as it would be without them."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from extrovert import Breaker, Limits, Price, Record

__all__ = [
    "MOST_NANO_USD",
    "MOST_TOKENS",
    "PRICE",
    "Beat",
    "Bounded",
    "Stall",
    "beats",
    "bounded",
    "own_limits",
    "stalls",
]

MOST_TOKENS = 100
PRICE = Price(input="1", output="2")
MOST_NANO_USD = PRICE.nano_usd(0, MOST_TOKENS)
"""The most that an answer takes, and what that costs."""


class Bounded(Record, omit_defaults=True):
    """Of one of the models (timed, awaited, cheap), its limits."""

    name: str
    limits: Limits
    breaker: Breaker | None = None


class Beat(Record):
    """The client says that the source of a stream is there, and has nothing new."""

    ms: int
    stream: str


class Stall(Record):
    """Nothing is heard of the feed from a moment on, for a while."""

    from_ms: int
    for_ms: int


def bounded(chance: Random, names: list[str]) -> tuple[Bounded, ...]:
    """Limits for some of the models of these names, and of what answers in their place, in half of all plans."""
    if chance.random() < 0.5:
        return ()
    found = [Bounded(name, _limits(chance), _breaker(chance)) for name in names if chance.random() < 0.8]
    if chance.random() < 0.5:
        found.append(Bounded("cheap", _limits(chance).but(over="wait")))
    return tuple(found)


def _limits(chance: Random) -> Limits:
    """Small ones: a life has few asks."""
    money = chance.choice([None, None, None, 2, 5])
    return Limits(
        calls=chance.choice([None, 1, 1, 2]),
        requests_per_minute=chance.choice([None, None, 2, 5]),
        tokens_per_minute=chance.choice([None, None, 2 * MOST_TOKENS, 4 * MOST_TOKENS]),
        usd_per_hour=None if money is None else f"{money * MOST_NANO_USD}e-9",
        over=chance.choice(["wait", "wait", "fallback"]),
    )


def _breaker(chance: Random) -> Breaker | None:
    slow = chance.choice([None, timedelta(milliseconds=200)])
    breaker = Breaker(chance.choice([1, 2]), timedelta(seconds=1), timedelta(milliseconds=400), slow)
    return chance.choice([None, breaker])


def own_limits(chance: Random) -> Limits | None:
    """Limits of an agent, for a few."""
    few = Limits(calls=chance.choice([None, 1]), requests_per_minute=chance.choice([2, 4]))
    return few if chance.random() < 0.15 else None


def stalls(chance: Random) -> tuple[Stall, ...]:
    return tuple(Stall(chance.randrange(4_000), chance.choice([300, 900, 2_500])) for _ in range(chance.randrange(3)))


def beats(chance: Random) -> tuple[Beat, ...]:
    streams = ["facts", "notes", "notes"]
    return tuple(Beat(chance.randrange(4_500), chance.choice(streams)) for _ in range(chance.randrange(8)))
