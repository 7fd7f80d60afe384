"""The log, the ledger's index and the snapshots in one SQLite file.

One transaction per `append`, in WAL mode; with `durability="fsync"` each is on the disk when `append` returns. The file
is documented in `docs/log.md`, so that other programs can read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from extrovert.core.errors import CorruptionError
from extrovert.core.log import Entry

__all__ = ["Durability", "SqliteStore"]

Durability = Literal["fsync", "os"]

FORMAT = "1"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    offset INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_us INTEGER NOT NULL,
    kind TEXT NOT NULL, wall_us INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS log_dead ON log (offset) WHERE kind IN ('dead', 'retried');
CREATE TABLE IF NOT EXISTS turns (
    offset INTEGER PRIMARY KEY, turn TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS turns_by_name ON turns (turn);
CREATE TABLE IF NOT EXISTS snapshots (offset INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class SqliteStore:
    """A `Store` in the SQLite file at `path` (None: in memory). Raises `CorruptionError` for a foreign file."""

    def __init__(self, path: Path | None, *, durability: Durability = "fsync") -> None:
        self.path = path
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
        )
        run = self._connection.execute
        try:
            run("PRAGMA journal_mode = WAL")
            run(f"PRAGMA synchronous = {'FULL' if durability == 'fsync' else 'NORMAL'}")
            run("PRAGMA wal_autocheckpoint = 4000")
            run("PRAGMA cache_size = -32000")
            self._connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise CorruptionError(f"{path} is not an Extrovert log: {error}. Name another --data directory.") from error
        known = self.meta("format")
        if known is None:
            self.set_meta("format", FORMAT)
        elif known != FORMAT:
            raise CorruptionError(f"{path} has log format {known}; this version reads {FORMAT}.")

    def append(self, entries: Sequence[Entry]) -> None:
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            run.executemany(
                "INSERT INTO log (offset, count, at_us, kind, wall_us, body) VALUES (?, ?, ?, ?, ?, ?)",
                [(e.offset, e.count, e.at_us, e.kind, e.wall_us, e.body) for e in entries],
            )
            run.executemany(
                "INSERT INTO turns (offset, turn, agent, key) VALUES (?, ?, ?, ?)",
                [(e.offset, *e.about) for e in entries if e.about is not None],
            )
            run.execute("COMMIT")
        except BaseException:
            run.execute("ROLLBACK")
            raise

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

    def save_snapshot(self, offset: int, state: bytes) -> None:
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        run.execute("DELETE FROM snapshots")
        run.execute("INSERT INTO snapshots (offset, state) VALUES (?, ?)", (offset, state))
        run.execute("COMMIT")

    def load_snapshot(self) -> tuple[int, bytes] | None:
        return self._connection.execute("SELECT offset, state FROM snapshots ORDER BY offset DESC LIMIT 1").fetchone()

    def set_meta(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def meta(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()
