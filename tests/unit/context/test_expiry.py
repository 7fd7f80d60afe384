"""Moments that somebody waits for: each is told once, when it has come."""

from __future__ import annotations

from extrovert.context.expiry import ExpiryState
from tests.holding import held


class Witness:
    order = (0,)


def test_the_earliest_moment_comes_first() -> None:
    clock, one, two = ExpiryState(), Witness(), Witness()
    clock.watch(20, one)
    clock.watch(10, two)
    clock.watch(10, one)
    assert clock.next_us() == 10
    clock.now_us = 10
    assert [list(watchers) for watchers in clock.expired()] == [[two, one]]
    assert clock.next_us() == 20


def test_a_moment_that_nobody_waits_for_any_more_is_passed_over() -> None:
    clock, one = ExpiryState(), Witness()
    clock.watch(10, one)
    clock.watch(20, one)
    clock.unwatch(10, one)
    assert clock.next_us() == 20
    clock.unwatch(20, one)
    assert clock.next_us() is None


def test_a_moment_that_was_left_and_is_waited_for_again_comes() -> None:
    clock, one = ExpiryState(), Witness()
    clock.watch(10, one)
    clock.unwatch(10, one)
    clock.watch(10, one)
    assert clock.next_us() == 10


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    clock = ExpiryState()
    clock.now_us = 50
    clock.watch(50, Witness())
    assert clock.next_us() is None
    assert clock.look(50) == (False, False)
    assert clock.look(51) == (True, True)


def test_moments_far_ahead_that_are_waited_for_now_and_then_take_no_room() -> None:
    clock, one, stays = ExpiryState(), Witness(), Witness()
    clock.watch(1_000, stays)
    before = held(clock).objects
    for _ in range(1_000):
        clock.watch(2_000, one)
        clock.unwatch(2_000, one)
    assert held(clock).objects < before + 50
    assert held(clock).bytes < 4_000
    assert clock.next_us() == 1_000
