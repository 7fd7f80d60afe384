"""Engine time is whole microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extrovert.core.time import from_us, span_us, to_us


@given(st.datetimes(timezones=st.just(UTC)))
def test_there_and_back_is_the_same_moment(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


def test_a_moment_in_another_zone_is_the_same_moment() -> None:
    here = datetime(2013, 2, 8, 12, tzinfo=timezone(timedelta(hours=-5)))
    assert from_us(to_us(here)) == datetime(2013, 2, 8, 17, tzinfo=UTC)


def test_a_moment_without_a_zone_would_mean_two_things() -> None:
    with pytest.raises(ValueError, match="2013-02-08T12:00:00 has no time zone"):
        to_us(datetime(2013, 2, 8, 12))  # noqa: DTZ001


def test_spans_are_exact_and_a_bare_number_is_seconds() -> None:
    assert span_us(timedelta(milliseconds=1)) == 1_000
    assert span_us(timedelta(days=100_000)) == 8_640_000_000_000_000
    assert span_us(0.25) == 250_000
