"""Snapshots in an SQLite file of their own, beside the log, so that writing one holds up no append.

A snapshot is a state and rows by place: those of tables, their history, the keys of views. The next one writes only the
rows that have changed. One transaction each: a crash leaves the one before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import sleep

from extrovert.core.errors import AlreadyRunning
from extrovert.core.ports import SavedPlace, SavedRow

__all__ = ["SnapshotFile"]

FORMAT = 2
CHUNK = 256
"""So many rows are encoded and written at once; between two chunks, other threads go on."""

PAGES = 256
"""So many pages are copied at once."""

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS snapshots (offset INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    place TEXT NOT NULL, key NOT NULL, version INTEGER NOT NULL, by_turn INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (place, key)
) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


class SnapshotFile:
    """The snapshots of the log at `path` (None: in memory). A file that cannot be read is as good as none."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            self._open()
        except sqlite3.OperationalError:
            self._connection.close()
            raise  # it is locked, or the disk is full: the file may well be good
        except sqlite3.DatabaseError:
            self._connection.close()
            if path is None:
                raise
            for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                name.unlink(missing_ok=True)
            self._open()

    def _open(self) -> None:
        name = ":memory:" if self.path is None else str(self.path)
        self._connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        (known,) = self._connection.execute("PRAGMA user_version").fetchone()
        if known not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"snapshot format {known} is not known here")
        if not known:
            self._connection.executescript(_SCHEMA)

    def save(self, offset: int, state: bytes, places: Sequence[SavedPlace]) -> None:
        """Writes a snapshot over the one before. Raises `AlreadyRunning` where that is a newer one: whoever stood still
        meanwhile would mix its rows with those of another."""
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            found = run.execute("SELECT offset FROM snapshots").fetchone()
            if found is not None and found[0] > offset:
                raise AlreadyRunning(
                    f"{self.path or 'The file'} has the snapshot of offset {found[0]}, and one of {offset} was to be "
                    f"written: another engine has gone on since this one started. Stop one of the two."
                )
            named = {place.place for place in places}
            cleared = [place.place for place in places if place.whole] + [
                one for one in self._places() if one not in named
            ]
            run.executemany("DELETE FROM rows WHERE place = ?", [(place,) for place in cleared])
            for place, _, gone, rows in places:
                run.executemany("DELETE FROM rows WHERE place = ? AND key = ?", [(place, key) for key in gone])
                waiting = iter(rows)
                while chunk := list(islice(waiting, CHUNK)):
                    run.executemany(
                        "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", [(place, *row) for row in chunk]
                    )
                    sleep(0)
            run.execute("DELETE FROM snapshots")
            run.execute("INSERT INTO snapshots VALUES (?, ?)", (offset, state))
            run.execute("COMMIT")
        except BaseException:
            run.execute("ROLLBACK")
            raise

    def _places(self) -> Iterator[str]:
        """The places that have rows, found without a look at each of these."""
        last = ""
        query = "SELECT place FROM rows WHERE place > ? ORDER BY place LIMIT 1"
        while (found := self._connection.execute(query, (last,)).fetchone()) is not None:
            (last,) = found
            yield last

    def load(self) -> tuple[int, bytes] | None:
        """The state and the offset before which all is in it."""
        return self._connection.execute("SELECT offset, state FROM snapshots").fetchone()

    def drop(self) -> None:
        """Takes the snapshot away. Its rows go with the next one, which is whole."""
        self._connection.execute("DELETE FROM snapshots")

    def copy_to(self, other: SnapshotFile) -> None:
        """Makes `other` a copy of this one, some pages at a time, so that the other threads go on."""
        self._connection.backup(other._connection, pages=PAGES)

    def size(self) -> tuple[int, int] | None:
        """The offset of the snapshot, and the bytes of the file."""
        found = self.load()
        (pages,), (page,) = (
            self._connection.execute(f"PRAGMA {one}").fetchone() for one in ("page_count", "page_size")
        )
        return None if found is None else (found[0], pages * page)

    def rows(self, place: str) -> Iterator[SavedRow]:
        """The rows of one place."""
        return self._connection.execute("SELECT key, version, by_turn, row FROM rows WHERE place = ?", (place,))

    def close(self) -> None:
        self._connection.close()
