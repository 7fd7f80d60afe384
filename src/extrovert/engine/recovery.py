"""Recovery: the state as of a snapshot, and the tail of the log on top of it."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from extrovert.core.ports import Store
from extrovert.engine.declared import Declared
from extrovert.engine.saved import Snapshot, restore
from extrovert.engine.schema import beginnings
from extrovert.turns.fold import Fold

__all__ = ["recover"]


def recover(declared: Declared, store: Store) -> tuple[Fold, int]:
    """The fold of the store's log, and the offset of the snapshot that it begins with (0: there is none).

    A snapshot made by other folds or row types, or one that is ahead of its log, is passed over, and the log is read
    whole. Raises `CorruptionError` where the log does not fit the app.
    """
    fold = declared.fold()
    fold.context.begins = beginnings(store)
    found = store.load_snapshot()
    if found is not None and found[0] > store.end():
        store.drop_snapshot()  # the log has lost its end, and what comes in its place is something else
        found = None
    begins = 0
    with _uncollected():
        if found is not None:
            shot = msgspec.json.decode(found[1], type=Snapshot)
            if shot.fingerprints == declared.fingerprints():
                restore(fold, shot, store.snapshot_rows, declared.view_fingerprints())
                begins = fold.end
        for entry in store.entries(fold.end):
            fold.replay(entry)
    return fold, begins


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
