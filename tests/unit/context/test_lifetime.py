"""When rows are due to go."""

from __future__ import annotations

from extrovert.context.lifetime import Lifetime


def gone(lifetime: Lifetime, now_us: int) -> list[str]:
    found: list[str] = []
    for key in lifetime.due(now_us):
        found.append(key)
        lifetime.gone(key)
    return found


def test_rows_go_in_the_order_in_which_they_are_due_and_then_of_their_keys() -> None:
    lifetime = Lifetime(10)
    for key, due_us in [("c", 5), ("b", 3), ("a", 5), ("d", 9)]:
        lifetime.is_due(key, due_us)
    assert lifetime.next_us() == 3
    assert gone(lifetime, 5) == ["b", "a", "c"]
    assert lifetime.next_us() == 9


def test_a_row_may_live_on_or_less_long() -> None:
    lifetime = Lifetime(10)
    lifetime.is_due("a", 5)
    lifetime.is_due("a", 8)
    assert lifetime.next_us() == 8
    lifetime.is_due("a", 4)
    assert lifetime.next_us() == 4
    assert gone(lifetime, 4) == ["a"]
    assert lifetime.next_us() is None


def test_a_row_that_is_gone_is_not_waited_for() -> None:
    lifetime = Lifetime(10)
    lifetime.is_due("a", 5)
    lifetime.gone("a")
    assert lifetime.next_us() is None
    lifetime.is_due("a", 7)
    assert lifetime.next_us() == 7


def test_a_row_that_is_written_often_takes_no_more_room() -> None:
    lifetime = Lifetime(10)
    for now_us in range(10_000):
        lifetime.is_due("a", now_us + 10)
        lifetime.next_us()
    assert len(lifetime._queue) == 1  # pyright: ignore[reportPrivateUsage]
