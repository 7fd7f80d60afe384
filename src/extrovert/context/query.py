"""Queries of a search: what is looked for, what is found, and how two ways of finding become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from extrovert.context.keywords import Ranked
from extrovert.core.record import Record

__all__ = ["Hit", "Query", "accepts", "fused"]

R = TypeVar("R", bound=Record)

RANK = 60
"""How little the first places of a list differ in worth; the value of the paper."""


class Hit(NamedTuple, Generic[R]):
    """A row that was found. Scores are comparable within one search alone."""

    row: R
    score: float
    key: Any


class Query(NamedTuple):
    """What is searched for: a text, how many hits at most, the values that fields must have, a condition on rows."""

    text: str
    limit: int
    where: tuple[tuple[str, Any], ...] = ()
    condition: Callable[[Any], bool] | None = None

    def plain(self) -> dict[str, Any]:
        """The query as the ledger shows it."""
        shown: dict[str, Any] = {"text": self.text, "limit": self.limit}
        if self.where:
            shown["where"] = dict(self.where)
        if self.condition is not None:
            shown["condition"] = getattr(self.condition, "__qualname__", type(self.condition).__name__)
        return shown


def accepts(query: Query) -> Callable[[Any], bool]:
    """Whether a row passes the filter of a query."""
    if query.condition is not None:
        condition = query.condition
        return lambda row: bool(condition(row))
    if not query.where:
        return lambda row: True
    values = [value for _, value in query.where]
    wanted: Any = tuple(values) if len(values) > 1 else values[0]
    seen_of = attrgetter(*[name for name, _ in query.where])
    return lambda row: seen_of(row) == wanted


def fused(lists: Iterable[Sequence[Ranked]]) -> list[Ranked]:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): what is far up in any list, or in several, leads."""
    scores: dict[Any, float] = {}
    for ranked in lists:
        for rank, (_, key) in enumerate(ranked, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK + rank)
    return sorted((-score, key) for key, score in scores.items())
