"""Gates: how many of an effect are performed at a time, and how many are begun in a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from extrovert.turns.declare import Effect
from extrovert.turns.outbox import Outbox, Pending

__all__ = ["Gates"]


class Gates:
    """Those that would begin but for the limits of their effect, the oldest first. The rate is even: no bursts."""

    def __init__(self, effects: Mapping[str, Effect[Any]], outbox: Outbox) -> None:
        self._effects = effects
        self._outbox = outbox
        self._waiting: dict[str, deque[str]] = {}

    @property
    def empty(self) -> bool:
        return not self._waiting

    def passes(self, pending: Pending, now_us: int, begun: int) -> bool:
        """Whether it may begin, where `begun` of its effect do so now; else it waits here."""
        if pending.effect not in self._waiting and self._open(pending.effect, now_us, begun):
            return True
        waiting = self._waiting.setdefault(pending.effect, deque())
        if pending.key not in waiting:
            waiting.append(pending.key)
        return False

    def take(self, now_us: int) -> list[str]:
        """Takes those for which there is room now. They are to be tried at once, and may have to wait again."""
        taken: list[str] = []
        for name, waiting in list(self._waiting.items()):
            begun = 0
            while waiting and self._open(name, now_us, begun):
                taken.append(waiting.popleft())
                begun += 1
            if not waiting:
                del self._waiting[name]
        return taken

    def next_us(self, now_us: int) -> int | None:
        """When the next one may begin, as far as time decides that."""
        moments = [self._next_us(name) for name in self._waiting if self._room(name, 0)]
        return min((max(now_us, moment) for moment in moments), default=None)

    def _open(self, name: str, now_us: int, begun: int) -> bool:
        effect = self._effects.get(name)
        if effect is None or not self._room(name, begun):
            return effect is None
        return not effect.every_us or (not begun and self._next_us(name) <= now_us)

    def _room(self, name: str, begun: int) -> bool:
        effect = self._effects.get(name)
        limit = None if effect is None else effect.concurrency
        return limit is None or self._outbox.acting[name] + begun < limit

    def _next_us(self, name: str) -> int:
        effect, last_us = self._effects.get(name), self._outbox.started_us.get(name)
        return 0 if effect is None or last_us is None else last_us + effect.every_us
