"""Engine time: virtual, real, or real at a factor."""

from __future__ import annotations

import time

from extrovert.engine.clock import RealClock, VirtualClock, wall_us


def test_virtual_time_goes_where_it_is_moved_and_never_back() -> None:
    clock = VirtualClock(100)
    clock.move_to(300)
    clock.move_to(200)
    assert clock.now_us() == 300
    assert clock.virtual
    assert clock.real_s(1_000_000) == 0


def test_real_time_is_the_time_of_day() -> None:
    clock = RealClock()
    clock.move_to(5)
    assert abs(clock.now_us() - time.time_ns() // 1000) < 1_000_000
    assert not clock.virtual
    assert clock.real_s(2_000_000) == 2
    assert clock.real_s(-5) == 0


def test_real_time_at_a_factor_starts_where_it_is_put() -> None:
    clock = RealClock(600)
    assert clock.now_us() == 0
    clock.move_to(1_000_000)
    began = wall_us()
    clock.move_to(5_000_000)
    now_us = clock.now_us()
    assert 1_000_000 <= now_us <= 1_000_000 + (wall_us() - began + 50_000) * 600
    assert clock.real_s(600_000_000) == 1


def test_time_does_not_go_back() -> None:
    clock = RealClock(1_000)
    clock.move_to(0)
    moments = [clock.now_us() for _ in range(1_000)]
    assert moments == sorted(moments)
