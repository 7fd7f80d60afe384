"""Files are read in batches with positions: each record once, bad ones with lines, changes noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Csv, DeclarationError, Lines, MissingExtra, Parquet, Record
from extrovert.connectors import csv as csv_file
from extrovert.connectors import lines as lines_file
from extrovert.connectors import parquet as parquet_file
from extrovert.connectors.files import Files
from extrovert.core.event import Batch

pa: Any = import_module("pyarrow")
pq: Any = import_module("pyarrow.parquet")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Reading(Record):
    sensor: str
    value: float
    taken_at: datetime | None = None
    note: str | None = None
    count: int = 7
    good: bool = True


app = App("plant")
readings = app.stream("readings", Reading, key=Reading.sensor)


def drained(source: Files, position: Any = None) -> tuple[list[bytes], list[tuple[int | None, str]], Any]:
    """All lines of the source after a position, what was no line, and the position then."""
    lines: list[bytes] = []
    spoilt: list[tuple[int | None, str]] = []
    while (batch := source.read(position)) is not None:
        lines += [line for line in batch.text.split(b"\n") if line]
        spoilt += [(one.line, one.cause) for one in batch.spoilt]
        position = batch.position
    return lines, spoilt, position


def one(source: Files) -> Batch:
    batch = source.read(None)
    assert batch is not None
    return batch


# ---- lines


def test_a_file_of_lines_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n\n3")
    source = Lines(path, readings)
    lines, _, position = drained(source)
    assert lines == [b"1", b"2", b"3"]
    assert (position["at"], position["line"]) == (6, 4)
    assert drained(source, position)[0] == []


def test_a_partial_last_line_waits_for_its_line_break_when_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2")
    source = Lines(path, readings, follow=True)
    lines, _, position = drained(source)
    assert lines == [b"1"]
    path.write_bytes(b"1\n23\n")
    assert drained(source, position)[0] == [b"23"]


def test_a_line_that_is_longer_than_a_block_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n" + b"x" * (lines_file.CHUNK * 2) + b"\n3\n")
    assert [len(line) for line in drained(Lines(path, readings))[0]] == [1, lines_file.CHUNK * 2, 1]


def test_a_line_without_measure_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_file, "CHUNK", 10)
    monkeypatch.setattr(lines_file, "LONGEST", 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n" + b"x" * 50 + b"\n3\n")
    lines, spoilt, _ = drained(Lines(path, readings))
    assert lines == [b"1", b"3"]
    assert spoilt == [(2, "the line is 51 bytes long; its first 1,024 are kept")]


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf1\n")
    assert drained(Lines(path, readings))[0] == [b"1"]


@pytest.mark.parametrize(
    ("now", "why"),
    [(b"9\n", "it has 2 bytes, and 4 had been read"), (b"7\n8\n9\n", "it begins otherwise")],
)
def test_a_file_that_was_truncated_or_replaced_is_read_anew_and_that_is_said(
    tmp_path: Path, now: bytes, why: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n")
    source = Lines(path, readings, follow=True)
    position = drained(source)[2]
    path.write_bytes(now)
    lines, spoilt, _ = drained(source, position)
    assert lines == now.split()
    assert spoilt == [(None, f"`a.jsonl` was truncated or replaced ({why}): it is read from its start")]


def test_a_file_that_was_renamed_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    source = Lines(path, readings, follow=True)
    position = drained(source)[2]
    with path.open("ab") as file:
        path.rename(tmp_path / "a.jsonl.1")
        assert source.read(position) is None
        file.write(b"2\n3")
    path.write_bytes(b"4\n")
    lines, spoilt, position = drained(source, position)
    assert lines == [b"2", b"3", b"4"]
    why = "it is another file; what was there before has been read to its end"
    assert spoilt == [(None, f"`a.jsonl` was truncated or replaced ({why}): it is read from its start")]


def test_a_file_that_was_written_anew_with_more_in_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    source = Lines(path, readings, follow=True)
    position = drained(source)[2]
    (tmp_path / "new").write_bytes(b"1\n2\n")
    (tmp_path / "new").rename(path)
    assert drained(source, position)[:2] == ([b"2"], [])


def test_a_file_that_is_not_there_is_waited_for_or_said(tmp_path: Path) -> None:
    assert Lines(tmp_path / "a", readings, follow=True).read(None) is None
    with pytest.raises(FileNotFoundError, match="there is nothing at"):
        Lines(tmp_path / "a", readings).read(None)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(max_size=30), max_size=12), chunk=st.integers(1, 40))
def test_however_a_file_grows_each_line_comes_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("grow") / "a.jsonl"
    source, position, found = Lines(path, readings, follow=True), None, list[bytes]()
    with pytest.MonkeyPatch.context() as patch, path.open("ab") as file:
        patch.setattr(lines_file, "CHUNK", chunk)
        for piece in [*pieces, b"\n"]:
            file.write(piece)
            file.flush()
            lines, spoilt, position = drained(source, position)
            assert spoilt == []
            found += lines
    expected = (b"".join(pieces) + b"\n").removeprefix(b"\xef\xbb\xbf")
    assert found == [line for line in expected.split(b"\n") if line]


# ---- directories


def test_the_files_of_a_directory_come_in_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", ".hidden.jsonl", "c.tmp"):
        (tmp_path / name).write_text(name[0])
    source = Lines(tmp_path, readings, follow=True)
    lines, _, position = drained(source)
    assert lines == [b"a"]  # the last line of the last file may not be whole
    (tmp_path / "c.jsonl").write_text("c\n")
    lines, _, position = drained(source, position)
    assert lines == [b"b", b"c"]
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "c.jsonl").unlink()
    assert drained(source, position)[0] == []
    assert drained(Lines(tmp_path, readings, pattern="*.tmp"))[0] == [b"c"]


def test_a_bad_line_in_a_directory_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("1\n")
    assert one(Lines(tmp_path, readings, name="north")).where == "north/a.jsonl"


# ---- comma-separated values


def test_cells_become_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeffvalue,sensor,note,taken_at,count,good,other\r\n"
        '1.5,A,"say ""hi"", twice",2026-01-01T12:00:00Z,3,false,x\r\n'
        "2,B,,,,true,\r\n",
        newline="",
    )
    assert drained(Csv(path, readings))[:2] == (
        [
            b'{"sensor":"A","value":1.5,"taken_at":"2026-01-01T12:00:00Z","note":"say \\"hi\\", twice","count":3,'
            b'"good":false}',
            b'{"sensor":"B","value":2.0,"taken_at":null,"note":null,"count":7,"good":true}',
        ],
        [],
    )


def test_bad_rows_come_with_their_lines_also_after_rows_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'sensor,value,note\nA,1,"two\nlines"\nB,no,\n\nC,2\n\xff,1,\nD,3,"\n')
    batch = one(Csv(path, readings))
    assert [(one.line, one.cause) for one in batch.spoilt][:2] == [
        (4, "Expected `float`, got `str` - at `$.value`"),
        (6, "the row has 2 cells, and there are 3 columns"),
    ]
    assert "utf-8" in batch.spoilt[2].cause
    assert batch.line == 2
    assert [bool(line) for line in batch.text.split(b"\n")] == [True, False, False, False, False, False]
    assert drained(Csv(path, readings))[1][3] == (8, "unexpected end of data")


def test_a_table_that_grows_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"sensor,va")
    source = Csv(path, readings, follow=True)
    assert source.read(None) is None
    path.write_bytes(b'sensor;value;note\nA;1;"be')
    source = Csv(path, readings, follow=True, delimiter=";")
    assert source.read(None) is None
    path.write_bytes(b'sensor;value;note\nA;1;"begun\nand ended"\nB;2')
    lines, _, position = drained(source)
    assert len(lines) == 1
    path.write_bytes(b'sensor;value;note\nA;1;"begun\nand ended"\nB;2;\n')
    assert [b'"B"' in line for line in drained(source, position)[0]] == [True]


def test_a_file_without_a_column_that_is_needed_is_said_to_be_so_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sensor,wert\n" + "A,1\n" * 50)
    assert drained(Csv(path, readings))[:2] == (
        [],
        [(1, "`a.csv` has no column `value`; its columns are: sensor, wert")],
    )


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (b"sensor,value,note,note\n", "`a.csv` has more than one column `note`; its columns are: "),
        ("sensor,value\n".encode("utf-16"), "`a.csv` does not begin with the names of columns: 'utf-8' codec"),
        (b"sensor,value,\xff\n", "`a.csv` does not begin with the names of columns: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_cannot_be_meant_is_said_to_be_so_once_and_the_next_one_is_read(
    tmp_path: Path, head: bytes, cause: str
) -> None:
    (tmp_path / "a.csv").write_bytes(head + b"A,1,x,y\n" * 50)
    (tmp_path / "b.csv").write_text("sensor,value\nB,2\n")
    lines, spoilt, _ = drained(Csv(tmp_path, readings))
    assert [(line, text[: len(cause)]) for line, text in spoilt] == [(1, cause)]
    assert len(lines) == 1


@settings(max_examples=60, deadline=None)
@given(
    notes=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), max_size=8),
    cut=st.integers(0, 200),
)
def test_what_a_writer_of_csv_writes_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, notes: list[str], cut: int
) -> None:
    import csv
    from io import StringIO

    import msgspec

    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([["sensor", "value", "note"], *([f"S{number}", 1, note] for number, note in enumerate(notes))])
    raw = text.getvalue().encode()
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    source = Csv(path, readings, follow=True)
    path.write_bytes(raw[:cut])
    first, bad, position = drained(source)
    path.write_bytes(raw)
    second, worse, _ = drained(source, position)
    found = [msgspec.json.decode(line, type=Reading).note for line in first + second]
    assert (found, bad + worse) == ([note or None for note in notes], [])


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "CHUNK", 60)
    path = tmp_path / "a.csv"
    path.write_text('sensor,value\nA,"1\n' + "B,2\n" * 30)
    lines, spoilt, _ = drained(Csv(path, readings, follow=True))
    assert (len(lines), [line for line, _ in spoilt]) == (30, [2])


# ---- Parquet


def test_columns_become_fields_with_their_types(tmp_path: Path) -> None:
    class Kinds(Record):
        id: int
        price: Decimal
        at: datetime
        day: str
        tags: list[str]
        maybe: int | None
        raw: bytes
        left_out: int = 5

    kinds = App("x").stream("kinds", Kinds, key="id")
    table = pa.table(
        {
            "id": [1],
            "price": pa.array([Decimal("1.50")]),
            "at": pa.array([NOON], pa.timestamp("ns", tz="UTC")),
            "day": pa.array([NOON.date()]),
            "tags": [["a", "b"]],
            "maybe": pa.array([None], pa.int64()),
            "raw": [b"\0\xff"],
            "left_out": pa.array([None], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    import msgspec

    lines, spoilt, _ = drained(Parquet(tmp_path / "a.parquet", kinds))
    assert spoilt == []
    assert msgspec.json.decode(lines[0], type=Kinds) == Kinds(
        1, Decimal("1.50"), NOON, "2026-01-01", ["a", "b"], None, b"\0\xff"
    )


@pytest.mark.parametrize("after", [0, 1, 9, 10, 11, 25, 30])
def test_a_parquet_file_is_read_on_after_any_row(tmp_path: Path, after: int) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"sensor": f"S{number}", "value": 1.0} for number in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=10)
    lines, _, position = drained(Parquet(path, readings), {"file": "a.parquet", "at": after, "line": after})
    assert [line.split(b'"')[3] for line in lines] == [f"S{number}".encode() for number in range(after, 30)]
    assert position["at"] == 30


def test_a_parquet_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"sensor": "A", "value": 1.0}])
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and more")
    source = Parquet(tmp_path, readings, follow=True)
    assert source.read(None) is None
    pq.write_table(table, tmp_path / "a.parquet")
    lines, _, position = drained(source)
    assert len(lines) == 1
    (tmp_path / "b.parquet").write_bytes(b"no")
    pq.write_table(table, tmp_path / "c.parquet")
    lines, spoilt, _ = drained(source, position)
    assert len(lines) == 1
    assert "`b.parquet` cannot be read as Parquet after row 0" in spoilt[0][1]


@pytest.mark.parametrize("follow", [True, False])
def test_a_parquet_file_with_spoilt_pages_is_said_to_be_so_and_the_next_one_is_read(
    tmp_path: Path, follow: bool
) -> None:
    table = pa.Table.from_pylist([{"sensor": f"sensor {n * n}", "value": float(n)} for n in range(2_000)])
    pq.write_table(table, tmp_path / "a.parquet")
    raw = bytearray((tmp_path / "a.parquet").read_bytes())
    raw[1_000:1_400] = bytes(byte ^ 0x5A for byte in raw[1_000:1_400])
    (tmp_path / "a.parquet").write_bytes(raw)
    pq.write_table(table.slice(0, 1), tmp_path / "b.parquet")
    lines, spoilt, _ = drained(Parquet(tmp_path, readings, follow=follow))
    assert [cause[:48] for _, cause in spoilt] == ["`a.parquet` cannot be read as Parquet after row "]
    assert len(lines) == 1


def test_without_pyarrow_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(parquet_file, "find_spec", find_nothing)
    with pytest.raises(MissingExtra, match=r'pip install "extrovert\[parquet\]"'):
        Parquet("a.parquet", readings)


# ---- declarations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 2.0}, "by the times in the field at="),
        ({"speed": -1.0, "at": "taken_at"}, "a number above 0"),
        ({"speed": 2.0, "at": "taken_at", "follow": True}, "what is followed comes as it comes"),
        ({"at": "when"}, "has no field `when`"),
        ({"every": timedelta(0)}, "must be longer than nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Lines("a.jsonl", readings, **options)
