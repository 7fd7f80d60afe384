"""`docs/log.md` describes all that the log holds and nothing else, and its queries run."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.hosts import Host, Rule
from tests.spec.airline import Booking, Choice, Flight, Rebooking

from extrovert import App, Turn
from extrovert.core import admitted, asked, corrected, heard, log
from extrovert.stores.sqlite import FORMAT, SqliteStore

PAGE = (Path(__file__).parents[2] / "docs" / "log.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^### (\w+)$(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
STRUCTS: dict[str, type[msgspec.Struct]] = {
    name: kind
    for name, kind in vars(log).items()
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and kind.__module__ in (log.__name__, admitted.__name__, asked.__name__, corrected.__name__, heard.__name__)
    and name[0] != "_"
}


def described(section: str) -> dict[str, str | None]:
    """The fields of a section's table, with their defaults as JSON where it has such a column (empty: none)."""
    rows = [line.strip("|").split("|") for line in SECTIONS[section].splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): row[1].strip(" `") if len(row) > 2 else None for row in rows}


def test_the_structs_are_found() -> None:
    assert {"Decided", "ReadNote", "Entry"} <= STRUCTS.keys()


def test_every_struct_of_the_log_has_its_section_and_no_other_has() -> None:
    assert sorted(SECTIONS) == sorted(STRUCTS)


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_field_is_described_and_no_other_is(struct: str) -> None:
    assert sorted(described(struct)) == sorted(STRUCTS[struct].__struct_fields__)


@pytest.mark.parametrize("struct", sorted(STRUCTS.keys() - {"Entry"}))
def test_every_default_is_given(struct: str) -> None:
    fields = msgspec.structs.fields(STRUCTS[struct])
    defaults = {field.name: "" if field.required else default_of(field) for field in fields}
    assert {name: default or "" for name, default in described(struct).items()} == defaults


def default_of(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default  # pyright: ignore[reportCallIssue]
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else msgspec.json.encode(value).decode()


@pytest.mark.parametrize("struct", [struct for struct in STRUCTS.values() if struct.__struct_config__.tag])
def test_every_kind_of_entry_is_named(struct: type[msgspec.Struct]) -> None:
    tag = struct.__struct_config__.tag
    assert f"`kind` is `{tag}`" in SECTIONS[struct.__name__]
    assert f"`{tag}`" in SECTIONS["Entry"]


def test_every_table_and_column_of_the_file_is_described(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "log.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {table: [row[1] for row in file.execute(f"PRAGMA table_info({table})")] for table in tables}
    assert f"`format` is the format of this file, `{FORMAT}`" in PAGE
    assert sorted(columns.pop("log")) == sorted(described("Entry").keys() - {"about"})
    for table, names in columns.items():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{table}` |"))
        assert [name for name in names if f"`{name}`" not in line] == []


# ---- a log to look at

app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.booking_id)
moved = app.stream("moved", Booking, key=Booking.booking_id)
to_ohare = flights.index(Flight.destination)
placed = app.table("placed", Booking, key=Booking.booking_id)


@app.effect
async def write_to(customer_id: str) -> None:
    """Reaches nobody."""


@app.policy
def first(choice: Choice) -> Rebooking:
    return Rebooking(choice.options[0])


@app.agent(wakes_on=bookings, model=first)
async def rebook(turn: Turn, booking: Booking) -> None:
    options = [flight.flight_id for flight in to_ohare["ORD"] if not flight.cancelled]
    choice = await turn.ask(Choice(booking.booking_id, options), output=Rebooking)
    turn.put(placed, booking.but(flight_id=choice.flight_id))
    turn.emit(moved, booking)
    turn.emit(moved, booking)
    turn.effect(write_to, booking.customer_id)


async def logged(path: Path) -> Host:
    """A turn that ran again, since a flight was cancelled while it waited."""
    host = Host(app, path, {"policy:first": Rule(first, timedelta(seconds=1))})
    host.hand_in(flights, Flight("F1"), Flight("F2"))
    host.hand_in(bookings, Booking("B1", "F0"))
    await host.advance(0.5)
    await host.send(flights, Flight("F1", cancelled=True))
    return host


async def test_offsets_and_versions_are_as_described(tmp_path: Path) -> None:
    host = await logged(tmp_path / "log.sqlite")
    entries, expected = host.entries(), 1
    for entry in entries:
        assert entry.offset == expected
        expected += entry.count
    decision = host.decisions()[0]
    offset = next(entry.offset for entry in entries if entry.kind == "decided")
    assert host.fold.context.tables["flights"].versions == {"F1": 5, "F2": 2}
    assert host.fold.context.tables["placed"].versions == {"B1": offset}
    assert len(decision.emits) == 2
    assert next(entry.offset for entry in entries if entry.offset > offset) == offset + 1 + 2
    assert [(note.kind, note.of, note.at, note.version) for note in decision.reads] == [
        ("row", "bookings", "B1", 3),
        ("index", "flights.destination", "ORD", 5),
    ]
    await host.stop()


async def test_the_queries_run(tmp_path: Path) -> None:
    await (await logged(tmp_path / "log.sqlite")).stop()
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as file:
        decided, changed, steps = ([*file.execute(query)] for query in QUERIES)
    wrote: list[Any] = msgspec.json.decode(decided[0][2])
    assert [one["row"]["flight_id"] for one in wrote] == ["F2"]
    assert changed == [("flights.destination/ORD", 1)]
    assert [(key, state) for key, state, _ in steps] == [("rebook:B1@3/0", "settled")]
