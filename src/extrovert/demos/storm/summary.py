"""The summary of a run, computed from its log. `python -m extrovert.demos.storm.summary DIR` prints it as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from extrovert.core.log import Attempted, Decided, Entry, Events, is_null
from extrovert.demos.storm.records import Booking
from extrovert.engine.hosting import LOG
from extrovert.stores.sqlite import SqliteStore

__all__ = ["Audit", "Spread", "Summary", "summarize"]


class Spread(msgspec.Struct, omit_defaults=True):
    """Percentiles of something, in milliseconds."""

    p50: float
    p99: float
    max: float | None = None


class Audit(msgspec.Struct):
    """What the auditors counted."""

    stale_decisions: int
    oversold_seats: int
    moved_to_dead_flight: int
    untrue_messages: int
    duplicate_effects: int
    lost_wakes: int
    wrong_refunds: int
    corrections_missed: int
    left_behind: int
    overspent: int


class Summary(msgspec.Struct):
    """One run in figures. Times are real time spent in the engine, thinking left out; the age is engine time."""

    mode: str
    seed: int
    events: int
    turns: int
    decisions: int
    reruns: int
    refused: int
    rebooked: int
    stranded: int
    asks: int
    asks_saved: int
    event_to_context_ms: Spread
    event_to_commit_ms: Spread
    context_age_ms: Spread
    wall_s: float
    refunds: int = 0
    written: int = 0
    by_form: int = 0
    spent_usd: float = 0
    late_events: int = 0
    corrected_events: int = 0
    invalidated: int = 0
    audit: Audit | None = None


class _Counts:
    """Adds up the entries of a log. `wall` is the engine time of the change at an offset, for those that wake turns."""

    def __init__(self) -> None:
        self.events = self.turns = self.decisions = self.reruns = self.refused = self.asks = self.saved = 0
        self.context_us: list[int] = []
        self.commit_us: list[int] = []
        self.age_us: list[int] = []
        self.bookings: dict[str, Booking] = {}
        self._wall: dict[int, int] = {}

    def add(self, entry: Entry) -> None:
        match entry.kind:
            case "events":
                self._events(entry)
            case "attempted":
                body = msgspec.json.decode(entry.body, type=Attempted)
                self._attempt(body.changed, body.refused, body.saved)
                self.asks += sum(ask.kind == "ask" for ask in body.asks)
            case "decided":
                self._decided(entry)
            case "ended":
                self.turns += 1
            case _:
                pass

    def _events(self, entry: Entry) -> None:
        self.events += entry.count
        self.context_us.append(entry.wall_us)
        for offset in range(entry.offset, entry.offset + entry.count):
            self._wall[offset] = entry.wall_us
        if b'"stream":"bookings"' in entry.body[:60] and b'"keys":' in entry.body:
            body = msgspec.json.decode(entry.body, type=Events)
            for key, raw in zip(body.keys or (), body.data, strict=True):
                if is_null(raw):
                    self.bookings.pop(key, None)

    def _attempt(self, changed: Sequence[str], refused: Sequence[str], saved: int) -> None:
        self.reruns += bool(changed)
        self.refused += len(refused)
        self.saved += saved

    def _decided(self, entry: Entry) -> None:
        body = msgspec.json.decode(entry.body, type=Decided)
        self.turns += 1
        self.decisions += 1
        self._attempt(body.changed, body.refused, body.saved)
        self.age_us.append(body.age_us)
        self.commit_us.append(entry.wall_us + self._wall.get(body.wake.offset, 0))
        for offset in range(entry.offset, entry.offset + entry.count):
            self._wall[offset] = entry.wall_us
        for write in body.writes:
            if write.to == "bookings":
                self.bookings[write.key] = msgspec.json.decode(write.row, type=Booking)


def summarize(data: Path) -> Summary:
    """The summary of the run in `data`, without an audit."""
    store = SqliteStore(data / LOG)
    counts = _Counts()
    for entry in store.entries():
        counts.add(entry)
    decided = [booking for booking in counts.bookings.values() if booking.moves]
    summary = Summary(
        mode=store.meta("storm.mode") or "live",
        seed=int(store.meta("storm.seed") or 0),
        events=counts.events,
        turns=counts.turns,
        decisions=counts.decisions,
        reruns=counts.reruns,
        refused=counts.refused,
        rebooked=sum(booking.status == "booked" for booking in decided),
        stranded=sum(booking.status in ("waiting", "called") for booking in decided),
        asks=counts.asks,
        asks_saved=counts.saved,
        event_to_context_ms=spread(counts.context_us),
        event_to_commit_ms=spread(counts.commit_us),
        context_age_ms=spread(counts.age_us, with_max=True),
        wall_s=round(float(store.meta("storm.wall_s") or 0), 1),
    )
    store.close()
    return summary


def spread(microseconds: list[int], *, with_max: bool = False) -> Spread:
    """Nearest-rank percentiles, in milliseconds."""
    ordered = sorted(microseconds) or [0]

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000, 3)

    return Spread(at(0.50), at(0.99), round(ordered[-1] / 1000, 3) if with_max else None)


def main() -> None:
    """Prints the summary of the directory that the first argument names."""
    found: Any = summarize(Path(sys.argv[1]))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
