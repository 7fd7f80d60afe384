"""A log can be read while an engine writes it, and what is no log is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from extrovert import CorruptionError, ExtrovertError
from extrovert.core.log import Entry
from extrovert.stores.sqlite import SqliteStore


def ended(offset: int, turn: str) -> Entry:
    return Entry(offset, offset, "decided", 1, b"{}", about=(turn, turn.partition(":")[0], "k"))


def step(offset: int, *keys: str) -> Entry:
    moves = ",".join(f'{{"key":"{key}","state":"settled"}}' for key in keys)
    return Entry(offset, offset, "effects", 1, f'{{"kind":"effects","moves":[{moves}]}}'.encode())


def test_a_reader_sees_what_was_appended_and_writes_nothing(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "log.sqlite")
    reader = SqliteStore(tmp_path / "log.sqlite", read_only=True)
    writer.append([ended(1, "a:k@1")])
    assert reader.end() == 2
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.set_meta("app", "x")
    writer.close()
    assert [entry.offset for entry in reader.entries()] == [1]
    reader.close()


def test_a_file_that_is_not_a_log_yet_is_no_log_and_one_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ExtrovertError, match="is empty: somebody is about to make a log of it"):
        SqliteStore(tmp_path / "empty", read_only=True)
    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.close()
    before = (tmp_path / "foreign").read_bytes()
    with pytest.raises(CorruptionError, match="is not an Extrovert log: no such table: meta"):
        SqliteStore(tmp_path / "foreign", read_only=True)
    assert (tmp_path / "foreign").read_bytes() == before


def test_turns_are_found_by_the_beginning_of_their_names() -> None:
    store = SqliteStore(None)
    names = ["rebook:B1@5", "rebook:B1@9", "rebook:B12@7", "tell:B1@6", "rebook:Ü@8"]
    store.append([ended(number, name) for number, name in enumerate(names, start=1)])
    assert store.named("rebook:B1") == ["rebook:B12@7", "rebook:B1@5", "rebook:B1@9"]
    assert store.named("rebook:B1@") == ["rebook:B1@5", "rebook:B1@9"]
    assert store.named("rebook:Ü") == ["rebook:Ü@8"]
    assert store.named("rebook", limit=2) == ["rebook:B12@7", "rebook:B1@5"]
    assert store.named("x") == []
    store.close()


def test_the_steps_of_a_decisions_effects_are_found_after_it() -> None:
    store = SqliteStore(None)
    store.append([step(1, "a@1/0"), ended(2, "a@1"), step(3, "b@1/0"), step(4, "b@1/1", "a@1/0"), step(5, "a@11/0")])
    assert [entry.offset for entry in store.steps(b'"key":"a@1/', 2)] == [4]
    store.close()
