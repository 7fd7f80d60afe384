"""`extrovert sql`: any question about what is true now, whether the app runs or not, and no change."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import pytest

from tests.e2e.command import Home, flights, records

QUERY = "select count(*) as flights, sum(seats) as seats from flights"


def fill(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=flights("F1", "F2", "F3"))
    bookings = [{"booking_id": "B1", "flight_id": "F1"}, {"booking_id": "B2", "flight_id": "F2"}]
    home("send", "bookings", "-", "--app", "airline.py", given=records(*bookings))


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_tables_and_views_are_asked(home: Home, running: bool) -> None:
    with home.running() if running else nullcontext():
        fill(home)
        assert home("sql", QUERY).out.splitlines() == ["flights  seats", "      3      9"]
        (found,) = home(
            "sql", "from bookings join flights using (flight_id) order by 1 desc limit 1", "--json"
        ).documents
        assert (found["booking_id"], found["departs_at"]) == ("B2", "2026-01-01T12:00:00Z")
        assert home("sql", "select key from stranded", "--json").documents == []
        assert home("sql", "-", given=QUERY).out == home("sql", QUERY).out


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_the_ledger_is_asked_beside_the_tables(home: Home, running: bool) -> None:
    with home.running() if running else nullcontext():
        fill(home)
        home("send", "flights", "-", "--app", "airline.py", given="no flight")
        query = "select cause, stream from ledger_dead_letters where not retried"
        (letter,) = home("sql", query, "--json").documents
        assert letter["stream"] == "flights"
        assert home("sql", "describe ledger_decisions").out.split("\n")[1].split()[:2] == ["decision", "VARCHAR"]


def test_only_so_many_rows_are_shown_and_that_is_said(home: Home) -> None:
    fill(home)
    done = home("sql", "select flight_id from flights order by 1", "--limit", "2")
    assert done.out.splitlines() == ["flight_id", "F1", "F2", "The first 2 rows; for more: --limit, or --all"]
    done = home("sql", "select flight_id from flights order by 1", "--limit", "2", "--json")
    assert [row["flight_id"] for row in done.documents] == ["F1", "F2"]
    assert done.err == "The first 2 rows; for more: --limit, or --all\n"
    assert len(home("sql", "from range(5000)", "--all", "--json").documents) == 5000


def test_what_json_has_no_number_for_is_text(home: Home) -> None:
    fill(home)
    (found,) = home("sql", "select 10000000000000000000000000000000::hugeint as b, 0.5 as c", "--json").documents
    assert found["b"] == "10000000000000000000000000000000"
    assert float(found["c"]) == 0.5


def test_errors_are_told_without_a_traceback(home: Home) -> None:
    fill(home)
    done = home("sql", "from fligths")
    assert done.code == 2
    there = "Error: There is no table or view `fligths`. This app has: bookings, flights, gates, stranded. "
    assert done.err.startswith(there + "The ledger has: ledger_admissions, ledger_asks, ")
    done = home("sql", "delete from flights")
    assert (done.code, done.err) == (
        2,
        "Error: Tables are only read here: the statement must be a SELECT, and is DELETE.\n",
    )
    done = home("sql", "from read_text('airline.py')")
    assert (done.code, "file system operations are disabled" in done.err) == (2, True)
    done = home(
        "sql",
        "with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t",
        "--seconds",
        "0.2",
    )
    assert (done.code, done.err) == (1, "Error: The query was stopped: it took longer than 0.2 s.\n")
    assert "Traceback" not in done.err
    assert home("sql", QUERY).code == 0


def test_without_its_packages_it_says_how_to_install_them(home: Home) -> None:
    fill(home)
    hide = "import sys; sys.modules['pyarrow'] = None; from extrovert.surfaces.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hide, "sql", QUERY], capture_output=True, text=True, cwd=home.path, check=False
    )
    assert done.returncode == 1
    assert 'Install it with: pip install "extrovert[sql]"' in done.stderr
    assert "Traceback" not in done.stderr
