"""`extrovert run`: an engine until it is told to stop, alone on its directory, that can be reached there."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from tests.e2e.command import Home, flights, records

F1, F2 = flights("F1", "F2").splitlines(keepends=True)
CANCELLED = records({"flight_id": "F1", "departs_at": "2026-01-01T12:00:00Z", "cancelled": True})
B1 = records({"booking_id": "B1", "flight_id": "F1"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_runs_and_stops_cleanly(home: Home, number: signal.Signals) -> None:
    with home.running() as run:
        assert run.greeting == "airline runs on .extrovert. Ctrl-C stops it."
        done = run.end(number)
    assert (done.code, done.out, done.err) == (0, "Stopped. The log of .extrovert ends at offset 0.\n", "")
    assert sorted(path.name for path in (home.path / ".extrovert").iterdir()) == [
        "lock",
        "log.sqlite",
        "snapshot.sqlite",
    ]


def test_the_app_finds_the_model_that_is_named(home: Home) -> None:
    with (home.path / "airline.py").open("a") as file:
        file.write('\nimport os\n\nwith open("asked", "w") as asked:\n    asked.write(os.environ["EXTROVERT_MODEL"])\n')
    with home.running("--model", "openai:gpt-5-mini"):
        assert (home.path / "asked").read_text() == "openai:gpt-5-mini"


def test_events_that_are_sent_to_it_wake_its_agents(home: Home) -> None:
    with home.running() as run:
        home("send", "flights", "-", given=F1 + F2)
        home("send", "bookings", "-", given=B1)
        home("send", "flights", "-", given=CANCELLED)
        assert run.line() == "told B1: you fly with F2"
        assert home("tables", "bookings", "--json").documents[0]["row"] == {"booking_id": "B1", "flight_id": "F2"}


def test_a_wake_of_the_time_when_nothing_ran_is_served_when_it_runs(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=F1 + F2)
    home("send", "bookings", "-", given=B1)
    home("send", "flights", "-", given=CANCELLED)
    assert home("decisions", "--json").documents == []
    with home.running() as run:
        assert run.line() == "told B1: you fly with F2"


def test_only_its_owner_can_reach_it(home: Home) -> None:
    with home.running():
        data = home.path / ".extrovert"
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "control.sock").stat().st_mode) == 0o600


def test_a_second_engine_on_the_same_directory_is_refused(home: Home) -> None:
    with home.running() as run:
        done = home("run", "airline.py")
        assert done.code == 1
        assert f"Another engine (process {run.process.pid}) has .extrovert. Stop it" in done.err
        assert "Traceback" not in done.err
        assert home("tables").code == 0


def test_after_a_kill_it_goes_on_with_all_that_was_acknowledged(home: Home) -> None:
    with home.running() as run:
        assert home("send", "flights", "-", given=F1 + F2).code == 0
        run.end(signal.SIGKILL)
        assert (home.path / ".extrovert" / "control.sock").exists()
        assert home("send", "bookings", "-", given=B1).code == 0  # a socket without an engine confuses nobody
    with home.running():
        rows = home("tables", "flights", "--json").documents
        assert [row["key"] for row in rows] == ["F1", "F2"]
        assert home("tables", "bookings", "B1").code == 0


def test_a_sender_learns_that_the_engine_went_away_and_what_is_durable(home: Home) -> None:
    with home.running() as run, home.opened("send", "flights", "-") as sender:
        assert sender.stdin is not None
        sender.stdin.write(F1)
        sender.stdin.flush()
        while not home("tables", "flights", "--json").documents:
            pass
        run.end(signal.SIGKILL)
        _, err = sender.communicate(F2, timeout=20)
        assert sender.returncode == 1
        assert "The engine stopped before it answered. Everything before line 2 is durable" in err


def test_the_path_of_the_data_may_be_longer_than_a_socket_allows(tmp_path: Path) -> None:
    home = Home(tmp_path / ("very-long-" * 12) / ("longer-still-" * 10))
    with home.running() as run:
        assert home("send", "flights", "-", given=F1).code == 0
        assert home("tables", "flights", "F1").code == 0
        assert run.end().code == 0


def test_a_directory_belongs_to_one_app(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=F1)
    (home.path / "hotel.py").write_text('from extrovert import App\napp = App("hotel")\n')
    done = home("run", "hotel.py")
    assert done.code == 2
    assert ".extrovert holds the state of app `airline`" in done.err
    assert "not of `hotel`. Name another directory with --data DIR." in done.err
    with home.running():
        done = home("tables", "--app", "hotel.py")
        assert (done.code, "runs app `airline`" in done.err) == (2, True)


def test_an_app_that_cannot_be_loaded_is_shown_where_it_is_wrong(home: Home) -> None:
    (home.path / "wrong.py").write_text('from extrovert import App\napp = App("wrong")\napp.table("t", int, key="x")\n')
    done = home("run", "wrong.py")
    assert done.code == 2
    assert done.err.startswith(f"Error: {home.path}/wrong.py:3: ")
    assert "Traceback" not in done.err
    assert home("run", "nowhere.py").err.startswith("Error: There is no file nowhere.py. An app is named as FILE[:app]")
