"""Keys: what can name a row, and an agent's turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["KEY_RULE", "MAX_KEY", "all_good_keys", "good_keys"]

MAX_KEY = 512
KEY_RULE = f"must be a whole number or 1 to {MAX_KEY} characters of text"


def good_keys(keys: Iterable[Any]) -> bool:
    """Whether each is a whole number or a text that is neither empty nor too long."""
    return all((type(key) is str and 0 < len(key) <= MAX_KEY) or type(key) is int for key in keys)


def all_good_keys(keys: Sequence[Any]) -> bool:
    """The same as `good_keys`, quick for many keys that are all text."""
    if set(map(type, keys)) != {str}:
        return good_keys(keys)
    lengths = set(map(len, keys))
    return min(lengths) > 0 and max(lengths) <= MAX_KEY
