"""`extrovert dead-letters`: what was rejected or failed waits, visibly, until it is taken up again."""

from __future__ import annotations

from tests.e2e.command import AIRLINE, Home, flights, records

COMPLAINT = {"booking_id": "B1", "text": "late"}


def mend(home: Home) -> None:
    """From now on the airline has larger aeroplanes."""
    text = AIRLINE.read_text().replace(
        "seats: Annotated[int, Meta(ge=0, le=1000)]", "seats: Annotated[int, Meta(ge=0, le=5000)]"
    )
    (home.path / "airline.py").write_text(text)


def test_a_rejected_record_is_applied_when_the_app_is_mended(home: Home) -> None:
    bad = flights("F1").replace(":3", ":3000")
    home("send", "flights", "-", "--app", "airline.py", given=flights("F0") + bad)
    assert home("dead-letters").out.splitlines()[1].split()[:1] == ["2"]
    mend(home)
    done = home("dead-letters", "--retry")
    assert (done.code, done.out) == (0, "1 taken up again, 0 not.\n")
    assert home("dead-letters").out == "No dead letters.\n"
    (letter,) = home("dead-letters", "--all", "--json").documents
    assert (letter["offset"], letter["taken_up"], letter["line"]) == (2, 4, 2)
    assert home("tables", "flights", "F1", "--json").documents[0]["row"]["seats"] == 3000


def test_what_is_rejected_again_is_a_new_letter(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given='{"a": 1}\n{"b": 2}\n')
    done = home("dead-letters", "--retry", "2", "--json")
    assert done.code == 1
    assert done.documents == [{"offset": 2, "cause": "Object missing required field `flight_id`"}]
    found = home("dead-letters", "--json").documents
    assert [(letter["offset"], letter["raw"], letter["line"]) for letter in found] == [
        (1, '{"a": 1}', 1),
        (3, '{"b": 2}', 2),
    ]
    done = home("dead-letters", "--retry", "9")
    assert (done.code, done.err.startswith("Error: There is no dead letter at 9.")) == (1, True)


def test_a_failed_wake_is_due_again_with_the_events_that_it_had(home: Home) -> None:
    with home.running() as run:
        home("send", "complaints", "-", given=records(COMPLAINT))
        while not (found := home("dead-letters", "--json").documents):
            pass
        assert (found[0]["agent"], found[0]["key"], found[0]["cause"]) == (
            "answer",
            "B1",
            "failed: MissingRow: Table `bookings` has no row `B1` (read by agent `answer`, wake `complaints@1`). "
            "Use `bookings.get('B1')` if it may be absent.",
        )
        home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
        assert home("dead-letters", "--retry").code == 0
        assert run.line() == "told B1: about F1, sorry: late"
        assert home("dead-letters").out == "No dead letters.\n"


def test_a_failed_wake_that_is_taken_up_while_nothing_runs_is_served_later(home: Home) -> None:
    with home.running() as run:
        home("send", "complaints", "-", given=records(COMPLAINT))
        while not home("dead-letters", "--json").documents:
            pass
        run.end()
    home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
    assert home("dead-letters", "--retry").code == 0
    with home.running() as run:
        assert run.line() == "told B1: about F1, sorry: late"
