"""The ledger's view of reads: what was read, and at which version."""

from __future__ import annotations

from typing import Any, cast

from extrovert.context.interval import Interval
from extrovert.context.query import Query
from extrovert.context.reads import Readable, ReadSet
from extrovert.core.log import ReadNote

__all__ = ["named", "newer", "notes"]


def notes(reads: ReadSet) -> list[ReadNote]:
    """The reads of a decision as the ledger keeps them, in the order in which they were first made."""
    return [ReadNote(of.kind, of.name, _plain(at), _version(of, token)) for (of, at), token in reads.items()]


def named(of: Readable, selector: Any) -> str:
    """One read, as the ledger names it: `flights/F1`."""
    return f"{of.name}/{_plain(selector)}"


def newer(token: Any, offset: int) -> bool:
    """Whether a read's token tells of a change after `offset`."""
    if isinstance(token, tuple):
        return any(newer(part, offset) for part in cast(tuple[Any, ...], token))
    return isinstance(token, int) and not isinstance(token, bool) and token > offset


def _plain(selector: Any) -> Any:
    """A selector as JSON shows it."""
    if isinstance(selector, Query):
        return selector.plain()
    return list(selector) if isinstance(selector, Interval) else selector


def _version(of: Readable, token: Any) -> Any:
    """A token as the ledger shows it: the offset of the latest change in what was seen."""
    if of.kind == "index":
        return max(token) if token else 0
    if of.kind in ("range", "search"):
        return max((version for _, version in token), default=0)
    return token
