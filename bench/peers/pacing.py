"""Pacing: a thread that hands events over at a steady rate, as a source inside the program would (W2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bench.peers.events import START, line
from bench.peers.work import Outcome, Task, percentiles

__all__ = ["Pace"]

KEYS = 1_000
PATIENCE_S = 20.0


class Pace:
    """Hands over `rate` events a second for some seconds, and takes the time until the trigger is called for each.

    Every event triggers. Its time begins when the sender, awake at the moment when it is due, hands it over; how late
    it woke is told apart. `done` is set when all have triggered, or when nothing more is to be expected.
    """

    def __init__(self, task: Task) -> None:
        self.rate = task.rate
        self.count = int(task.rate * task.seconds)
        self.lines = [
            line(f"sensor-{number % KEYS:06}", number, START, task.limit + 1).encode() for number in range(self.count)
        ]
        self.handed = [0.0] * self.count
        self.reached = [0.0] * self.count
        self.behind = [0.0] * self.count
        self.left = self.count
        self.done = threading.Event()

    def trigger(self, sequence: int) -> None:
        """The trigger of an event was called. A second call for the same one is not counted."""
        if self.reached[sequence]:
            return
        self.reached[sequence] = time.perf_counter()
        self.left -= 1
        if not self.left:
            self.done.set()

    def send(self, hand_over: Callable[[bytes, int], None]) -> None:
        """Hands everything over; to be run in a thread of its own."""
        begin = time.perf_counter() + 0.05
        for number, event in enumerate(self.lines):
            due = begin + number / self.rate
            while (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            now = time.perf_counter()
            self.behind[number] = now - due
            self.handed[number] = now
            hand_over(event, number)

    def start(self, hand_over: Callable[[bytes, int], None]) -> threading.Thread:
        """Begins to send beside; returns the thread, which ends when all is handed over."""
        thread = threading.Thread(target=self.send, args=(hand_over,), name="sender", daemon=True)
        thread.start()
        return thread

    def beside(self, what: Callable[[], None]) -> None:
        """Does something in a thread of its own, for those whose own loop has the main thread."""
        threading.Thread(target=what, daemon=True).start()

    def wait(self) -> None:
        """Returns when all have triggered, or when one has not long after it should have."""
        self.done.wait(self.count / self.rate + PATIENCE_S)

    def outcome(self) -> Outcome:
        """What was found."""
        taken = [reached - handed for reached, handed in zip(self.reached, self.handed, strict=True) if reached]
        return Outcome(
            seconds=max(self.reached) - self.handed[0],
            results={"triggers": len(taken)},
            latencies=percentiles(taken, self.behind) if taken else None,
        )
