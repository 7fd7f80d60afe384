"""`extrovert why-not`: why an agent has not acted on a key, whether the app runs or not."""

from __future__ import annotations

from tests.e2e.command import Home, flights, records


def test_it_is_told_why_nothing_happens(home: Home) -> None:
    with home.running():
        home("send", "flights", "-", given=flights("F1", "F2"))
        home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
        told = home("why-not", "--app", "airline.py", "rebook", "B1").out.splitlines()
    assert told == [
        "rebook has nothing to do about B1",
        "  The view `stranded` gives None for it, and its parameter does not accept None.",
        "  It has had no turn about this key, as far as the log is kept.",
    ]
    (found,) = home("why-not", "--app", "airline.py", "rebook", "B9", "--json").documents
    assert found["state"] == "idle"
    assert found["because"][0] == "The table `bookings`, which view `stranded` is over, has no row `B9`."
    done = home("why-not", "--app", "airline.py", "rebok", "B1")
    assert (done.code, "has no agent `rebok`" in done.err) == (2, True)


def test_what_the_latest_turn_came_to_is_told(home: Home) -> None:
    with home.running():
        home("send", "complaints", "-", given=records({"booking_id": "B1", "text": "late"}))
        told = home("why-not", "--app", "airline.py", "answer", "B1").out.splitlines()
    assert told[0] == "answer has nothing to do about B1"
    assert told[2].startswith("  Its latest turn, answer:B1@1, ended as failed at ")
    assert told[2].endswith("See extrovert dead-letters.")
