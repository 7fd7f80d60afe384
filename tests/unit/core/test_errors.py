"""Errors say what, where and what to do, and keep their fields."""

from __future__ import annotations

import pytest

from extrovert.core import errors
from extrovert.core.errors import InputError, MissingExtra, MissingRow, Refuse, TransientError


def test_a_missing_row_says_what_to_use_instead() -> None:
    error = MissingRow("Table", "bookings", "B-17", "agent `rebook`, wake `flights@8812`")
    assert str(error) == (
        "Table `bookings` has no row `B-17` (read by agent `rebook`, wake `flights@8812`). "
        "Use `bookings.get('B-17')` if it may be absent."
    )
    assert (error.name, error.key, error.reader) == ("bookings", "B-17", "agent `rebook`, wake `flights@8812`")


def test_a_missing_row_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        raise MissingRow("Table", "bookings", 1, "the test")


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtra("The storm's data", "demo")
    assert str(error) == 'The storm\'s data is not installed. Install it with: pip install "extrovert[demo]"'
    assert error.extra == "demo"


def test_errors_keep_their_fields() -> None:
    assert (InputError("flights", "no").stream, InputError("flights", "no").cause) == ("flights", "no")
    assert Refuse("full").reason == "full"
    assert TransientError("busy", retry_after_s=2).retry_after_s == 2
    assert TransientError("busy").retry_after_s is None


def test_all_have_one_root() -> None:
    public = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(error, errors.ExtrovertError) for error in public)
