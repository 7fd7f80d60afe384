"""Keyed: what has one value per key, and which views can therefore be over."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Keyed"]

K = TypeVar("K")
V = TypeVar("V")


class Keyed(Generic[K, V]):
    """A table, a window or a view as declared, by name."""

    name: str

    def __getitem__(self, key: K) -> V:
        """The value at `key`. Raises `MissingRow` where there is none."""
        raise NotImplementedError
