"""Listeners: who wants to hear of which agent and key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Listeners"]

T = TypeVar("T")


class Listeners(Generic[T]):
    """What each listener has asked to be called with what is told of an agent and key."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, Any], dict[object, Callable[[T], None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by)

    def add(self, agent: str, key: Any, heard: Callable[[T], None]) -> Callable[[], None]:
        """From now on `heard` is called, until what is returned is called. It must not raise, and not wait."""
        mark = object()
        self._by.setdefault((agent, key), {})[mark] = heard

        def leave() -> None:
            listeners = self._by.get((agent, key), {})
            listeners.pop(mark, None)
            if not listeners:
                self._by.pop((agent, key), None)

        return leave

    def wanted(self, agent: str, key: Any) -> bool:
        """Whether somebody listens."""
        return (agent, key) in self._by

    def tell(self, agent: str, key: Any, told: T) -> None:
        """Calls those who listen."""
        for heard in [*self._by.get((agent, key), {}).values()]:
            heard(told)
