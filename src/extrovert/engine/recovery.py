"""Recovery: the state as of a snapshot, and the tail of the log on top of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from extrovert.context import keeping
from extrovert.context.seen import SeenIds
from extrovert.context.table import TableState
from extrovert.core.log import AskSent, Position, Wake
from extrovert.core.ports import SavedRow, Store
from extrovert.engine.declared import Declared
from extrovert.turns.fold import Fold
from extrovert.turns.outbox import Pending
from extrovert.turns.request import Answer
from extrovert.turns.running import Running

__all__ = ["recover", "state_of"]


class _Book(msgspec.Struct):
    seen: list[tuple[Any, str]]
    due: list[tuple[Any, Wake]]
    events: list[tuple[Any, list[tuple[int, msgspec.Raw]]]]
    resting: list[tuple[Any, int]]


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


class _Snapshot(msgspec.Struct):
    fingerprint: str
    end: int
    at_us: int
    now_us: int
    positions: dict[str, Position]
    tables: dict[str, int]
    kept: dict[str, msgspec.Raw]
    views: dict[str, list[tuple[Any, int]]]
    books: dict[str, _Book]
    running: list[_Turn]
    outbox: list[Pending]
    operators: dict[str, msgspec.Raw] = {}
    seen: dict[str, SeenIds] = {}


def recover(declared: Declared, store: Store) -> tuple[Fold, int]:
    """The fold of the store's log, and the offset of the snapshot that it begins with (0: there is none).

    A snapshot made by other folds or row types is passed over, and the log read whole. Raises `CorruptionError` where
    the log does not fit the app.
    """
    fold = declared.fold()
    found = store.load_snapshot()
    begins = 0
    if found is not None:
        shot = msgspec.json.decode(found[1], type=_Snapshot)
        if shot.fingerprint == declared.fingerprint():
            _restore(fold, shot, store)
            for name, ids in shot.seen.items():
                fold.seen[name].load(ids)
            begins = fold.end
    for table in fold.context.tables.values():
        table.take_written()  # what was restored is in the snapshot already
    for entry in store.entries(fold.end):
        fold.replay(entry)
    return fold, begins


def state_of(declared: Declared, fold: Fold) -> Callable[[], bytes]:
    """All of a fold's present state but its rows. What is returned encodes it, later and in any thread."""
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
        )
        for name, book in fold.books.items()
    }
    shot = _Snapshot(
        fingerprint=declared.fingerprint(),
        end=fold.end,
        at_us=fold.at_us,
        now_us=context.expiry.now_us,
        positions=dict(fold.positions),
        tables={name: state.whole.version for name, state in context.tables.items()},
        kept={name: keeping.save(state) for name, state in context.tables.items()},
        views={name: list(view.versions.items()) for name, view in context.views.items()},
        books=books,
        running=[_turn(turn, raw) for turn in fold.running.values()],
        outbox=list(fold.outbox.pending.values()),
        operators={name: msgspec.Raw(operator.save()) for name, operator in context.operators.items()},
        seen={name: seen.save() for name, seen in fold.seen.items()},
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
    )


def _restore(fold: Fold, shot: _Snapshot, store: Store) -> None:
    context = fold.context
    fold.moved(shot.end, shot.at_us)
    fold.positions.update(shot.positions)
    context.offset = shot.end - 1
    context.expiry.now_us = shot.now_us
    for name, version_of_all in shot.tables.items():
        _restore_table(context.tables[name], store.snapshot_rows(name))
        keeping.load(context.tables[name], bytes(shot.kept[name]))
        context.tables[name].whole.version = version_of_all
    context.forget_alarms()
    for name, saved in shot.operators.items():
        context.operators[name].load(bytes(saved))
    context.settle()
    context.drop_unmade()
    context.take_changes()
    for name, versions in shot.views.items():
        if name in context.views:
            view = context.views[name]
            view.versions.update((key, version) for key, version in versions if key in view.values)
    for name, book in shot.books.items():
        if name in fold.books:
            _restore_book(fold, name, book)
    for turn in shot.running:
        if turn.agent in fold.agents:
            _restore_turn(fold, turn)
    fold.outbox.pending.update((pending.key, pending) for pending in shot.outbox)
    _compare(fold)


def _restore_table(state: TableState, rows: Iterator[SavedRow]) -> None:
    decode = msgspec.json.Decoder(state.declared.record).decode
    for _, key, version, by_turn, raw in rows:
        state.put(key, decode(raw), version)
        if by_turn:
            state.by_turns.add(key)


def _compare(fold: Fold) -> None:
    """Finds out who is due because the app has changed since the snapshot: another view, a new agent."""
    context = fold.context
    for book in fold.books.values():
        on = book.agent.on
        if book.agent.source != "stream":
            present = context.views[on].values if book.agent.source == "view" else context.tables[on].rows
            for key in [key for key in (present.keys() | book.seen.keys()) if key not in book.due]:
                value, version = fold.present(book.agent, key)
                book.value_is(key, value, version or fold.end - 1, fold.at_us)


def _restore_book(fold: Fold, name: str, shot: _Book) -> None:
    book = fold.books[name]
    book.take_rows()
    book.seen.update(shot.seen)
    book.resting.update(shot.resting)
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
    turn.answers = {(request, occurrence): answer for request, occurrence, answer in shot.answers}
    fold.running[turn.id] = turn
    fold.books[agent.name].running.add(shot.key)


def _events(fold: Fold, stream: str, waiting: list[tuple[int, msgspec.Raw]]) -> list[tuple[int, Any]]:
    decode = msgspec.json.Decoder(fold.streams[stream].event).decode
    return [(offset, decode(raw)) for offset, raw in waiting]
