"""The lull between two instants: all that is due is done, and the loop waits for a moment, or for a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context

from extrovert.engine.clock import Clock

__all__ = ["Lull"]


class Lull:
    """The waits of one engine's loop, between its instants.

    `until_us` is the moment for which it waits; None: for a word alone.
    """

    def __init__(self, clock: Clock) -> None:
        self.until_us: int | None = None
        self._clock = clock
        self._word = asyncio.Event()
        self._free = False
        self._context = copy_context()

    def wake(self) -> None:
        """Something has come: the loop goes on as soon as the event loop comes to it."""
        self._word.set()

    async def wait(self, until_us: int | None, *, ready: bool, free: bool) -> None:
        """Waits for `wake`, or until the engine time is `until_us`; not at all where something is `ready`.

        Where it is `free`, others may do an instant meanwhile (`interrupt`).
        """
        self._word.clear()
        timer = None
        if until_us is not None:
            delay_s = self._clock.real_s(until_us - self._clock.now_us())
            timer = asyncio.get_running_loop().call_later(delay_s, self._word.set)
        self.until_us, self._free, self._context = until_us, free, copy_context()
        try:
            if not ready:
                await self._word.wait()
        finally:
            self._free = False
            if timer is not None:
                timer.cancel()

    def interrupt(self, instant: Callable[[], None]) -> bool:
        """Does an `instant` in the place of the loop while that waits, as it would; whether that was possible.

        What is handed in is then followed at once, and not when the event loop has come round to a task that waits.
        """
        if not self._free or self._word.is_set():
            return False
        self._free = False
        try:
            self._context.run(instant)
        finally:
            self._free = True
        return True

    def is_late(self, next_us: int | None) -> bool:
        """Whether something is due at `next_us`, before the moment for which the loop waits."""
        return next_us is not None and (self.until_us is None or next_us < self.until_us)
