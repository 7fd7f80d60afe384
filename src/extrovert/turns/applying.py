"""Applying: which change of state each kind of entry is, when the log is replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extrovert.core.log import (
    Admitted,
    Answered,
    Attempted,
    Body,
    Dead,
    Decided,
    EffectStep,
    Embedded,
    Ended,
    Events,
    Failed,
    Heard,
    Invalidated,
    Passed,
    Retried,
    Told,
    Unanswered,
)

if TYPE_CHECKING:
    from extrovert.turns.fold import Fold

__all__ = ["apply"]


def apply(fold: Fold, body: Body, records: list[Any], offset: int, at_us: int) -> None:  # noqa: C901 -- a case per kind
    """Applies an entry with this body (and, for a batch, these records) to the fold."""
    match body:
        case Events():
            fold.events(body, records, offset, at_us)
        case Decided():
            fold.decided(body, offset, at_us)
        case Attempted():
            fold.attempted(body, offset, at_us)
        case Admitted():
            fold.admitted(body, offset, at_us)
        case Answered():
            fold.answered(body, offset, at_us)
        case Unanswered():
            fold.spending.unanswered(body, at_us)
        case EffectStep():
            fold.stepped(body, offset, at_us)
        case Ended():
            fold.ended(body, offset, at_us)
        case Failed():
            fold.failed(body, offset, at_us)
        case Retried():
            fold.retried(body, offset, at_us)
        case Passed():
            fold.passed(offset, at_us)
        case Heard():
            fold.heard(body, offset, at_us)
        case Embedded():
            fold.embedded(body, offset, at_us)
        case Invalidated():
            fold.invalidated(body, offset, at_us)
        case Told():
            fold.told.add(body.told)
        case Dead():
            pass
