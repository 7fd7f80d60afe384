"""The watermark of a stream: the event time up to which it is taken to be complete."""

from __future__ import annotations

import msgspec

__all__ = ["NEVER", "Watermark"]

NEVER = -(1 << 62)


class Watermark(msgspec.Struct):
    """How far event time has come, in microseconds.

    `latest_us` is the latest event time seen, `reached_us` the watermark: `disorder` behind that, or further where a
    silent stream has let engine time decide. It never goes back. `arrived_us` is the engine time of the last batch;
    `alarm_us` when the silence is to be looked at next.
    """

    latest_us: int = NEVER
    reached_us: int = NEVER
    arrived_us: int = 0
    alarm_us: int | None = None

    def silent_for(self, now_us: int) -> int:
        """How long nothing has come."""
        return now_us - self.arrived_us

    def guessed_us(self, now_us: int) -> int:
        """What time it would be where the events are, had their time gone on like the engine's."""
        return self.latest_us + self.silent_for(now_us)
