"""When an offset was: to the minute, and to the hour when that is long past."""

from __future__ import annotations

from extrovert.context.moments import MOST, Moments

MINUTE_US = 60_000_000


def test_an_offset_is_in_the_minute_of_its_entry() -> None:
    moments = Moments()
    moments.passed(4, 59_000_000)
    moments.passed(5, 61_000_000)
    moments.passed(9, 119_000_000)
    moments.passed(10, 600_000_000)
    assert [moments.at_us(offset) for offset in (1, 3, 4, 5, 8, 9)] == [
        *(0, 0, MINUTE_US, MINUTE_US, MINUTE_US),
        10 * MINUTE_US,
    ]


def test_a_clock_that_goes_back_moves_nothing() -> None:
    moments = Moments()
    moments.passed(2, 10 * MINUTE_US)
    moments.passed(3, 5 * MINUTE_US)
    assert moments.at_us(2) == 10 * MINUTE_US


def test_what_is_not_known_has_no_moment() -> None:
    moments = Moments()
    moments.load(((), ()), 8)
    assert moments.at_us(7) is None
    moments.passed(9, 5 * MINUTE_US)
    assert (moments.at_us(7), moments.at_us(8)) == (None, 5 * MINUTE_US)


def test_it_is_the_same_from_a_snapshot() -> None:
    moments, other = Moments(), Moments()
    for offset in range(2, 50):
        moments.passed(offset, offset * 7_000_000)
    other.load(moments.save(), 49)
    moments.passed(51, 9_000_000_000)
    other.passed(51, 9_000_000_000)
    assert other.save() == moments.save()


def test_what_is_long_past_is_rounded_to_the_hour() -> None:
    moments = Moments()
    for minute in range(3 * MOST):
        moments.passed(minute + 2, minute * MINUTE_US)
    begins, minutes = moments.save()
    assert len(minutes) < MOST
    assert list(minutes) == sorted(set(minutes))
    assert list(begins) == sorted(set(begins))
    assert moments.at_us(61 + 59) == 60 * MINUTE_US  # the minutes 60 to 119 are the second hour
    assert moments.at_us(3 * MOST) == (3 * MOST - 1) * MINUTE_US
