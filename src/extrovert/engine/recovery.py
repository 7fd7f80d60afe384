"""Recovery: the state as of a snapshot, and the tail of the log on top of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.ports import SavedRow, Store
from extrovert.engine.declared import Declared
from extrovert.engine.saved import Snapshot, restore
from extrovert.engine.schema import beginnings, kept_streams
from extrovert.turns.fold import Fold

__all__ = ["as_of", "recover", "taken_up"]

Rows = Callable[[str], Iterator[SavedRow]]


def recover(declared: Declared, store: Store) -> tuple[Fold, int]:
    """The fold of the store's log, and the offset of the snapshot that it begins with (0: there is none).

    A snapshot made by other folds or row types, or one that is ahead of its log, is passed over for a base that is not,
    or else the log is read whole. Raises `CorruptionError` where the log does not fit the app, `DeclarationError` where
    it would have to be read whole and is not kept whole.
    """
    fold, begins = _fold(declared, store), 0
    found = store.load_snapshot()
    if found is not None and found[0] > store.end():
        store.drop_snapshot()  # the log has lost its end, and what comes in its place is something else
        found = None
    with _uncollected():
        if found is not None and _taken_up(fold, declared, store, found[1], store.snapshot_rows):
            begins = fold.end
        else:
            _begin(fold, declared, store, store.end())
        for entry in store.entries(fold.end):
            fold.replay(entry)
    return fold, begins


def as_of(declared: Declared, store: Store, offset: int) -> Fold:
    """The fold of all entries that end below `offset`, by the newest base before it and the log since then.

    Raises `DeclarationError` where that lies before what is kept, or where an older base than the app's is needed.
    """
    with _uncollected():
        fold = taken_up(declared, store, offset)
        for entry in store.entries(fold.end):
            if entry.offset + entry.count > offset:
                break
            fold.replay(entry)
    return fold


def taken_up(declared: Declared, store: Store, offset: int) -> Fold:
    """The fold as of the newest base up to `offset`, or of nothing: the log goes on at its `end`.

    Raises `DeclarationError` like `as_of`.
    """
    fold = _fold(declared, store)
    _begin(fold, declared, store, offset)
    return fold


def _fold(declared: Declared, store: Store) -> Fold:
    fold = declared.fold()
    fold.context.begins = beginnings(store)
    return fold


def _begin(fold: Fold, declared: Declared, store: Store, offset: int) -> None:
    """Takes up the newest base up to `offset` that fits. Without one the log has to be there from its beginning."""
    for base in reversed(store.bases()):
        if base.offset <= offset:
            saved = store.open_base(base)
            try:
                found = saved.load()
                if found is not None and _taken_up(fold, declared, store, found[1], saved.rows):
                    return
            finally:
                saved.close()
    if store.begins() > 1:
        raise DeclarationError(
            f"The log is kept from offset {store.begins()} on, and no snapshot from which to go on fits this app and "
            f"offset {offset}. Where a table's fold, key or record, what makes a stream or window, or a learner or the "
            f"version of its library was changed: give it back as it was, declare the new one beside it with a stream "
            f"of its own, or begin a new log with --data."
        )


def _taken_up(fold: Fold, declared: Declared, store: Store, state: bytes, rows: Rows) -> bool:
    """Takes up a snapshot if its rows would be the same now; says whether it has."""
    shot = msgspec.json.decode(state, type=Snapshot)
    if shot.end < store.begins() and shot.end < store.end():
        return False  # what follows it is not there any more
    now = declared.fingerprints()
    new = now.keys() - shot.fingerprints.keys()
    if any(shot.fingerprints[part] != now[part] for part in now.keys() - new):
        return False
    known = kept_streams(store)
    if any(known.intersection(streams) for part, streams in declared.follows().items() if part in new):
        return False  # it would have seen events that lie before
    restore(fold, shot, rows, declared.view_fingerprints())
    return True


@contextmanager
def _uncollected() -> Generator[None]:
    """No cycles are looked for meanwhile: millions of objects come to stay, and each search would go through them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
