"""A picture of an engine's state, to compare one fold with another."""

from __future__ import annotations

from typing import Any

from extrovert.context.interval import Interval
from extrovert.context.selectors import readables
from extrovert.context.view import Node, ViewState
from extrovert.turns.fold import Fold
from extrovert.turns.running import Running
from extrovert.turns.wakes import WakeBook

__all__ = ["picture", "values"]

ALL = Interval((None, None, None))


def picture(fold: Fold) -> dict[str, Any]:
    """All that is a fold of the log: two engines with equal pictures go on alike."""
    context = fold.context
    return {
        "end": fold.end,
        "at_us": fold.at_us,
        "positions": dict(fold.positions),
        "told": set(fold.told),
        "seen": {name: seen.save() for name, seen in fold.seen.items()},
        "heard": context.freshness.save(),
        "moments": context.moments.save(),
        **values(fold),
        "versions": {name: dict(table.versions) for name, table in context.tables.items()},
        "latest": {name: table.whole.version for name, table in context.tables.items()},
        "histories": {n: (t.history.versions, t.history.newest_us) for n, t in context.tables.items() if t.history},
        "due to go": {name: dict(table.lifetime.due_us) for name, table in context.tables.items() if table.lifetime},
        "by turns": {name: set(table.by_turns) for name, table in context.tables.items()},
        "view reads": {name: _reads(view) for name, view in context.views.items()},
        "watched": _watched(fold),
        "view versions": {name: dict(view.versions) for name, view in context.views.items()},
        "wakes": {name: _book(book) for name, book in fold.books.items()},
        "turns": {name: _turn(turn) for name, turn in fold.running.items()},
        "outbox": fold.outbox.save(),
        "spending": fold.spending.save(context.expiry.now_us),
        "corrections": [] if fold.corrections is None else fold.corrections.save(),
        "operators": {name: operator.save() for name, operator in context.operators.items()},
    }


def values(fold: Fold) -> dict[str, Any]:
    """What live context says, without when it came to be so."""
    context = fold.context
    return {
        "rows": {name: dict(table.rows) for name, table in context.tables.items()},
        "indexes": {
            name: {value: index.look(value)[0] for value in index.buckets} for name, index in context.indexes.items()
        },
        "ranges": {name: index.look(ALL)[0] for name, index in context.ranges.items()},
        "views": {name: dict(view.values) for name, view in context.views.items()},
        "quarantine": {name: dict(view.quarantine) for name, view in context.views.items()},
    }


def _reads(view: ViewState) -> dict[Any, dict[Any, Any]]:
    return {
        key: {(of.kind, of.name, at): token for (of, at), token in node.reads.items()}
        for key, node in view.nodes.items()
    }


def _watched(fold: Fold) -> dict[str, dict[Any, list[Any]]]:
    """Which views' keys are told of which changes."""
    found: dict[str, dict[Any, list[Any]]] = {}
    for of in readables(fold.context).values():
        nodes = {
            at: sorted((who.view.name, who.key) for who in watchers if isinstance(who, Node))
            for at, watchers in of.watchers.items()
        }
        found[f"{of.kind} {of.name}"] = {at: keys for at, keys in nodes.items() if keys}
    return found


def _book(book: WakeBook) -> dict[str, Any]:
    return {
        "seen": dict(book.seen),
        "olds": dict(book.olds),
        "due": dict(book.due),
        "events": {key: list(waiting) for key, waiting in book.events.items()},
        "running": set(book.running),
        "resting": dict(book.resting),
        "meanwhile": {key: (cause.hops, list(cause.via)) for key, cause in book.meanwhile.items()},
    }


def _turn(turn: Running) -> dict[str, Any]:
    return {
        name: getattr(turn, name)
        for name in (
            "key",
            "wake",
            "events",
            "started_us",
            "calls",
            "latest",
            "answers",
            "trail",
            "admissions",
            "attempt",
            "checked_us",
            "reruns",
            "failures",
            "retry_at_us",
            "silent",
        )
    }
