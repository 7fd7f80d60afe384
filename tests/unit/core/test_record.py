"""Records are immutable, typed values."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from extrovert import Record


class Flight(Record):
    flight_id: str
    delay_minutes: int = 0
    legs: list[str] = []


class Point(Record):
    x: int
    y: int = 0


def test_a_record_cannot_be_changed() -> None:
    flight = Flight("F1")
    with pytest.raises(AttributeError, match="immutable"):
        flight.delay_minutes = 5  # pyright: ignore[reportAttributeAccessIssue]


def test_but_gives_a_changed_copy() -> None:
    flight = Flight("F1")
    assert flight.but(delay_minutes=5) == Flight("F1", 5)
    assert flight == Flight("F1")


def test_but_knows_the_fields() -> None:
    with pytest.raises(TypeError, match="`Flight` has no field 'delay'"):
        Flight("F1").but(delay=5)


def test_a_record_is_hashed_and_compared_by_its_values() -> None:
    assert {Point(1), Point(1, 0), Point(2)} == {Point(1), Point(2)}
    assert Flight("F1", legs=["a"]) == Flight("F1", legs=["a"]) != Flight("F1")


def test_the_cycle_collector_does_not_look_at_records() -> None:
    assert not gc.is_tracked(Flight("F1"))


def test_a_field_of_the_class_tells_its_name() -> None:
    field: Any = Flight.delay_minutes
    assert field.__name__ == "delay_minutes"
