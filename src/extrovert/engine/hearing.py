"""Hearing: what sources have said of themselves since the log last told of it.

A heartbeat costs nothing but a note in memory. It becomes an entry of the log when somebody depends on it: when what a
turn has read would else be too old, or when somebody waits to hear of it.
"""

from __future__ import annotations

from extrovert.engine.beats import Beats
from extrovert.engine.feeding import Feeding
from extrovert.engine.inflow import Inflow
from extrovert.engine.shard import Shard

__all__ = ["Hearing"]


class Hearing:
    """When the sources of streams were last heard: by their heartbeats, as far as this life of the engine goes."""

    def __init__(self, shard: Shard, feeding: Feeding, inflow: Inflow) -> None:
        self._shard = shard
        self._freshness = shard.fold.context.freshness
        self._feeding = feeding
        self._inflow = inflow
        self._beats: dict[str, Beats] = {}

    def beat(self, stream: str, now_us: int) -> None:
        """A program says that the source of a stream is there, and has nothing new."""
        self._beats.setdefault(stream, Beats()).add(now_us)

    def heard_us(self, stream: str, at_us: int) -> int | None:
        """When the source of a stream was last heard, as far as that was known at `at_us`; None where it was not."""
        told: list[int | None] = []
        if source := self._freshness.state(stream).source:
            told.append(self._feeding.heard_from(source, at_us))
        if beats := self._beats.get(stream):
            told.append(beats.before_us(at_us))
        if stream in self._inflow.streams:
            told.append(self._inflow.heard_on(stream, at_us))
        return max((heard_us for heard_us in told if heard_us is not None and heard_us <= at_us), default=None)

    def step(self, now_us: int) -> None:
        """Logs what somebody waits to hear."""
        if missed := self._freshness.missed():
            self._shard.hear(missed, now_us)

    def next_us(self, now_us: int) -> int | None:
        """When a timed source that somebody waits to hear of says next that it is there."""
        sources = {self._freshness.state(stream).source for stream in self._freshness.missed()}
        return self._feeding.next_beat_us(sources, now_us) if sources else None

    def oldest_us(self, now_us: int) -> int:
        """When the declared source that was silent longest was last heard; now, where there is none."""
        return min(self._feeding.heard_us(now_us), self._inflow.heard_us(now_us))
