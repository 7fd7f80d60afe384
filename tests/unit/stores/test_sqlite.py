"""The SQLite store: entries in order, snapshots beside them, and a file that is known for what it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from extrovert import CorruptionError
from extrovert.core.errors import AlreadyRunning
from extrovert.core.log import Entry
from extrovert.core.ports import SavedPlace, SavedRow
from extrovert.stores.sqlite import SqliteStore

ENTRIES = [
    Entry(1, 10, "events", 3, b"{}", 7),
    Entry(4, 20, "decided", 1, b"{}", 0, ("a:F1@1", "a", "F1")),
    Entry(5, 20, "dead", 1, b"{}"),
    Entry(6, 30, "ended", 1, b"{}", 0, ("b:F1@1", "b", "F1")),
    Entry(7, 30, "retried", 1, b"{}"),
    Entry(8, 40, "decided", 2, b"{}", 0, ("a:F2@1", "a", "F2")),
]


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = SqliteStore(tmp_path / "log")
    yield opened
    opened.close()


def offsets(entries: list[Entry]) -> list[int]:
    return [entry.offset for entry in entries]


def test_entries_come_back_in_order(store: SqliteStore) -> None:
    store.append(ENTRIES[:2])
    store.append(ENTRIES[2:])
    found = list(store.entries())
    assert offsets(found) == offsets(ENTRIES)
    assert found[0] == ENTRIES[0]
    assert offsets(list(store.entries(5))) == [5, 6, 7, 8]


@pytest.mark.parametrize("written", [1, 3, 6])
def test_who_has_read_the_log_before_another_wrote_to_it_is_refused(store: SqliteStore, written: int) -> None:
    """Also where its entry would fit between the offsets of those that are there."""
    other = SqliteStore(store.path)
    store.append(ENTRIES[:written])
    end = store.end()
    for offset in {1, 2, end - 1, end + 1}:
        with pytest.raises(AlreadyRunning, match=f"ends at offset {end}, and offset {offset} was to be written"):
            other.append([Entry(offset, 0, "passed", 1, b"{}")])
    assert offsets(list(store.entries())) == offsets(ENTRIES[:written])
    other.append([Entry(end, 0, "passed", 1, b"{}")])
    other.close()


def test_what_ended_a_turn_is_found_by_turn_agent_and_key(store: SqliteStore) -> None:
    store.append(ENTRIES)
    assert offsets(store.ended()) == [8, 6, 4]
    assert offsets(store.ended(agent="a")) == [8, 4]
    assert offsets(store.ended(key="F1")) == [6, 4]
    assert offsets(store.ended(agent="a", key="F1")) == [4]
    assert offsets(store.ended(turn="b:F1@1")) == [6]
    assert offsets(store.ended(limit=1)) == [8]


def test_an_entry_is_found_by_each_of_its_offsets(store: SqliteStore) -> None:
    store.append(ENTRIES)
    found = {offset: entry.offset for offset in range(11) if (entry := store.at(offset))}
    assert found == {1: 1, 2: 1, 3: 1, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 8}


def test_dead_letters_come_with_what_was_taken_up_again(store: SqliteStore) -> None:
    store.append(ENTRIES)
    assert offsets(store.dead()) == [5, 7]


def test_the_end_is_the_next_offset(store: SqliteStore) -> None:
    assert store.end() == 1
    store.append(ENTRIES)
    assert store.end() == 10


def test_the_newest_snapshot_wins(store: SqliteStore) -> None:
    assert store.load_snapshot() is None
    store.save_snapshot(5, b"old", [SavedPlace("t", True, [], [("a", 1, False, b"1"), (2, 3, True, b"2")])])
    store.save_snapshot(9, b"new", [SavedPlace("t", False, ["a"], [("b", 7, False, b"3")])])
    assert store.load_snapshot() == (9, b"new")
    assert sorted(store.snapshot_rows("t"), key=str) == [("b", 7, 0, b"3"), (2, 3, 1, b"2")]
    store.save_snapshot(11, b"whole", [SavedPlace("t", True, [], [("c", 10, False, b"4")])])
    assert list(store.snapshot_rows("t")) == [("c", 10, 0, b"4")]
    store.save_snapshot(12, b"another", [SavedPlace("u", False, [], [("a", 11, False, b"5")])])
    assert (list(store.snapshot_rows("t")), len(list(store.snapshot_rows("u")))) == ([], 1)


def test_who_has_stood_still_does_not_write_an_older_snapshot_over_a_newer_one(store: SqliteStore) -> None:
    """Its rows would be mixed with those of the newer one, since a snapshot writes only what has changed."""
    other = SqliteStore(store.path)
    store.save_snapshot(5, b"old", [SavedPlace("t", True, [], [("a", 1, False, b"1")])])
    other.save_snapshot(9, b"new", [SavedPlace("t", False, [], [("a", 8, False, b"8")])])
    with pytest.raises(AlreadyRunning, match="snapshot of offset 9, and one of 7 was to be written"):
        store.save_snapshot(7, b"between", [SavedPlace("t", False, [], [("b", 6, False, b"6")])])
    assert store.load_snapshot() == (9, b"new")
    assert list(store.snapshot_rows("t")) == [("a", 8, 0, b"8")]
    other.save_snapshot(9, b"again", [])
    assert store.load_snapshot() == (9, b"again")
    other.close()


def test_a_snapshot_file_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "snapshot.sqlite").write_bytes(b"rubbish" * 1000)
    store = SqliteStore(tmp_path / "log")
    assert store.load_snapshot() is None
    store.save_snapshot(5, b"state", [])
    assert store.load_snapshot() == (5, b"state")
    store.close()


def test_a_snapshot_that_was_not_finished_leaves_the_one_before(store: SqliteStore) -> None:
    def rows() -> Iterator[SavedRow]:
        yield "a", 1, False, b"1"
        raise OSError("no space left on device")

    store.save_snapshot(5, b"old", [SavedPlace("t", True, [], [("a", 1, False, b"1")])])
    with pytest.raises(OSError, match="no space"):
        store.save_snapshot(9, b"new", [SavedPlace("t", False, ["a"], rows())])
    assert store.load_snapshot() == (5, b"old")
    assert list(store.snapshot_rows("t")) == [("a", 1, 0, b"1")]


def test_named_facts_are_kept(store: SqliteStore) -> None:
    assert store.meta("app") is None
    store.set_meta("app", "one")
    store.set_meta("app", "two")
    assert store.meta("app") == "two"


def test_it_is_all_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "log")
    store.append(ENTRIES)
    store.save_snapshot(5, b"state", [])
    store.close()
    again = SqliteStore(tmp_path / "log")
    assert offsets(list(again.entries())) == offsets(ENTRIES)
    assert again.load_snapshot() == (5, b"state")
    again.close()


def test_another_can_read_it_while_it_is_written(store: SqliteStore, tmp_path: Path) -> None:
    store.append(ENTRIES[:1])
    reader = SqliteStore(tmp_path / "log", read_only=True)
    store.append(ENTRIES[1:])
    assert offsets(list(reader.entries())) == offsets(ENTRIES)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.append([Entry(reader.end(), 0, "dead", 1, b"{}")])
    reader.close()


def test_an_append_waits_for_the_disk_unless_it_is_told_not_to(tmp_path: Path) -> None:
    for durability, synchronous in (("fsync", 2), ("os", 1)):
        store = SqliteStore(tmp_path / durability, durability=durability)  # pyright: ignore[reportArgumentType]
        connection = store._connection  # pyright: ignore[reportPrivateUsage]
        assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.close()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("something else entirely, and long enough to be taken for a file of pages" * 20)
    with pytest.raises(CorruptionError, match="is not an Extrovert log"):
        SqliteStore(tmp_path / "log")


def test_another_format_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "log")
    store.set_meta("format", "99")
    store.close()
    with pytest.raises(CorruptionError, match="has log format 99; this version reads 1"):
        SqliteStore(tmp_path / "log")


@pytest.mark.parametrize(
    ("since_us", "kinds"),
    [
        (0, ["dead", "decided", "ended", "events", "retried"]),
        (10, ["dead", "decided", "ended", "events", "retried"]),
        (11, ["dead", "decided", "ended", "retried"]),
        (30, ["decided", "ended", "retried"]),
        (40, ["decided"]),
        (41, []),
    ],
)
def test_what_was_logged_lately_is_counted_by_kind(store: SqliteStore, since_us: int, kinds: list[str]) -> None:
    assert store.tempo(since_us) == []
    store.append(ENTRIES)
    found = store.tempo(since_us)
    assert [kind for kind, _, _ in found] == kinds
    assert sum(count for _, _, count in found) == sum(entry.count for entry in ENTRIES if entry.at_us >= since_us)


def test_dead_letters_that_wait_are_those_not_taken_up_again(store: SqliteStore) -> None:
    assert store.dead_waiting() == 0
    store.append(ENTRIES[:4])
    assert store.dead_waiting() == 1
    store.append(ENTRIES[4:])
    assert store.dead_waiting() == 0


def test_a_snapshot_is_measured_without_being_read(store: SqliteStore) -> None:
    assert store.snapshot_size() is None
    store.save_snapshot(7, b"12345", [])
    found = store.snapshot_size()
    assert found is not None
    assert found[0] == 7
    assert found[1] > 5
