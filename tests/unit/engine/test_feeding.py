"""Feeding: timed sources, read in order of time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from extrovert import Arrival
from extrovert.connectors.replay import Replay
from extrovert.engine import feeding
from extrovert.engine.feeding import Feeding


def source(name: str, *moments: int) -> Replay:
    def arrivals() -> Iterator[Arrival]:
        return (Arrival(at_us, "s", None, f"{name}{number}") for number, at_us in enumerate(moments))

    return Replay(name, arrivals, heartbeat_us=10)


def taken(feed: Feeding, now_us: int) -> list[tuple[str, list[str], int]]:
    found: list[tuple[str, list[str], int]] = []
    while (batch := feed.take(now_us)) is not None:
        name, arrivals, position = batch
        found.append((name, [arrival.key for arrival in arrivals], position))
    return found


def test_nothing_comes_from_no_source() -> None:
    feed = Feeding([], {})
    assert (feed.next_us(), feed.take(99), feed.heard_us(99)) == (None, None, 99)


def test_the_arrivals_of_a_moment_come_together() -> None:
    feed = Feeding([source("a", 5, 5, 7, 9)], {})
    assert feed.next_us() == 5
    assert taken(feed, 4) == []
    assert taken(feed, 8) == [("a", ["a0", "a1"], 2), ("a", ["a2"], 3)]
    assert feed.next_us() == 9


def test_sources_take_turns_by_time() -> None:
    feed = Feeding([source("a", 5, 8), source("b", 6, 8)], {})
    assert [name for name, _, _ in taken(feed, 9)] == ["a", "b", "a", "b"]
    assert feed.next_us() is None


def test_a_source_goes_on_after_its_position() -> None:
    feed = Feeding([source("a", 5, 6, 7)], {"a": 2, "other": 9})
    assert taken(feed, 9) == [("a", ["a2"], 3)]


def test_a_moment_with_many_arrivals_is_cut_into_batches() -> None:
    feed = Feeding([source("a", *([5] * (feeding.MAX_BATCH + 3)))], {})
    assert [(len(keys), position) for _, keys, position in taken(feed, 5)] == [
        (feeding.MAX_BATCH, feeding.MAX_BATCH),
        (3, feeding.MAX_BATCH + 3),
    ]


@pytest.mark.parametrize(("now_us", "heard_us"), [(9, 0), (10, 10), (25, 20)])
def test_the_source_that_was_silent_longest_counts(now_us: int, heard_us: int) -> None:
    lively = Replay("b", lambda: iter(()), heartbeat_us=1)
    assert Feeding([source("a", 5), lively], {}).heard_us(now_us) == heard_us


class Stalled(Replay):
    """Has last been heard at 20."""

    def heard_us(self, now_us: int) -> int:
        return min(20, super().heard_us(now_us))


@pytest.mark.parametrize(("now_us", "next_us"), [(9, 10), (10, 20), (25, 30), (30, 40), (57, 60)])
def test_a_source_that_stalls_is_looked_at_when_its_beats_are_due_and_not_at_every_moment(
    now_us: int, next_us: int
) -> None:
    feed = Feeding([Stalled("a", lambda: iter(()), heartbeat_us=10)], {})
    assert feed.next_beat_us({"a"}, now_us) == next_us
    assert feed.next_beat_us({"b"}, now_us) is None
