"""`extrovert effects` and `extrovert settle`: what nobody else can know, a person says, whether the app runs or not."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.command import Home, flights, records

SLOW = "    await asyncio.sleep(60)\n    print(f"


def stopped_in_the_act(home: Home) -> str:
    """The engine is killed while it tells a passenger; the effect's key."""
    app = home.path / "airline.py"
    text = app.read_text()
    app.write_text(text.replace("    print(f", SLOW, 1).replace("from datetime", "import asyncio\nfrom datetime", 1))
    with home.running() as run:
        home("send", "flights", "-", given=flights("F1"))
        home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
        home("send", "complaints", "-", given=records({"booking_id": "B1", "text": "late"}))
        while not (found := home("effects", "--state", "performing", "--json").documents):
            pass
        run.end(signal.SIGKILL)
    app.write_text(text)
    return found[0]["key"]


@pytest.mark.parametrize("said", ["done", "not-done"])
def test_a_person_says_what_became_of_it(home: Home, said: str) -> None:
    key = stopped_in_the_act(home)
    with home.running() as run:
        (effect,) = home("effects", "--json").documents
        assert (effect["key"], effect["state"], effect["error"]) == (key, "unknown", "the engine stopped meanwhile")
        assert "waits for a person" in home("effects").out
        done = home("settle", key, "--as", said, "--by", "ann", "--because", "she rang")
        assert (done.code, done.out) == (0, f"{key} is {said}.\n")
        if said == "not-done":
            assert run.line() == "told B1: about F1, sorry: late"
        while home("effects").out != "No effects wait.\n":
            pass
    assert "she rang; so says ann" in home("explain", "answer:B1").out


def test_also_while_nothing_runs(home: Home) -> None:
    key = stopped_in_the_act(home)
    assert home("settle", key, "--as", "withdrawn").code == 0
    assert home("effects", "--state", "withdrawn", "--json").documents[0]["key"] == key
    assert home("effects", "--state", "unknown").out == "No effects are unknown.\n"


def test_wrong_use_is_said(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=flights("F1"))
    done = home("settle", "nobody/0", "--as", "done")
    assert done.code == 2
    assert done.err.startswith("Error: No effect `nobody/0` waits.")
    assert home("settle", "nobody/0", "--as", "done", "--outcome", "{").err.startswith("Error: --outcome is no JSON")
