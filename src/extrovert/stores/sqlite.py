"""The log and the ledger's index in one SQLite file, and the snapshots in another beside it.

One transaction per `append`, in WAL mode; with `durability="fsync"` each is on the disk when `append` returns. The file
is documented in `docs/log.md`, so that other programs can read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from extrovert.core.errors import AlreadyRunning, CorruptionError, ExtrovertError
from extrovert.core.log import Entry
from extrovert.core.ports import Base, SavedPlace, SavedRow
from extrovert.stores.bases import Bases
from extrovert.stores.snapshots import SnapshotFile

__all__ = ["Durability", "SqliteStore"]

Durability = Literal["fsync", "os"]

FORMAT = "1"
SNAPSHOT = "snapshot.sqlite"
BLOCK = 128
"""How many rows one statement inserts at most. SQLite may be built to take as few as 999 parameters."""

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS log (
    offset INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_us INTEGER NOT NULL,
    kind TEXT NOT NULL, wall_us INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS log_dead ON log (offset) WHERE kind IN ('dead', 'retried');
CREATE INDEX IF NOT EXISTS log_told ON log (offset) WHERE kind = 'told';
CREATE INDEX IF NOT EXISTS log_invalidated ON log (offset) WHERE kind = 'invalidated';
CREATE TABLE IF NOT EXISTS turns (
    offset INTEGER PRIMARY KEY, turn TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

BEGINS = "log_begins"
_TAKEN_UP = """
WITH gone AS (
    SELECT offset, json_extract(CAST(body AS TEXT), '$.letter') AS letter FROM log
    WHERE kind = 'retried' AND offset < ?1
)
DELETE FROM log WHERE offset IN (SELECT offset FROM gone UNION SELECT letter FROM gone)
"""
"""A dead letter and the note that it was taken up go together, so that those that wait can be counted."""


class SqliteStore:
    """A `Store` in the SQLite file at `path` (None: in memory). Raises `CorruptionError` for a foreign file.

    One that is opened `read_only` can be read while an engine writes it; what it shows is durable.
    """

    def __init__(self, path: Path | None, *, durability: Durability = "fsync", read_only: bool = False) -> None:
        self.path = path
        name = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        self._connection = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
        try:
            self._open(durability, read_only)
        except sqlite3.DatabaseError as error:
            self.close()
            raise CorruptionError(f"{path} is not an Extrovert log: {error}. Name another --data directory.") from error
        except ExtrovertError:
            self.close()
            raise

    def _open(self, durability: Durability, read_only: bool) -> None:
        empty = self._connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if read_only and empty:
            raise ExtrovertError(f"{self.path} is empty: somebody is about to make a log of it, or gave up. Try again.")
        if not read_only:
            self._tune(durability)
        if empty:
            self._connection.executescript(_SCHEMA)
            self.set_meta("format", FORMAT)
            self._connection.execute("COMMIT")
        known = self.meta("format")
        if known != FORMAT:
            raise CorruptionError(f"{self.path} has log format {known}; this version reads {FORMAT}.")

    def _tune(self, durability: Durability) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {'FULL' if durability == 'fsync' else 'NORMAL'}")
        run("PRAGMA wal_autocheckpoint = 4000")
        run("PRAGMA cache_size = -32000")

    def append(self, entries: Sequence[Entry]) -> None:
        """Writes the entries as one unit. Raises `AlreadyRunning` where the log does not end where they begin: whoever
        writes them has read it before another engine wrote to it."""
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            self.fence(entries)
            self._insert(
                "INSERT INTO log (offset, count, at_us, kind, wall_us, body) VALUES ",
                [(e.offset, e.count, e.at_us, e.kind, e.wall_us, e.body) for e in entries],
            )
            self._insert(
                "INSERT INTO turns (offset, turn, agent, key) VALUES ",
                [(e.offset, *e.about) for e in entries if e.about is not None],
            )
            run.execute("COMMIT")
        except BaseException:
            run.execute("ROLLBACK")
            raise

    def fence(self, entries: Sequence[Entry]) -> None:
        """Raises `AlreadyRunning` where these entries do not follow the last one in the log."""
        end = self.end()
        if entries and entries[0].offset != end:
            raise AlreadyRunning(
                f"{self.path or 'The log'} ends at offset {end}, and offset {entries[0].offset} was to be written: "
                f"another engine has written to it since this one started. Nothing was written. Stop one of the two."
            )

    def _insert(self, into: str, rows: list[tuple[Any, ...]]) -> None:
        """Inserts rows with as few statements as can be: after each, this thread waits milliseconds for the interpreter
        while the loop is busy, and the loop in the end for it."""
        for at in range(0, len(rows), BLOCK):
            block = rows[at : at + BLOCK]
            places = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(block))
            self._connection.execute(into + places, list(chain.from_iterable(block)))

    def entries(self, since: int = 0) -> Iterator[Entry]:
        found = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log WHERE offset >= ? ORDER BY offset", (since,)
        )
        for row in found:
            yield Entry(*row)

    def ended(
        self, *, turn: str | None = None, agent: str | None = None, key: str | None = None, limit: int = 20
    ) -> list[Entry]:
        """The latest entries that ended a turn, newest first, optionally of one turn, agent or key."""
        found = self._connection.execute(
            "SELECT l.offset, l.at_us, l.kind, l.count, l.body, l.wall_us FROM turns t JOIN log l USING (offset) "
            "WHERE (?1 IS NULL OR t.turn = ?1) AND (?2 IS NULL OR t.agent = ?2) AND (?3 IS NULL OR t.key = ?3) "
            "ORDER BY t.offset DESC LIMIT ?4",
            (turn, agent, key, limit),
        )
        return [Entry(*row) for row in found]

    def named(self, prefix: str, limit: int = 10) -> list[str]:
        """The turns that have ended and whose names begin with `prefix`, in order of their names.

        There is no index: names come in no order, and to keep them in one would cost each decision more than all else
        here. A million of them are looked through in about 0.1 s.
        """
        found = self._connection.execute(
            "SELECT DISTINCT turn FROM turns WHERE turn >= ?1 AND turn < ?1 || char(1114111) ORDER BY turn LIMIT ?2",
            (prefix, limit),
        )
        return [name for (name,) in found]

    def steps(self, effect: bytes, since: int) -> Iterator[Entry]:
        """The entries with offsets from `since` on that hold steps of effects and contain the bytes `effect`, in order.

        There is no index: it would cost each step, and the next steps of an effect are near. All of a log with a
        million entries is looked through in about 0.3 s.
        """
        found = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log "
            "WHERE offset >= ? AND kind = 'effects' AND instr(body, ?) ORDER BY offset",
            (since, effect),
        )
        for row in found:
            yield Entry(*row)

    def invalidated(self, turn: str, since: int) -> list[Entry]:
        """The entries from offset `since` on which say that the decision of this turn was invalidated, in order."""
        found = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log WHERE offset >= ?1 AND kind = 'invalidated' "
            "AND json_extract(CAST(body AS TEXT), '$.turn') = ?2 ORDER BY offset",
            (since, turn),
        )
        return [Entry(*row) for row in found]

    def told(self) -> Iterator[Entry]:
        """The entries that say what models are told beside what they are asked, in order."""
        found = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log WHERE kind = 'told' ORDER BY offset"
        )
        for row in found:
            yield Entry(*row)

    def at(self, offset: int) -> Entry | None:
        """The entry that covers `offset`."""
        row = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log WHERE offset <= ? ORDER BY offset DESC LIMIT 1",
            (offset,),
        ).fetchone()
        return None if row is None or row[0] + row[3] <= offset else Entry(*row)

    def dead(self) -> list[Entry]:
        """The dead letters, and the notes that some were taken up again, in order."""
        found = self._connection.execute(
            "SELECT offset, at_us, kind, count, body, wall_us FROM log "
            "WHERE kind IN ('dead', 'retried') ORDER BY offset"
        )
        return [Entry(*row) for row in found]

    def end(self) -> int:
        """The offset after the last entry; the first is 1."""
        row = self._connection.execute("SELECT offset + count FROM log ORDER BY offset DESC LIMIT 1").fetchone()
        return 1 if row is None else row[0]

    @cached_property
    def _snapshots(self) -> SnapshotFile:
        return SnapshotFile(None if self.path is None else self.path.with_name(SNAPSHOT))

    def save_snapshot(self, offset: int, state: bytes, places: Sequence[SavedPlace]) -> None:
        self._snapshots.save(offset, state, places)

    def load_snapshot(self) -> tuple[int, bytes] | None:
        return self._snapshots.load()

    def drop_snapshot(self) -> None:
        self._snapshots.drop()

    def snapshot_rows(self, place: str) -> Iterator[SavedRow]:
        return self._snapshots.rows(place)

    @cached_property
    def _bases(self) -> Bases:
        return Bases(None if self.path is None else self.path.parent)

    def keep_base(self, at_us: int) -> None:
        self._bases.keep(self._snapshots, at_us)

    def bases(self) -> list[Base]:
        return self._bases.all()

    def open_base(self, base: Base) -> SnapshotFile:
        return self._bases.open(base)

    def drop_base(self, base: Base) -> None:
        self._bases.drop(base)

    def begins(self) -> int:
        return int(self.meta(BEGINS) or 1)

    def forget(self, before: int, limit: int) -> bool:
        run = self._connection.execute
        (last,) = run("SELECT coalesce(max(offset), 1) FROM log").fetchone()
        before = min(before, last)
        query = (
            "SELECT offset FROM log WHERE offset < ? AND kind NOT IN ('dead', 'retried', 'told') "
            "ORDER BY offset LIMIT ?"
        )
        found = [offset for (offset,) in run(query, (before, limit))]
        run("BEGIN IMMEDIATE")
        try:
            if before > self.begins():
                self.set_meta(BEGINS, str(before))
            self._connection.executemany("DELETE FROM log WHERE offset = ?", [(offset,) for offset in found])
            self._connection.executemany("DELETE FROM turns WHERE offset = ?", [(offset,) for offset in found])
            if len(found) < limit:
                run(_TAKEN_UP, (before,))
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        return len(found) == limit

    def tempo(self, since_us: int) -> list[tuple[str, int, int]]:
        """What was logged from this engine time on: (kind, entries, offsets that they took), by kind.

        Times grow with offsets, so that the first one is found by halving, without an index.
        """
        low, high = min(self.begins(), self.end()), self.end()
        while low < high:
            middle = (low + high) // 2
            (at_us,) = self._connection.execute(
                "SELECT at_us FROM log WHERE offset <= ? ORDER BY offset DESC LIMIT 1", (middle,)
            ).fetchone()
            low, high = (middle + 1, high) if at_us < since_us else (low, middle)
        return self._connection.execute(
            "SELECT kind, count(*), sum(count) FROM log WHERE offset >= ? GROUP BY kind ORDER BY kind", (low,)
        ).fetchall()

    def snapshot_size(self) -> tuple[int, int] | None:
        """The snapshot's offset, and the bytes of its file; None where there is no snapshot."""
        if "_snapshots" not in self.__dict__ and (self.path is None or not self.path.with_name(SNAPSHOT).exists()):
            return None
        return self._snapshots.size()

    def dead_waiting(self) -> int:
        """How many dead letters have not been taken up again."""
        (waiting,) = self._connection.execute(
            "SELECT coalesce(sum(CASE kind WHEN 'dead' THEN 1 ELSE -1 END), 0) FROM log "
            "WHERE kind IN ('dead', 'retried')"
        ).fetchone()
        return waiting

    def set_meta(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def meta(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        if "_snapshots" in self.__dict__:
            self._snapshots.close()
        self._connection.close()
