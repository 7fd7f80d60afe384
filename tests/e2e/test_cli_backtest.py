"""`extrovert backtest`: other versions of an agent, played on what has happened, while the app runs or rests."""

from __future__ import annotations

import time
from typing import Any

from tests.e2e.command import AIRLINE, PATIENCE_S, Home, flights, records

CAREFUL = """

@app.policy
def last_flight(options: str) -> Rebooking:
    return Rebooking(options.split()[-1])
"""


def stormy(home: Home) -> None:
    """Two passengers of a cancelled flight are rebooked to the first of two others."""
    with (home.path / "airline.py").open("a") as file:
        file.write(CAREFUL)
    with home.running():
        home("send", "flights", "-", given=flights("F1", "F2", "F3"))
        bookings = [{"booking_id": name, "flight_id": "F1"} for name in ("B1", "B2")]
        home("send", "bookings", "-", given=records(*bookings))
        cancelled = {"flight_id": "F1", "departs_at": "2026-01-01T12:00:00Z", "cancelled": True}
        home("send", "flights", "-", given=records(cancelled))
        until = time.monotonic() + PATIENCE_S
        while len(home("decisions", "--json").documents) < 2:
            assert time.monotonic() < until
        found = wakes(home("backtest", "airline.py", "--agent", "rebook", "--json").documents)
        assert [one["differs"] for one in found] == [[], []], "while the app runs"


def wakes(documents: list[Any]) -> list[Any]:
    return [one for one in documents if one["kind"] == "wake"]


def test_versions_are_shown_side_by_side(home: Home) -> None:
    stormy(home)
    told = home("tables", "bookings", "--json").out
    new = home.path / "new"
    new.mkdir()
    text = AIRLINE.read_text().replace('f"you fly with {choice.flight_id}"', '"sorry"')
    (new / "airline.py").write_text(text)
    words = ("backtest", "airline.py", "--agent", "rebook", "--policy", "last_flight", "--with", "new/airline.py")
    done = home(*words)
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["wake", "at", "(UTC)", "what", "recorded", "policy", "last_flight", "new/airline.py"]
    assert lines[1][3:] == ["bookings/B1", *['{"flight_id":"F2"}', '{"flight_id":"F3"}', '{"flight_id":"F2"}']]
    assert '["B1","sorry"]' in done.out
    assert ["wakes", "2", "2", "2"] in lines
    assert ["in", "writes", "2", "0"] in lines
    assert ["in", "effects", "2", "2"] in lines
    found = home(*words, "--json").documents
    assert [(one["turn"].split("@")[0], one["version"], one["differs"]) for one in wakes(found)] == [
        ("rebook:B1", "policy last_flight", ["writes", "effects"]),
        ("rebook:B1", "new/airline.py", ["effects"]),
        ("rebook:B2", "policy last_flight", ["writes", "effects"]),
        ("rebook:B2", "new/airline.py", ["effects"]),
    ]
    assert [(one["kind"], one["version"], one["differ"]) for one in found[4:]] == [
        ("totals", "policy last_flight", 2),
        ("totals", "new/airline.py", 2),
    ]
    assert home("tables", "bookings", "--json").out == told


def test_wrong_use_is_said(home: Home) -> None:
    assert "There is no log in" in home("backtest", "airline.py", "--agent", "rebook").err
    stormy(home)
    done = home("backtest", "airline.py", "--agent", "rebok")
    assert (done.code, "has no agent `rebok`. It has: `rebook`, `answer`" in done.err) == (2, True)
    done = home("backtest", "airline.py", "--agent", "rebook", "--since", "yesterday")
    assert (done.code, "--since yesterday: that is no time such as" in done.err) == (2, True)
    (home.path / "broken.py").write_text("from extrovert import App\napp = App('airline')\n")
    done = home("backtest", "airline.py", "--agent", "rebook", "--with", "broken.py")
    assert done.code == 1
    assert "App `airline` has no agent `rebook`. It has: none." in done.err
    assert "The version in broken.py could not be played" in done.err
    done = home("backtest", "airline.py", "--agent", "rebook", "--since", "2200-01-01")
    assert (done.code, done.out) == (0, "No wakes in that span.\n")
