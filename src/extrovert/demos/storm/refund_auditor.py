"""Counts the refunds that went wrong in a run of the storm, from its log file alone; imports nothing of Extrovert.

Usage: python refund_auditor.py DIR [--examples N]. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Audit:
    """Takes the entries of a log in order, and keeps what is `wrong` with a refund: one that was not owed when it was
    decided, that no person agreed to, or that was not paid exactly once."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.refunds = 0
        self._bookings: dict[str, Json] = {}
        self._cancelled: set[str] = set()
        self._answers: dict[int, Json] = {}
        self._paid: dict[str, str] = {}
        self._due: dict[str, list[str]] = {}

    def take(self, offset: int, kind: str, body: Json) -> None:
        """Takes one entry."""
        if kind == "events":
            self._events(body)
        elif kind == "answered":
            self._answers[offset] = body["answer"] if isinstance(body["answer"], dict) else {}
        elif kind == "decided":
            for intent in body.get("effects", ()):
                if intent["effect"] == "pay_back":
                    self._refund(offset, body, *intent["args"], key=f"{body['turn']}/{intent['slot']}")
            for write in body.get("writes", ()):
                if write["to"] == "bookings" and write["row"] is not None:
                    self._bookings[write["key"]] = write["row"]

    def _events(self, body: Json) -> None:
        for place, event in enumerate(body["data"]):
            if body["stream"] == "flight_events" and event["type"] == "Cancelled":
                self._cancelled.add(event["flight_id"])
            elif body["stream"] == "bookings":
                if event is None:
                    self._bookings.pop(body["keys"][place], None)
                else:
                    old = self._bookings.get(event["booking_id"], {})
                    owned = {name: old[name] for name in ("flight_id", "status", "because", "moves") if name in old}
                    self._bookings[event["booking_id"]] = event | owned

    def _refund(self, offset: int, body: Json, customer: str, key_of: str, cents: int, *, key: str) -> None:
        self.refunds += 1
        booking = self._bookings.get(key_of, {})
        if booking.get("status") != "waiting" or booking.get("flight_id") not in self._cancelled:
            self.wrong.append(f"{offset} {key}: {key_of} was not owed it: {booking.get('status', 'gone')}")
        elif not any(self._answers.get(at, {}).get("granted", False) for at in body.get("answers", ())):
            self.wrong.append(f"{offset} {key}: nobody had agreed")
        elif self._paid.setdefault(key_of, key) != key:
            self.wrong.append(f"{offset} {key}: it was paid back by {self._paid[key_of]} already")
        self._due[key] = [customer, f"{key_of} {cents}"]

    def paid(self, lines: list[bytes]) -> None:
        """Takes what the bank has done, as JSON lines."""
        seen: set[str] = set()
        for line in map(json.loads, lines):
            if line["key"] in seen or self._due.get(line["key"]) != [line["to"], line["text"]]:
                self.wrong.append(f"{line['key']}: the bank paid {line['text']} to {line['to']}, which was not decided")
            seen.add(line["key"])
        self.wrong += [f"{key}: it was decided, and never paid" for key in self._due.keys() - seen]


def audit(directory: Path) -> Audit:
    """The audit of the run in `directory`."""
    found = Audit()
    path = (directory / "log.sqlite").resolve(strict=True)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as log:
        query = "SELECT offset, kind, CAST(body AS TEXT) FROM log WHERE kind IN ('events', 'answered', 'decided')"
        for offset, kind, body in log.execute(f"{query} ORDER BY offset"):
            found.take(offset, kind, json.loads(body))
    payments = directory / "payments.jsonl"
    found.paid(payments.read_bytes().splitlines() if payments.exists() else [])
    return found


def main() -> None:
    """Audits what the command line names, and prints what was found."""
    parser = argparse.ArgumentParser(description="Audits the refunds of a run of the storm from its log file alone.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--examples", type=int, default=0, metavar="N", help="show the first N that went wrong")
    options = parser.parse_args()
    found = audit(options.directory)
    told = {"refunds": found.refunds, "wrong_refunds": len(found.wrong)}
    print(json.dumps(told | ({"examples": found.wrong[: options.examples]} if options.examples else {})))


if __name__ == "__main__":
    main()
