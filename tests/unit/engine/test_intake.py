"""Intake: lines and typed records become entries; what is bad is told with its place."""

from __future__ import annotations

import msgspec
import pytest

from extrovert import App, Arrival, Record
from extrovert.core.log import Events
from extrovert.engine.intake import Intake, Report, dead_letter
from extrovert.engine.shard import Options, Shard


class Row(Record):
    key: str
    number: int = 0


class Count(Record):
    number: int


@pytest.fixture
def intake() -> Intake:
    app = App("app")
    app.table("rows", Row, key=Row.key)
    app.table("counts", Count, key=Count.number)
    return Intake(Shard(app.declared().fold(), Options()))


def bodies(intake: Intake) -> list[tuple[str, int, bytes]]:
    return [(entry.kind, entry.count, entry.body) for entry in intake.shard.unwritten]


def test_good_lines_are_one_entry_as_they_came(intake: Intake) -> None:
    report = intake.lines("rows", b'{"key":"a" }\n{"number":2,"key":"b"}\n', source="desk")
    assert report == Report(2, [])
    assert bodies(intake) == [
        ("events", 2, b'{"kind":"events","stream":"rows","source":"desk","data":[{"key":"a" },{"number":2,"key":"b"}]}')
    ]


def test_an_entry_of_lines_reads_back(intake: Intake) -> None:
    intake.lines("rows", '{"key":"ä\\u2028"}\r\n{"key":"b"}'.encode())
    body = msgspec.json.decode(intake.shard.unwritten[0].body, type=Events)
    assert [msgspec.json.decode(raw, type=Row).key for raw in body.data] == ["ä\u2028", "b"]


def test_nothing_is_no_entry(intake: Intake) -> None:
    assert intake.lines("rows", b"") == intake.lines("rows", b"\n \n") == Report(0, [])
    assert bodies(intake) == []


def test_numbers_of_lines_go_on_from_the_first(intake: Intake) -> None:
    report = intake.lines("rows", b"no\n" + b'{"key":"a"}\n' + b"no", first_line=41)
    assert [line for line, _ in report.rejected] == [41, 43]


def test_a_whole_number_is_a_key_too(intake: Intake) -> None:
    assert intake.lines("counts", b'{"number":-7}\n{"number":0}').accepted == 2
    assert intake.lines("counts", b'{"number":true}').accepted == 0


def test_reports_add_up() -> None:
    report = Report(1, [(1, "no")])
    report.add(Report(2, [(5, "nor")]))
    assert report == Report(3, [(1, "no"), (5, "nor")])


def test_arrivals_of_several_streams_become_entries_with_the_position_after_each(intake: Intake) -> None:
    arrivals = [
        Arrival(0, "rows", Row("a")),
        Arrival(0, "rows", None, "b"),
        Arrival(0, "counts", Count(1)),
        Arrival(0, "rows", Row("c")),
    ]
    report = intake.arrivals("desk", arrivals, 14)
    assert report.accepted == 4
    found = [msgspec.json.decode(body, type=Events) for _, _, body in bodies(intake)]
    assert [(one.stream, one.position, one.keys) for one in found] == [
        ("rows", 12, ["a", "b"]),
        ("counts", 13, None),
        ("rows", 14, None),
    ]


def test_a_dead_letter_keeps_whatever_came() -> None:
    assert dead_letter("rows", b"text", "no").raw == "text"
    kept = dead_letter("rows", b"\xff\x00", "no", line=3)
    assert (kept.raw, kept.encoding, kept.line) == ("/wA=", "base64", 3)
