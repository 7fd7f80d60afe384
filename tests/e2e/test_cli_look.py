"""`extrovert tables`, `decisions` and `explain`: what is true now, what was decided, and why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Home, flights, records

CANCELLED = records({"flight_id": "F1", "departs_at": "2026-01-01T12:00:00Z", "cancelled": True})


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An airline that has rebooked B1 and B2, and has stopped. It is only looked at."""
    home = Home(tmp_path_factory.mktemp("flown"))
    home("send", "flights", "-", "--app", "airline.py", given=flights("F1", "F2"))
    home("send", "bookings", "-", given=records(*({"booking_id": key, "flight_id": "F1"} for key in ("B1", "B2"))))
    home("send", "flights", "-", given=CANCELLED)
    with home.running() as run:
        run.line()
        run.line()
        run.end()
    return home


MAKES_ROWS = """

class Taken(Record):
    number: int
    flight_id: str


@app.view(over=bookings, key=Taken.number)
def taken(booking: Booking) -> list[Taken]:
    return [Taken(int(booking.booking_id.removeprefix("B")), booking.flight_id)]
"""


def test_the_tables_their_rows_and_one_row(flown: Home) -> None:
    lines = flown("tables", "--json").documents
    found = {line["table"]: line for line in lines if "table" in line}
    assert {name: line["rows"] for name, line in found.items()} == {"flights": 2, "bookings": 2, "gates": 0}
    assert found["gates"] == {"table": "gates", "key": "number", "rows": 0, "stream": "gates", "written_by": "turns"}
    rows = flown("tables", "flights", "--limit", "1")
    assert rows.out.splitlines()[0].split() == ["key", "version", "row"]
    assert rows.out.splitlines()[1].split()[:2] == ["F1", "@5"]
    assert rows.out.splitlines()[2] == "1 of 2 rows; for more: --limit, or --all"
    row = flown("tables", "flights", "F1")
    assert row.out.splitlines()[0] == "flights/F1, version @5"
    assert 'flight_id   "F1"' in row.out


def test_the_rows_that_a_view_makes_and_what_is_wrong_with_them(home: Home) -> None:
    with (home.path / "airline.py").open("a") as file:
        file.write(MAKES_ROWS)
    bookings = [{"booking_id": key, "flight_id": f"F{key[1]}"} for key in ("B1", "B2", "X3")]
    home("send", "bookings", "-", "--app", "airline.py", given=records(*bookings))
    tables = {line.get("table", line.get("view")): line for line in home("tables", "--json").documents}
    assert tables["taken"]["values"] == 2  # of the view; it has the name of the table that it makes
    rows = home("tables", "taken", "--json").documents
    assert [(row["key"], row["row"], row.get("cause")) for row in rows] == [
        (1, {"number": 1, "flight_id": "F1"}, None),
        (2, {"number": 2, "flight_id": "F2"}, None),
        ("bookings/X3", None, "ValueError: invalid literal for int() with base 10: 'X3'"),
    ]
    assert home("tables", "taken", "2", "--json").documents[0]["row"] == {"number": 2, "flight_id": "F2"}
    found = home("sql", "select flight_id from taken where number > 1", "--json").documents
    assert found == [{"flight_id": "F2"}]
    assert "taken" in home("inspect").out


def test_the_views_their_values_and_who_is_in_quarantine(home: Home) -> None:
    text = (home.path / "airline.py").read_text()
    raising = 'if booking.booking_id == "B2":\n        raise ValueError("no such passenger")\n    flight = flights.get('
    (home.path / "airline.py").write_text(text.replace("flight = flights.get(", raising))
    bookings = [{"booking_id": key, "flight_id": "F1"} for key in ("B1", "B2", "B3")]
    home("send", "flights", "-", "--app", "airline.py", given=CANCELLED)
    home("send", "bookings", "-", given=records(*bookings))
    found = home("tables", "--json").documents[-1]
    assert found == {"view": "stranded", "over": "bookings", "values": 2, "quarantined": 1}
    assert home("tables").out.splitlines()[-1].split() == ["stranded", "bookings", "2", "1"]
    values = home("tables", "stranded", "--json").documents
    assert values == [
        {"key": "B1", "version": 4, "row": bookings[0]},
        {"key": "B3", "version": 4, "row": bookings[2]},
        {"key": "B2", "version": 0, "row": None, "cause": "ValueError: no such passenger"},
    ]
    told = home("tables", "stranded", "--limit", "1").out.splitlines()
    assert told[1].split() == ["B1", "@4", '{"booking_id":"B1","flight_id":"F1"}']
    assert told[2] == "1 of 2 rows; for more: --limit, or --all"
    assert told[-1].split() == ["B2", "ValueError:", "no", "such", "passenger"]
    assert home("tables", "stranded", "B1").out.splitlines()[0] == "stranded/B1, version @4"
    assert home("tables", "stranded", "B2").out == "stranded/B2 is in quarantine: ValueError: no such passenger\n"
    done = home("tables", "stranded", "B9")
    assert (done.code, done.err.startswith("Error: `stranded` has no row `B9`.")) == (1, True)


def test_a_table_with_numbers_as_keys_is_asked_with_numbers(home: Home) -> None:
    home("send", "gates", "-", "--app", "airline.py", given=records({"number": 12, "open": True}, {"number": 7}))
    assert [row["key"] for row in home("tables", "gates", "--json").documents] == [7, 12]
    assert home("tables", "gates", "12", "--json").documents[0]["row"] == {"number": 12, "open": True}
    done = home("tables", "gates", "twelve")
    assert done.code == 2
    assert done.err == "Error: `twelve` is no key of table `gates`: `number`: Expected `int`, got `str`.\n"


def test_an_unknown_table_or_row_is_named(home: Home) -> None:
    done = home("tables", "fligths", "--app", "airline.py")
    assert (done.code, done.err) == (
        2,
        "Error: There is no table or view `fligths`. This app has: bookings, flights, gates, stranded.\n",
    )
    done = home("tables", "flights", "F9")
    assert done.code == 1
    assert done.err.startswith("Error: `flights` has no row `F9`.")


def test_decisions_are_listed_newest_first(flown: Home) -> None:
    found = flown("decisions", "--json").documents
    assert {line["id"]: line["outcome"] for line in found} == {"rebook:B1@5": "decided", "rebook:B2@5": "decided"}
    assert [line["offset"] for line in found] == sorted((line["offset"] for line in found), reverse=True)
    assert [line["key"] for line in flown("decisions", "--agent", "rebook", "--key", "B2", "--json").documents] == [
        "B2"
    ]
    assert "Only the latest 1; for more: --limit" in flown("decisions", "--limit", "1").out


def test_a_decision_is_explained_from_its_wake_to_its_effects(flown: Home) -> None:
    told = flown("explain", "rebook:B1").out
    lines = [line.split() for line in told.splitlines()]
    assert lines[0] == ["rebook:B1@5"]
    assert "a change of stranded at @5" in told
    assert "asked policy:next_flight about" in told
    assert 'answered after 0 ms: {"flight_id":"F2"}' in told
    assert 'bookings/B1  {"booking_id":"B1","flight_id":"F2"}' in told
    assert 'tell ["B1","you fly with F2"]  settled' in told
    (story,) = flown("explain", "rebook:B1@5", "--json").documents
    reads = {(read["kind"], read["of"], read["at"]): read for read in story["reads"]}
    assert reads["table", "flights", None]["version"] == 5
    assert reads["view", "stranded", "B1"]["change"]["by"] == "event on `flights`"
    assert reads["view", "stranded", "B1"]["age_ms"] > 0
    assert [step["state"] for step in story["effects"][0]["steps"]] == ["performing", "settled"]


def test_an_id_can_be_cut_short_while_it_is_clear(flown: Home) -> None:
    assert flown("explain", "rebook:B2", "--json").documents[0]["id"] == "rebook:B2@5"
    done = flown("explain", "reb")
    assert done.code == 1
    assert done.err == "Error: `reb` begins more than one id: rebook:B1@5, rebook:B2@5. Give more of it.\n"
    done = flown("explain", "rebook:B9")
    assert done.code == 1
    assert done.err.startswith("Error: No decision is called `rebook:B9`.")


def test_the_ledger_is_read_without_the_app(flown: Home, tmp_path: Path) -> None:
    away = Home(tmp_path / "away")
    shutil.copytree(flown.path / ".extrovert", away.path / ".extrovert")
    (away.path / "airline.py").rename(away.path / "airways.py")
    shutil.move(flown.path / "airline.py", flown.path / "hidden.py")
    try:
        assert away("explain", "rebook:B1").out.startswith("rebook:B1@5\n")
        assert away("dead-letters").out == "No dead letters.\n"
        done = away("tables")
        assert done.code == 2
        assert "which is not there any more. Say where it is now: --app FILE[:app]." in done.err
        assert away("tables", "flights", "F1", "--app", "airways.py").code == 0
    finally:
        shutil.move(flown.path / "hidden.py", flown.path / "airline.py")
