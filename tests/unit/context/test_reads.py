"""Tracked reads: a scope records what was looked at, and a read set tells what has changed since."""

from __future__ import annotations

from typing import Any

import pytest

from extrovert import TurnError
from extrovert.context.live import LiveContext
from extrovert.context.reads import Readable, ReadSet, Scope, changed, reading, scope, swap


class Gauge(Readable):
    """One number."""

    def __init__(self) -> None:
        super().__init__("gauge", "gauge")
        self.number = 0

    def look(self, selector: Any) -> tuple[Any, Any]:
        return self.number * 10, self.number


class Witness:
    order = (0,)


def test_a_read_set_tells_what_would_be_answered_differently_now() -> None:
    gauge, other = Gauge(), Gauge()
    reads: ReadSet = {}
    here = Scope(LiveContext([], []), "the test", reads)
    assert here.look(gauge, "a") == 0
    here.look(other, "b")
    assert list(changed(reads)) == []
    gauge.number = 1
    assert list(changed(reads)) == [(gauge, "a")]


def test_a_scope_without_a_read_set_records_nothing() -> None:
    assert Scope(LiveContext([], []), "the test").look(Gauge(), "a") == 0


def test_a_token_comes_with_the_value_unless_it_is_to_be_had_alone() -> None:
    assert Gauge().token("a") == 0
    with pytest.raises(NotImplementedError):
        Readable("kind", "name").look("a")


def test_who_watches_no_longer_is_forgotten() -> None:
    gauge, one, two = Gauge(), Witness(), Witness()
    gauge.watch("a", one)
    gauge.watch("a", two)
    gauge.unwatch("a", one)
    assert list(gauge.watchers["a"]) == [two]
    gauge.unwatch("a", two)
    gauge.unwatch("a", two)
    assert gauge.watchers == {}


def test_a_scope_is_in_force_for_a_block() -> None:
    outer, inner = Scope(LiveContext([], []), "outer"), Scope(LiveContext([], []), "inner")
    with reading(outer):
        with reading(inner):
            assert scope() is inner
        assert scope() is outer
    assert swap(None) is None


def test_the_one_before_is_in_force_again_whatever_happened_in_the_block() -> None:
    def fail() -> None:
        with reading(Scope(LiveContext([], []), "inner")):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert swap(None) is None


def test_outside_all_scopes_there_is_nothing_to_read() -> None:
    with pytest.raises(TurnError, match=r"Read it inside one of these, or use `engine.reading\(\)`"):
        scope()
