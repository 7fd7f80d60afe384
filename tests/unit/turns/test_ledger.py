"""The ledger's view of reads."""

from __future__ import annotations

from typing import Any

from extrovert.context.interval import Interval
from extrovert.context.reads import Readable
from extrovert.core.log import ReadNote
from extrovert.turns.ledger import named, newer, notes


def thing(kind: str, name: str) -> Readable:
    return Readable(kind, name)


def test_a_read_is_noted_with_the_version_of_what_was_seen() -> None:
    reads: dict[tuple[Readable, Any], Any] = {
        (thing("row", "flights"), "F1"): 7,
        (thing("index", "flights.to"), "ORD"): (3, 9, 4),
        (thing("index", "flights.to"), "LAX"): 0,
        (thing("count", "flights.to"), "ORD"): 3,
        (thing("range", "flights.at"), Interval(((1,), None, 2))): (("F1", 4), ("F2", 8)),
        (thing("range", "flights.at"), Interval((None, None, None))): (),
        (thing("before", "clock"), 99): True,
    }
    assert notes(reads) == [
        ReadNote("row", "flights", "F1", 7),
        ReadNote("index", "flights.to", "ORD", 9),
        ReadNote("index", "flights.to", "LAX", 0),
        ReadNote("count", "flights.to", "ORD", 3),
        ReadNote("range", "flights.at", [(1,), None, 2], 8),
        ReadNote("range", "flights.at", [None, None, None], 0),
        ReadNote("before", "clock", 99, True),
    ]


def test_a_read_has_a_name() -> None:
    assert named(thing("row", "flights"), "F1") == "flights/F1"
    assert named(thing("range", "flights.at"), Interval(((1,), None, 2))) == "flights.at/[(1,), None, 2]"


def test_a_token_tells_of_a_change_after_an_offset() -> None:
    assert newer(8, 7)
    assert not newer(7, 7)
    assert newer((3, 9), 7)
    assert newer((("F1", 4), ("F2", 8)), 7)
    assert not newer(True, 0)
    assert not newer((), 0)
