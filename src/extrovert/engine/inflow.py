"""Inflow: live sources, read beside the loop; what they hand over is taken in as fast as the log can be written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from extrovert.core.event import Batch, Spoilt
from extrovert.core.log import Position
from extrovert.core.ports import LiveSource
from extrovert.engine.beats import Beats
from extrovert.engine.clock import Clock
from extrovert.engine.intake import Intake, Report
from extrovert.engine.writing import Writing

__all__ = ["Inflow"]

AHEAD = 20_000
"""How many offsets may be applied and not yet durable before a source has to wait."""

UNWRITTEN = 2_000
AT_A_TIME = 1_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0


class Inflow:
    """The live sources of an engine, and what a program sends it.

    `streams` has the names of the sources of each stream.

    In real time each source is read in a thread, and one that is at its end is not asked again. In virtual time all are
    read to their ends at each instant.
    """

    def __init__(
        self,
        sources: Sequence[LiveSource],
        positions: Mapping[str, Position],
        intake: Intake,
        writing: Writing,
        clock: Clock,
        nudge: Callable[[], None],
    ) -> None:
        self.intake = intake
        self.writing = writing
        self.clock = clock
        self.failure: BaseException | None = None
        self._nudge = nudge
        self._positions = {source.name: positions.get(source.name) for source in sources}
        self._reading = {source.name: source for source in sources}
        self.streams: dict[str, list[str]] = {}
        for source in sources:
            self.streams.setdefault(source.stream, []).append(source.name)
        self._said: dict[str, str] = {}
        self._began_us = clock.now_us()
        self._beats = {source.name: Beats() for source in sources}
        self._failing: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._encode = msgspec.json.Encoder().encode_lines

    @property
    def busy(self) -> bool:
        """Whether there is a source that comes to an end, and has not yet."""
        return any(source.every_us is None for source in self._reading.values())

    def heard_us(self, now_us: int) -> int:
        """When the source that was silent longest was last heard: an answer that there is nothing counts."""
        if self.clock.virtual or not self._reading:
            return now_us
        return min(self._beats[name].latest_us or self._began_us for name in self._reading)

    def heard_on(self, stream: str, at_us: int) -> int | None:
        """When a source of this stream was last heard, as far as that was known at `at_us`; None: not in this life.

        One that is at its end has told all that there is. In virtual time one that can be read is always heard.
        """
        told: list[int | None] = []
        for name in self.streams.get(stream, ()):
            there = self.clock.virtual and name not in self._failing
            told.append(at_us if there or name not in self._reading else self._beats[name].before_us(at_us))
        return max((heard_us for heard_us in told if heard_us is not None), default=None)

    def heard(self) -> dict[str, int]:
        """When each live source was last heard."""
        return {name: beats.latest_us for name, beats in self._beats.items() if beats.latest_us is not None}

    def begin(self) -> None:
        """Begins to read, in real time."""
        if not (self.clock.virtual or self._tasks):
            for source in self._reading.values():
                task = asyncio.create_task(self._follow(source), name=f"source {source.name}")
                task.add_done_callback(self._ended)
                self._tasks.append(task)

    async def close(self) -> None:
        """Reads no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failure = self.failure or task.exception()
        self._nudge()

    def instant(self) -> None:
        """In virtual time: takes in all that there is now."""
        if self.clock.virtual:
            for source in list(self._reading.values()):
                while (batch := self._read(source)) is not None:
                    self._take(source, batch)
                    if len(self.intake.shard.unwritten) > UNWRITTEN:
                        self.writing.flush()
                if source.every_us is None:
                    del self._reading[source.name]

    def _read(self, source: LiveSource) -> Batch | None:
        try:
            batch = source.read(self._positions[source.name])
        except Exception as error:
            self._say(source, error)
            return None
        self._heard(source)
        return batch

    def _heard(self, source: LiveSource) -> None:
        """The source could be read; if somebody waits to hear of it, it is time to look."""
        self._beats[source.name].add(self.clock.now_us())
        self._failing.discard(source.name)
        if source.stream in self.intake.shard.fold.context.freshness.missed():
            self._nudge()

    async def _follow(self, source: LiveSource) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                batch = await asyncio.to_thread(source.read, self._positions[source.name])
            except Exception as error:
                self._say(source, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            self._heard(source)
            if batch is not None:
                self._take(source, batch)
                await self._room()
            elif source.every_us is None:
                break
            else:
                await asyncio.sleep(source.every_us / 1_000_000)
        del self._reading[source.name]

    def _take(self, source: LiveSource, batch: Batch) -> None:
        self.intake.shard.advance(self.clock.now_us())
        self.intake.batch(source.stream, source.name, batch)
        self._positions[source.name] = batch.position
        self._said.pop(source.name, None)
        self._nudge()

    def _say(self, source: LiveSource, error: Exception) -> None:
        """A source that cannot be read is said to be so, once for each cause."""
        self._failing.add(source.name)
        cause = f"source `{source.name}` cannot be read: {type(error).__name__}: {error}"
        if self._said.get(source.name) != cause:
            self._said[source.name] = cause
            self.intake.shard.advance(self.clock.now_us())
            self.intake.spoilt(source.stream, source.name, Spoilt(None, b"", cause))
            self._nudge()

    async def _room(self) -> None:
        """Waits until not too much is waiting to be written."""
        if self.clock.virtual:
            self.writing.flush()
        else:
            self._nudge()
            await self.writing.wait_for(self.intake.shard.fold.end - 1 - AHEAD)
            await asyncio.sleep(0)

    # ---- what a program sends

    async def send(self, stream: str, records: Iterable[Any] | AsyncIterable[Any], source: str) -> Report:
        """Takes in records, a thousand at a time, and waits where the log is behind. They are durable later."""
        report, number, batch = Report(0, []), 1, list[Any]()
        async for record in _each(records):
            batch.append(record)
            if len(batch) == AT_A_TIME:
                report.add(self._sent(stream, batch, source, number))
                number += len(batch)
                batch.clear()
                await self._room()
        report.add(self._sent(stream, batch, source, number))
        return report

    def _sent(self, stream: str, batch: list[Any], source: str, first: int) -> Report:
        self.intake.shard.advance(self.clock.now_us())
        return self.intake.lines(stream, self._encode(batch), source=source, first_line=first)


async def _each(records: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(records, AsyncIterable):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record
