"""What a person is shown is safe to look at, and short where it can be."""

from __future__ import annotations

import pytest

from extrovert.surfaces.printing import moment, plain, short, span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich ☃", "Zürich ☃"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b\x00\x7f", "\\x9b\\x00\\x7f"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_shown_and_not_sent(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("span_us", "said"),
    [
        (0, "0 ms"),
        (250, "0.2 ms"),
        (4_000, "4 ms"),
        (3_240_000, "3.2 s"),
        (60_000_000, "1 min"),
        (7_500_000_000, "2 h 5 min"),
        (93_600_000_000, "1 d 2 h"),
        (-1_500_000, "-1.5 s"),
    ],
)
def test_a_span_is_said_as_a_person_says_it(span_us: int, said: str) -> None:
    assert span(span_us) == said


def test_a_moment_is_in_utc_to_the_millisecond() -> None:
    assert moment(1_360_360_800_123_456) == "2013-02-08 22:00:00.123"


def test_a_long_value_is_cut_in_the_middle() -> None:
    assert short({"a": "x" * 100}, 20) == '{"a":"xx … xxxxxx"}'
    assert short([1, 2]) == "[1,2]"
