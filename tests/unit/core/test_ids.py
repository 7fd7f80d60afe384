"""Fingerprints and chance are pure functions of what they are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extrovert.core.ids import canonical, chance, fingerprint


def test_equal_values_give_equal_bytes_whatever_their_order() -> None:
    assert canonical({"b": 1, "a": {3, 1, 2}}) == canonical({"a": {2, 3, 1}, "b": 1}) == b'{"a":[1,2,3],"b":1}'


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError):
        canonical(object())


def test_a_fingerprint_is_24_hex_digits() -> None:
    assert len(fingerprint("a")) == 24
    assert int(fingerprint("a"), 16) > 0


def test_text_and_its_bytes_are_the_same() -> None:
    assert fingerprint("ä") == fingerprint("ä".encode())


def test_the_borders_of_the_parts_count() -> None:
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint("abc"), fingerprint("abc", "")}) == 4


@given(st.lists(st.integers() | st.text()))
def test_chance_lies_between_0_and_1_and_is_the_same_each_time(parts: list[int | str]) -> None:
    assert 0 < chance(*parts) < 1
    assert chance(*parts) == chance(*parts)


def test_chance_is_spread_evenly() -> None:
    draws = [chance("seed", number) for number in range(10_000)]
    assert 0.49 < sum(draws) / len(draws) < 0.51
    assert len(set(draws)) == len(draws)
