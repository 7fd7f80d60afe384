"""A replay hands over recorded events at the times that they carry."""

from __future__ import annotations

from collections.abc import Iterator

from extrovert import Arrival
from extrovert.connectors.replay import Replay


def recorded() -> Iterator[Arrival]:
    return (Arrival(number * 100, "flights", None, f"F{number}") for number in range(5))


def test_it_goes_on_after_a_position() -> None:
    replay = Replay("tower", recorded)
    assert [arrival.key for arrival in replay.read(0)] == ["F0", "F1", "F2", "F3", "F4"]
    assert [arrival.key for arrival in replay.read(3)] == ["F3", "F4"]
    assert list(replay.read(9)) == []


def test_it_says_that_it_is_still_there() -> None:
    replay = Replay("tower", recorded, heartbeat_us=1_000)
    assert [replay.heard_us(now_us) for now_us in (0, 999, 1_000, 2_500)] == [0, 0, 1_000, 2_000]
