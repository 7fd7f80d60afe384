"""Keys: what the environment holds that nobody is to see, taken out of texts."""

from __future__ import annotations

import os

__all__ = ["MIN_SECRET", "SECRET", "without_keys"]

SECRET = ("_KEY", "_TOKEN", "_SECRET")
"""How the names of the environment variables end that hold what nobody is to see."""
MIN_SECRET = 8
"""A shorter value is none, and would be found in any text."""


def without_keys(text: str, variable: str | None = None) -> str:
    """Text without any key that a provider may have been given, that in this `variable` among them."""
    for name, key in os.environ.items():
        if name == variable or (name.endswith(SECRET) and len(key) >= MIN_SECRET):
            text = text.replace(key, "[key]") if key else text
    return text
