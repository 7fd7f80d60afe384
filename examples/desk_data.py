"""Made-up papers as they are published for an hour, some of them withdrawn again, and the questions of made-up readers.

All of it is made from a seed: no substance, trial, paper or reader is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random

from examples.ticking import Ticking
from extrovert import Record, Untrusted

__all__ = ["Paper", "Question", "feed", "readers"]


class Paper(Record):
    """What the feed says. A paper that is withdrawn comes once more, of the same time, without a text."""

    paper_id: str  # in order of publication
    published_at: datetime
    abstract: Untrusted[str]  # anybody can publish
    at: datetime  # when the feed says so


class Question(Record):
    question_id: str
    reader: str
    text: str
    about: list[str]  # words that a paper must have


START = datetime(2026, 1, 1, 9, tzinfo=UTC)
SECONDS = 3600
PAPERS_A_SECOND, WITHDRAWN = 2.0, 0.1

SUBSTANCES = ["zelatrine", "morvidol", "quenazole", "tribaxin", "olerphane", "hexamune", "velorac", "dapsilone"]
OUTCOMES = ["blood pressure", "migraine attacks", "joint pain", "sleepless nights", "fasting glucose", "dry cough"]
READERS = ["ann", "ben", "cleo", "dora"]
ASKED = 12
FINDINGS = [
    "Among {n} adults, {substance} lowered {outcome} by {percent} percent",
    "In a trial with {n} patients, {substance} did not lower {outcome}",
    "Over {n} weeks, {substance} reduced {outcome} more than a placebo did",
]


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def papers(seed: int = 1) -> Iterator[Paper]:
    """Papers in order of time, and withdrawals among them."""
    random = Random(seed)  # noqa: S311
    withdrawals, now, number = list[tuple[float, Paper]](), 0.0, 0
    while now < SECONDS:
        while withdrawals and withdrawals[0][0] <= now:
            second, paper = heappop(withdrawals)
            yield paper.but(abstract="", at=moment(second))
        number += 1
        finding = random.choice(FINDINGS).format(
            substance=random.choice(SUBSTANCES),
            outcome=random.choice(OUTCOMES),
            n=random.randint(12, 400),
            percent=random.randint(2, 40),
        )
        abstract = f"Little was known so far. {finding}. Larger trials are needed"
        paper = Paper(f"P{number:05}", moment(now), abstract, moment(now))
        yield paper
        if random.random() < WITHDRAWN:
            heappush(withdrawals, (now + random.uniform(10, 120), paper))
        now += random.expovariate(PAPERS_A_SECOND)


def questions(seed: int = 1) -> Iterator[Question]:
    """The questions that are there from the beginning."""
    random = Random(seed + 1)  # noqa: S311
    for number in range(1, ASKED + 1):
        substance, outcome = random.choice(SUBSTANCES), random.choice(OUTCOMES)
        text = f"Does {substance} help against {outcome}?"
        yield Question(f"Q{number}", random.choice(READERS), text, [substance, outcome])


feed = Ticking("papers", papers)
readers = Ticking("questions", questions)
