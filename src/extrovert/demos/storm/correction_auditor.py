"""Counts what a run of the storm missed of late and corrected events, from its log alone; imports nothing of Extrovert.

Usage: python correction_auditor.py DIR [--examples N]. Prints one JSON object. What was known is what had come by then,
in the order of the log.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

HOUR_US = 3_600_000_000
HEARD_WITHIN_US = HOUR_US // 2
IN_TIME = {"Departed": ("departures", "departed_at"), "Delayed": ("estimates", "announced_at")}
NAMED = ("flight_events", "weather", "departures", "estimates", "put_right", '"stream":"bookings"', '"to":"bookings"')
ROWS = ("late_events", "corrected_events", "invalidated", "corrections_missed", "left_behind", "stale_as_of")
Json = dict[str, Any]
Place = tuple[str, str]  # a table, and a key of it


def moment(text: str) -> int:
    """An ISO 8601 time in microseconds since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


class Past:
    """What is known of the tables in time: of each row its versions, by event time."""

    def __init__(self) -> None:
        self.newest_us: dict[str, int] = {}
        self._times: dict[Place, list[int]] = defaultdict(list)
        self._rows: dict[Place, list[tuple[int, Json]]] = defaultdict(list)

    def at(self, place: Place, at_us: int) -> tuple[int, Json | None]:
        """The version (0: none) and the row that were in force at a time, as far as is known."""
        found = bisect_right(self._times[place], at_us)
        return self._rows[place][found - 1] if found else (0, None)

    def put(self, place: Place, at_us: int, offset: int, row: Json) -> bool:
        """Takes up a row; whether it corrects one of the same time."""
        times, rows = self._times[place], self._rows[place]
        found = bisect_left(times, at_us)
        corrects = times[found : found + 1] == [at_us]
        times[found : found + corrects], rows[found : found + corrects] = [at_us], [(offset, row)]
        self.newest_us[place[0]] = max(self.newest_us.get(place[0], at_us), at_us)
        return corrects


class Audit:
    """Takes the entries of a log in order, and `counts`:

    - decisions of which a later event shows that they had read what was not so, and that got no `DecisionInvalidated`,
      or that were not seen to; and those that got one and should not have (corrections_missed);
    - passengers who sit in a plane and are said not to, or the other way round, when all is over (left_behind);
    - reads as of a time that were not what was known then (stale_as_of).
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(ROWS, 0)
        self.wrong: list[str] = []
        self._past = Past()
        self._readers: dict[Place, list[tuple[int, int, str]]] = defaultdict(list)  # (moment, decided at, decision)
        self._expected: dict[tuple[str, str, str, int, int], Json] = {}
        self._unseen: dict[int, str] = {}
        self._seats: dict[str, tuple[str, str]] = {}  # flight and status of each booking
        self._on: dict[str, set[str]] = defaultdict(set)
        self._moved: deque[tuple[int, str, str]] = deque()  # (when, booking, flight before)
        self._aboard: dict[str, str] = {}
        self._missed: dict[str, set[str]] = defaultdict(set)

    def take(self, offset: int, at_us: int, kind: str, body: Json) -> None:
        """Takes one entry."""
        if kind == "events":
            for place, event in enumerate(body["data"]):
                if body["stream"] == "flight_events" and event["type"] in IN_TIME:
                    self._heard(offset + place, at_us, event)
                elif body["stream"] == "weather":
                    self.counts["late_events"] += moment(event["at"]) + HOUR_US <= at_us  # after the next one's
                elif body["stream"] == "bookings":
                    key = event["booking_id"] if event else body["keys"][place]
                    self._sits(at_us, key, event and self._seats.get(key, (event["flight_id"], "booked")))
        elif kind == "invalidated":
            self.counts["invalidated"] += 1
            self._told(offset, body)
        elif body["agent"] == "put_right":
            for event in body["wake"].get("events", ()):
                self._unseen.pop(event, None)
        if kind == "decided":
            self._decided(offset, at_us, body)

    def _error(self, row: str, offset: int, why: str) -> None:
        self.counts[row] += 1
        self.wrong.append(f"{offset} {why}")

    def _heard(self, offset: int, at_us: int, event: Json) -> None:
        """Something of a flight is heard: of whom does it show that they had decided by what was not so?"""
        (table, field), key = IN_TIME[event["type"]], event["flight_id"]
        place, time_us = (table, key), moment(event[field])
        readers = [one for one in self._readers[place] if one[1] + HEARD_WITHIN_US > at_us]
        before = [self._past.at(place, moment_us) for moment_us, _, _ in readers]
        corrects = self._past.put(place, time_us, offset, event)
        self.counts["corrected_events" if corrects else "late_events"] += time_us < at_us
        for (moment_us, _, turn), (_, old) in zip(readers, before, strict=True):
            version, new = self._past.at(place, moment_us)
            if version == offset and old != new:
                self._expected[turn, table, key, moment_us, version] = {"old": old, "new": new}
        self._readers[place] = readers
        if event["type"] == "Departed" and time_us < at_us:
            self._left(key, time_us)

    def _decided(self, offset: int, at_us: int, body: Json) -> None:
        for note in body["reads"]:
            table, key = note["of"], note["at"]
            if note["kind"] == "as_of":
                key, moment_us = key
                if note["version"] != self._past.at((table, key), moment_us)[0]:
                    self._error("stale_as_of", offset, f"{body['turn']} read {table}/{key}, which was another")
                self._readers[table, key].append((moment_us, at_us, body["turn"]))
            elif note["kind"] == "row" and table in self._past.newest_us:
                self._readers[table, key].append((self._past.newest_us[table], at_us, body["turn"]))
        for write in body.get("writes", ()):
            row = write["row"]
            self._sits(at_us, write["key"], row and (row["flight_id"], row["status"]))

    def _told(self, offset: int, body: Json) -> None:
        self._unseen[offset] = body["turn"]
        for row in body["rows"]:
            place = (body["turn"], row["table"], row["key"], row["as_of_us"], row["version"])
            if self._expected.pop(place, None) != {"old": row["old"], "new": row["new"]}:
                self._error("corrections_missed", offset, f"{body['turn']} was told of what it did not rest on")

    # ---- who sits where

    def _sits(self, at_us: int, key: str, seat: tuple[str, str] | None) -> None:
        """A booking is on a flight from now on (None: it is given up)."""
        before = self._seats.pop(key, ("", ""))[0]
        self._on[before].discard(key)
        if seat is not None:
            self._seats[key] = seat
            self._on[seat[0]].add(key)
        else:
            self._aboard.pop(key, None)
        self._moved.append((at_us, key, before))
        while self._moved[0][0] + HEARD_WITHIN_US < at_us:
            self._moved.popleft()

    def _left(self, flight_id: str, left_us: int) -> None:
        """It is heard that a flight had left: who had a seat on it then sits in it, who got one since does not."""
        aboard = set(self._on[flight_id])
        for at_us, key, before in reversed(self._moved):
            if at_us < left_us:
                break
            aboard.discard(key)
            if before == flight_id and key in self._seats:
                aboard.add(key)
        self._aboard.update(dict.fromkeys(aboard, flight_id))
        self._missed[flight_id] |= self._on[flight_id] - aboard

    def end(self) -> None:
        """Takes it that the run has ended."""
        for turn, table, key, *_ in self._expected:
            self._error("corrections_missed", 0, f"{turn} rested on {table}/{key}, and was not told")
        for offset, turn in self._unseen.items():
            self._error("corrections_missed", offset, f"nobody saw to it that {turn} was invalidated")
        for key, why in self._misplaced():
            self._error("left_behind", 0, f"{key} {why}")

    def _misplaced(self) -> Iterator[tuple[str, str]]:
        for key, flight_id in self._aboard.items():
            flight, status = self._seats[key]
            if flight != flight_id or status not in ("booked", "flown"):
                yield key, f"sits in {flight_id}, and is said to be {status} on {flight}"
        for flight_id, missed in self._missed.items():
            for key in missed & self._on[flight_id]:
                if self._seats[key][1] in ("booked", "flown"):
                    yield key, f"is said to be on {flight_id}, which had left before the seat was given"


def audit(directory: Path) -> Audit:
    """The audit of the run in `directory`."""
    found = Audit()
    path = (directory / "log.sqlite").resolve(strict=True)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as log:
        query = "SELECT offset, at_us, kind, CAST(body AS TEXT) FROM log WHERE kind IN"
        entries = log.execute(f"{query} ('events', 'decided', 'ended', 'invalidated') ORDER BY offset")
        for offset, at_us, kind, body in entries:
            if any(name in body for name in NAMED):  # nothing else concerns it, and to parse all takes long
                found.take(offset, at_us, kind, json.loads(body))
    found.end()
    return found


def main() -> None:
    """Audits what the command line names, and prints what was found."""
    parser = argparse.ArgumentParser(description="Audits what a run of the storm made of late and corrected events.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--examples", type=int, default=0, metavar="N", help="show the first N that went wrong")
    options = parser.parse_args()
    found = audit(options.directory)
    print(json.dumps(found.counts | ({"examples": found.wrong[: options.examples]} if options.examples else {})))


if __name__ == "__main__":
    main()
