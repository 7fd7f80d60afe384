"""How often a client may ask: so many at once, then evenly; and what is remembered of clients is bounded."""

from __future__ import annotations

import pytest

from extrovert.surfaces.http.rates import Rates


class Time:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("per_minute", [1, 3, 7, 60, 600, 100_000])
def test_so_many_at_once_then_evenly(per_minute: int) -> None:
    rates = Rates(per_minute, now=(time := Time()))
    assert [rates.take("ann") for _ in range(per_minute)] == [0.0] * per_minute
    for _ in range(3):
        wait_s = rates.take("ann")
        assert wait_s == pytest.approx(60 / per_minute, rel=0.5)
        assert rates.take("ann") == wait_s  # asking in vain costs nothing
        time.now_s += wait_s
        assert rates.take("ann") == 0.0
    time.now_s += 60
    assert [rates.take("ann") for _ in range(per_minute)] == [0.0] * per_minute
    assert rates.take("ann") > 0


def test_clients_are_counted_apart() -> None:
    rates = Rates(1, now=Time())
    assert [rates.take(one) for one in ("ann", "bob")] == [0.0, 0.0]
    assert all(rates.take(one) > 0 for one in ("ann", "bob"))


def test_who_asked_longest_ago_is_forgotten_first() -> None:
    rates = Rates(2, remembered=2, now=Time())
    for one in ("ann", "bob", "ann", "cem"):
        assert rates.take(one) == 0.0
    assert len(rates) == 2
    assert rates.take("ann") > 0
    assert [rates.take("bob"), rates.take("bob")] == [0.0, 0.0]
