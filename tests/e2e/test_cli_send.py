"""`extrovert send`: each line is taken or kept as a dead letter with its cause, and what is acknowledged is durable."""

from __future__ import annotations

from base64 import b64decode
from contextlib import nullcontext
from typing import Any

import pytest

from tests.e2e.command import Home, flights, records

GOOD = b'{"flight_id":"F%03d","departs_at":"2026-01-01T12:00:00Z","seats":%d}'
WHOLE = GOOD % (999, 7)


def flight(**fields: Any) -> bytes:
    """A line about a flight that is no good because of these fields."""
    return records({"flight_id": "BAD", "departs_at": "2026-01-01T12:00:00Z", **fields}).strip().encode()


def raw(field: str, value: bytes) -> bytes:
    return b'{"flight_id":"BAD","departs_at":"2026-01-01T12:00:00Z","%b":%b}' % (field.encode(), value)


MALFORMED = [
    b"{",
    b"}",
    b"[]",
    b"{}",
    b"null",
    b"not json",
    b"NaN",
    b"{'flight_id': 'BAD'}",
    WHOLE + b",",
    WHOLE + b" " + WHOLE,
    b"[" + WHOLE + b"]",
    WHOLE.replace(b":7", b":"),
    WHOLE.replace(b":7", b":7,"),
    WHOLE.replace(b'"seats"', b"seats"),
    b"\xef\xbb\xbf" + WHOLE,
    WHOLE.replace(b"F999", b"F\xff\xfe"),
    WHOLE.replace(b"F999", b"F\x00"),
    WHOLE.replace(b"F999", b"F\\ud800"),
    WHOLE.replace(b"F999", b"F\\x41"),
    b"\x1b[31mred\x1b[0m",
]
HUGE = [
    flight(note="x" * (2 << 20)),
    raw("flight_id", b'"' + b"k" * 600 + b'"'),
    raw("note", b"[" * 500 + b"]" * 500),
    raw("note", b"[" * 200_000 + b"]" * 200_000),
    raw("seats", b"9" * 5000),
    b"x" * (1 << 20),
]
MISTYPED = [
    flight(flight_id=None),
    flight(flight_id=7),
    flight(flight_id=[]),
    flight(flight_id=""),
    flight(seats="3"),
    flight(seats=3.5),
    flight(seats=None),
    flight(seats=True),
    flight(seats={"left": 3}),
    flight(load="full"),
    flight(load=None),
    flight(cancelled=1),
    flight(cancelled="yes"),
    flight(cancelled=None),
    flight(departs_at=1767268800),
    flight(departs_at="noon"),
    flight(departs_at="2026-01-01"),
    flight(departs_at=None),
    b'{"flight_id":"BAD"}',
    b'{"departs_at":"2026-01-01T12:00:00Z"}',
]
OUT_OF_RANGE = [
    flight(seats=-1),
    flight(seats=1001),
    raw("seats", b"1e3"),
    raw("seats", b"99999999999999999999999999"),
    raw("seats", b"-99999999999999999999999999"),
    raw("load", b"1e999"),
    raw("load", b"-1e999"),
    raw("load", b"Infinity"),
    flight(departs_at="2026-13-01T12:00:00Z"),
    flight(departs_at="2026-02-30T12:00:00Z"),
    flight(departs_at="2026-01-01T25:00:00Z"),
    flight(departs_at="2026-01-01T12:00:00+99:00"),
    flight(departs_at="12026-01-01T12:00:00Z"),
    flight(departs_at="0000-01-01T12:00:00Z"),
    flight(departs_at="2026-01-01T12:00:00"),
]
OTHERS = [*MALFORMED, *HUGE, *MISTYPED, *OUT_OF_RANGE]
TRUNCATED = [WHOLE[:length] for length in range(1, len(WHOLE))][: 100 - len(OTHERS)]
BAD = [*OTHERS, *TRUNCATED]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_bad_lines_between_good_ones_are_kept_as_dead_letters_and_the_good_ones_applied(
    home: Home, running: bool
) -> None:
    assert len(BAD) == 100
    lines = [line for number, bad in enumerate(BAD) for line in (GOOD % (number, number), bad)]
    (home.path / "flights.jsonl").write_bytes(b"\n".join(lines))
    with home.running() if running else nullcontext():
        done = home("send", "flights", "flights.jsonl", "--app", "airline.py")
        assert done.code == 1
        assert done.out == "100 accepted on `flights`, 100 rejected.\n"
        reports = [line.split(": ", 1) for line in done.err.splitlines()[:100]]
        assert [place for place, _ in reports] == [f"line {2 * number + 2}" for number in range(100)]
        assert all(cause for _, cause in reports)
        letters = home("dead-letters", "--limit", "1000", "--json").documents
        rows = home("tables", "flights", "--all", "--json").documents
    assert [letter["line"] for letter in letters] == [2 * number + 2 for number in range(100)]
    assert [letter["cause"] for letter in letters] == [cause for _, cause in reports]
    assert [kept(letter) for letter in letters] == BAD
    assert {letter["source"] for letter in letters} == {"flights.jsonl"}
    assert {row["key"]: row["row"]["seats"] for row in rows} == {f"F{number:03}": number for number in range(100)}


def kept(letter: dict[str, Any]) -> bytes:
    return b64decode(letter["raw"]) if letter["encoding"] == "base64" else letter["raw"].encode()


def test_what_a_terminal_would_obey_is_shown_and_not_sent(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=b"\x1b[31mred\x1b[0m\n" + flight(seats="\u202e\x9b"))
    assert "\\x1b[31mred\\x1b[0m" in home("dead-letters").out
    assert not {"\x1b", "\u202e", "\x9b"} & set(home("dead-letters").out)


def test_blank_lines_count_and_a_last_line_needs_no_end(home: Home) -> None:
    done = home("send", "flights", "-", "--app", "airline.py", given="\n\n" + flights("F1") + "\r\n  \nbad")
    assert done.out == "1 accepted on `flights`, 1 rejected.\n"
    assert done.err.startswith("line 6: ")


def test_nothing_is_sent_from_an_empty_file(home: Home) -> None:
    done = home("send", "flights", "-", "--app", "airline.py")
    assert (done.code, done.out) == (0, "0 accepted on `flights`, 0 rejected.\n")


def test_what_was_done_can_be_had_as_json(home: Home) -> None:
    done = home("send", "flights", "-", "--json", "--app", "airline.py", given=flights("F1") + "{}")
    assert done.code == 1
    assert done.documents == [
        {"accepted": 1, "rejected": [[2, "Object missing required field `flight_id`"]], "duplicates": 0},
    ]


def test_a_pipe_is_taken_line_by_line_as_it_comes(home: Home) -> None:
    with home.running(), home.opened("send", "flights", "-") as sender:
        assert sender.stdin is not None
        for name in ("F1", "F2"):
            sender.stdin.write(flights(name))
            sender.stdin.flush()
            while home("tables", "flights", name).code:
                pass
        out, _ = sender.communicate(timeout=20)
        assert out == "2 accepted on `flights`, 0 rejected.\n"


def test_an_unknown_stream_or_file_is_named(home: Home) -> None:
    done = home("send", "fligths", "-", "--app", "airline.py", given=flights("F1"))
    assert done.code == 2
    assert done.err == "Error: There is no stream `fligths`. This app has: bookings, complaints, flights, gates.\n"
    done = home("send", "flights", "nothing.jsonl", "--app", "airline.py")
    assert done.code == 2
    assert done.err == "Error: There is no file nothing.jsonl. Give a file of JSON lines, or - for stdin.\n"
