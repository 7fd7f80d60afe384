"""Saved: the state in a snapshot beside rows and views, how it is made of a fold, and a fold of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from extrovert.context import keeping, nodes
from extrovert.context.freshness import Heard
from extrovert.context.made import Made
from extrovert.context.moments import SavedMoments
from extrovert.context.seen import SeenIds
from extrovert.context.selectors import Selectors
from extrovert.context.table import TableState
from extrovert.core.log import AskSent, Position, Wake
from extrovert.engine.codes import code_of
from extrovert.engine.declared import Declared
from extrovert.turns.chain import Cause
from extrovert.turns.corrections import Watched
from extrovert.turns.declare import Agent
from extrovert.turns.fold import Fold
from extrovert.turns.outbox import OutboxState
from extrovert.turns.request import Answer
from extrovert.turns.running import Running
from extrovert.turns.spending import SpendingState
from extrovert.turns.wakes import WakeBook

__all__ = ["Snapshot", "restore", "state_of"]


class _Book(msgspec.Struct):
    seen: list[tuple[Any, str]]
    due: list[tuple[Any, Wake]]
    events: list[tuple[Any, list[tuple[int, msgspec.Raw]]]]
    resting: list[tuple[Any, int]]
    settling: list[tuple[Any, int]] = []
    olds: list[tuple[Any, msgspec.Raw]] = []
    meanwhile: list[tuple[Any, Cause]] = []


class _Turn(msgspec.Struct):
    agent: str
    key: Any
    wake: Wake
    events: list[tuple[int, msgspec.Raw]]
    started_us: int
    checked_us: int
    attempt: int
    reruns: int
    failures: int
    retry_at_us: int | None
    trail: list[int]
    calls: list[tuple[AskSent, int]]
    answers: list[tuple[str, int, Answer]]
    changes: list[str] = []
    positions: list[tuple[str, int]] = []
    inbox: list[tuple[str, Any, list[tuple[int, msgspec.Raw]]]] = []
    admissions: list[int] = []
    silent: list[str] = []
    latest: AskSent | None = None


class Snapshot(msgspec.Struct):
    """The state of a fold at one moment but for what is at places: rows, their history, the keys of views.

    `tables` has the latest change of each table, `newest` the newest event time of those that keep history, `views`
    and `agents` fingerprints of what they are and of what wakes them.
    """

    fingerprints: dict[str, str]
    end: int
    at_us: int
    now_us: int
    positions: dict[str, Position]
    tables: dict[str, int]
    newest: dict[str, int | None]
    views: dict[str, str]
    books: dict[str, _Book]
    running: list[_Turn]
    outbox: OutboxState
    agents: dict[str, str | None]
    operators: dict[str, msgspec.Raw] = {}
    seen: dict[str, SeenIds] = {}
    spending: SpendingState = msgspec.field(default_factory=SpendingState)
    heard: dict[str, Heard] = {}
    watched: list[Watched] = []
    told: list[str] = []
    moments: SavedMoments = ((), ())


def state_of(declared: Declared, fold: Fold) -> Callable[[], bytes]:
    """All of a fold's present state but what is at places. What is returned encodes it, later and in any thread."""
    encode = msgspec.json.Encoder().encode

    def raw(record: Any) -> msgspec.Raw:
        return msgspec.Raw(encode(record))

    context = fold.context
    books = {
        name: _Book(
            list(book.seen.items()),
            list(book.due.items()),
            [(key, [(offset, raw(event)) for offset, event in waiting]) for key, waiting in book.events.items()],
            list(book.resting.items()),
            list(book.settling.items()),
            [(key, msgspec.Raw(old)) for key, old in book.olds.items()],
            [(key, Cause(cause.hops, cause.via)) for key, cause in book.meanwhile.items()],
        )
        for name, book in fold.books.items()
    }
    shot = Snapshot(
        fingerprints=declared.fingerprints(),
        end=fold.end,
        at_us=fold.at_us,
        now_us=context.expiry.now_us,
        positions=dict(fold.positions),
        tables={name: state.whole.version for name, state in context.tables.items()},
        newest={name: state.history.newest_us for name, state in context.tables.items() if state.history},
        views=declared.view_fingerprints(),
        books=books,
        running=[_turn(turn, raw) for turn in fold.running.values()],
        outbox=fold.outbox.save(),
        agents={name: _wakes(agent) for name, agent in fold.agents.items()},
        operators={name: msgspec.Raw(operator.save()) for name, operator in context.operators.items()},
        seen={name: seen.save() for name, seen in fold.seen.items()},
        spending=fold.spending.save(context.expiry.now_us),
        heard=context.freshness.save(),
        watched=[] if fold.corrections is None else fold.corrections.save(),
        told=sorted(fold.told),
        moments=context.moments.save(),
    )
    return lambda: encode(shot)


def _turn(turn: Running, raw: Any) -> _Turn:
    return _Turn(
        agent=turn.agent.name,
        key=turn.key,
        wake=turn.wake,
        events=[(offset, raw(event)) for offset, event in turn.events],
        started_us=turn.started_us,
        checked_us=turn.checked_us,
        attempt=turn.attempt,
        reruns=turn.reruns,
        failures=turn.failures,
        retry_at_us=turn.retry_at_us,
        trail=list(turn.trail),
        calls=list(turn.calls.values()),
        answers=[(*place, answer) for place, answer in turn.answers.items()],
        changes=list(turn.changes),
        positions=list(turn.positions),
        inbox=[
            (*address, [(offset, raw(event)) for offset, event in waiting]) for address, waiting in turn.inbox.items()
        ],
        admissions=list(turn.admissions),
        silent=list(turn.silent),
        latest=None if any(sent is turn.latest for sent, _ in turn.calls.values()) else turn.latest,
    )


def _wakes(agent: Agent[Any]) -> str | None:
    """What changes when other things may wake an agent; None where that cannot be told."""
    return code_of(agent.source, agent.on, agent.declines_none, agent.when)


def restore(fold: Fold, shot: Snapshot, rows: keeping.Rows, views: Mapping[str, str]) -> None:
    """Takes up a snapshot in an empty fold whose tables and operators are those that it was made with, or new.

    `views` are the fingerprints of the views as they are now; those that have changed are evaluated anew.
    """
    context = fold.context
    fold.moved(shot.end, shot.at_us)
    fold.positions.update(shot.positions)
    fold.told.update(shot.told)
    context.offset = shot.end - 1
    context.expiry.now_us = shot.now_us
    context.freshness.load(shot.heard)
    context.moments.load(shot.moments, shot.end)
    for name, table in context.tables.items():
        if name in shot.tables:
            _restore_table(table, rows, shot.newest.get(name))
            table.whole.version = shot.tables[name]
    context.forget_alarms()
    for name, operator in context.operators.items():
        operator.load(bytes(shot.operators[name]) if name in shot.operators else operator.save())
    changed = _restore_views(fold, shot, rows, views)
    for name, seen in fold.seen.items():
        seen.load(shot.seen.get(name, []))
    for name, book in fold.books.items():
        if name in shot.books:
            _restore_book(fold, book, shot.books[name])
    for turn in shot.running:
        if turn.agent in fold.agents:
            _restore_turn(fold, turn)
    fold.outbox.load(shot.outbox)
    fold.spending.load(shot.spending, shot.now_us)
    if fold.corrections is not None:
        fold.corrections.load(shot.watched)
    _compare(fold, shot, changed)


def _restore_table(table: TableState, rows: keeping.Rows, newest_us: int | None) -> None:
    try:
        keeping.restore_table(table, rows, newest_us)
    except msgspec.DecodeError:
        if not isinstance(table.declared, Made):
            raise
        table.rows.clear()  # an earlier edition of the view made other records; they are made anew
        table.versions.clear()


def _restore_views(fold: Fold, shot: Snapshot, rows: keeping.Rows, views: Mapping[str, str]) -> set[str]:
    """Takes up the views, and evaluates those that are others now. Returns the names of these."""
    context = fold.context
    selectors = Selectors(context)
    anew: dict[str, dict[Any, int]] = {}
    changed = {name for name in context.views if name not in views or shot.views.get(name) != views[name]}
    for name, view in context.views.items():
        anew[name] = nodes.restore(view, rows(nodes.place_of(view)), selectors, current=name not in changed)
        if view.made is not None:
            view.made.load(view.values)
    keeping.forget(context)  # what is restored is in the snapshot already
    for name in changed:
        view = context.views[name]
        for key in view.rows:
            view.row_changed(key)
    context.settle()
    context.drop_unmade()
    changed.update(name for name, key in context.take_changes() if key not in anew[name])
    for name, versions in anew.items():
        view = context.views[name]
        view.versions.update((key, version) for key, version in versions.items() if key in view.values)
    return changed


def _compare(fold: Fold, shot: Snapshot, changed: set[str]) -> None:
    """Finds out who is due because the app has changed since the snapshot: another view, a new or another agent."""
    context = fold.context
    for name, book in fold.books.items():
        on, source, wakes = book.agent.on, book.agent.source, _wakes(book.agent)
        other = wakes is None or shot.agents.get(name) != wakes or (source != "stream" and on in changed)
        if source != "stream" and other:
            present = context.views[on].values if source == "view" else context.tables[on].rows
            for key in [key for key in (present.keys() | book.seen.keys()) if key not in book.due]:
                value, version = fold.present(book.agent, key)
                book.value_is(key, value, version or fold.end - 1, fold.at_us)


def _restore_book(fold: Fold, book: WakeBook, shot: _Book) -> None:
    book.seen.update(shot.seen)
    book.resting.update(shot.resting)
    book.settling.update(shot.settling)
    book.olds.update((key, bytes(old)) for key, old in shot.olds)
    book.meanwhile.update(shot.meanwhile)
    for key, waiting in shot.events:
        book.events[key] = _events(fold, book.agent.on, waiting)
    for key, wake in shot.due:
        waiting = book.events.get(key)
        value = waiting[-1][1] if waiting else fold.present(book.agent, key)[0]
        book.restore(key, wake, value, fold.context.expiry.now_us)


def _restore_turn(fold: Fold, shot: _Turn) -> None:
    agent = fold.agents[shot.agent]
    events = _events(fold, agent.on, shot.events) if agent.source == "stream" else []
    turn = Running(agent, shot.key, shot.wake, events, shot.started_us)
    turn.checked_us, turn.attempt, turn.reruns = shot.checked_us, shot.attempt, shot.reruns
    turn.failures, turn.retry_at_us, turn.trail = shot.failures, shot.retry_at_us, shot.trail
    turn.calls = {(sent.hash, sent.occurrence): (sent, at_us) for sent, at_us in shot.calls}
    turn.latest = shot.latest or next(reversed(turn.prompts), None)
    turn.answers = {(request, occurrence): answer for request, occurrence, answer in shot.answers}
    turn.changes, turn.positions = dict.fromkeys(shot.changes), list(shot.positions)
    turn.admissions = shot.admissions
    turn.silent = tuple(shot.silent)
    fold.take_up(turn)
    for stream, key, waiting in shot.inbox:
        fold.mail.listen(turn, (stream, key))
        turn.inbox[stream, key] = _events(fold, stream, waiting)
        if waiting:
            fold.mail.came[turn] = None
    fold.books[agent.name].running.add(shot.key)


def _events(fold: Fold, stream: str, waiting: list[tuple[int, msgspec.Raw]]) -> list[tuple[int, Any]]:
    decode = msgspec.json.Decoder(fold.streams[stream].event).decode
    return [(offset, decode(raw)) for offset, raw in waiting]
