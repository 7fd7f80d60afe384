"""An auditor that trusts nobody: it reads the log file of a run itself, replays it, and counts what went wrong.

`python -I auditor.py DIR [--json] [--examples N]`. It needs only Python and shares no code with what it audits: what
it knows of the file is in `docs/log.md`, and what it knows of the storm is written here a second time. It exits with 0
where it could audit, whatever it found, and with 2 where it could not.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

ROWS = {
    "stale_decisions": "decisions based on a fact that was not true when they committed",
    "oversold_seats": "seats sold twice: the largest excess of each flight",
    "moved_to_dead_flight": "decisions that moved a passenger to a cancelled or departed flight",
    "untrue_messages": "messages that were untrue when they were decided, or that nobody decided",
    "duplicate_effects": "effects performed twice, outcomes told twice",
    "lost_wakes": "passengers, seats, outcomes and effects that nobody saw to",
}
KEYS = {"bookings": "booking_id", "customers": "customer_id", "destinations": "code", "weather": "airport"}
TURNS_OWN = ("flight_id", "status", "because", "moves")
OPTION = ("flight_id", "origin", "departs_at", "arrives_at")
MOST_OPTIONS, CLOSES_US, TOO_LATE_US = 8, 20 * 60_000_000, 180 * 60_000_000
NO_FLIGHT = {"scheduled_at": 0, "departs_at": 0, "arrives_at": 0, "seats": 0, "cancelled": True, "departed": False}
Json = dict[str, Any]


@cache
def moment(text: str | None) -> int | None:
    """An ISO 8601 time in microseconds since 1970."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def fly(flight: Json | None, event: Json) -> Json | None:
    """The flight after one more event about it; its times are in microseconds."""
    times = {name: moment(event[name]) for name in event if name.endswith("_at")}
    if event["type"] == "Scheduled":
        return event | times | {"scheduled_at": times["departs_at"], "cancelled": False, "departed": False}
    if flight is None:
        return None
    if event["type"] == "Delayed":
        return flight | times | {"arrives_at": flight["arrives_at"] + times["departs_at"] - flight["departs_at"]}
    if event["type"] == "Departed":
        return flight | {"departed": True, "departs_at": times["departed_at"]}
    return flight | ({"arrives_at": times["arrived_at"]} if event["type"] == "Arrived" else {"cancelled": True})


def trouble(flight: Json) -> str:
    """Why those on `flight` need another; "" where they don't."""
    late = flight["departs_at"] - flight["scheduled_at"] >= TOO_LATE_US
    return "cancelled" if flight["cancelled"] else "late" if late else ""


def differences(said: Json, true: Json) -> str:
    """What of `said` is not so; "" where all is."""
    return "; ".join(f"{name} {said[name]}, but it was {true[name]}" for name in true if said[name] != true[name])


class Facts:
    """What is true: the tables, and what the app's views say, worked out anew."""

    def __init__(self) -> None:
        self.now_us = 0  # the time of the present entry
        self.rows: dict[str, dict[Any, Json]] = defaultdict(dict)
        self.versions: dict[str, dict[Any, int]] = defaultdict(dict)
        self.past: dict[tuple[str, Any, int], int] = {}  # fingerprints of rows replaced, by table, key, version
        self.bookings = self.rows["bookings"]
        self.taken: dict[str, int] = defaultdict(int)
        self.queues: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self.open: dict[str, list[Json]] = defaultdict(list)
        self.excess: dict[str, tuple[int, int]] = {}  # (most bookings above its seats, offset) of a flight

    def flight(self, flight_id: str) -> Json:
        return self.rows["flights"].get(flight_id, NO_FLIGHT)

    def put(self, table: str, key: Any, row: Json | None, offset: int) -> None:
        """Writes a row (None: deletes it); `offset` is its version from now on."""
        rows, versions = self.rows[table], self.versions[table]
        old = rows.get(key)
        if old is not None:
            self.past[table, key, versions[key]] = hash(tuple(old.values()))
        if row is not None:
            rows[key], versions[key] = row if old is None else old | row, offset  # old names are in memory already
        elif old is not None:
            del rows[key], versions[key]
        if table == "bookings":
            self._stand(key, old, -1)
            self._stand(key, row, 1)
        elif table == "flights" and row is not None:
            self._plan(row)
        if row is not None and (flight_id := row.get("flight_id")):
            excess = self.taken[flight_id] - self.flight(flight_id)["seats"]
            if excess > self.excess.get(flight_id, (0, 0))[0]:
                self.excess[flight_id] = excess, offset

    def _stand(self, key: str, booking: Json | None, step: int) -> None:
        if booking is not None:
            self.taken[booking["flight_id"]] += step
            queue, entry = self.queues[booking["destination"], booking["status"]], (booking["tier"], key)
            if step > 0:
                insort(queue, entry)
            else:
                del queue[bisect_left(queue, entry)]

    def _plan(self, flight: Json) -> None:
        found = [one for one in self.open[flight["destination"]] if one["flight_id"] != flight["flight_id"]]
        if not flight["departed"] and not trouble(flight):
            found.append(flight)
        self.open[flight["destination"]] = sorted(found, key=lambda one: (one["arrives_at"], one["flight_id"]))

    def differs(self, kind: str, of: str, at: Any, version: Any) -> bool:
        """Whether a read finds something else now than it did at `version`. The version of a view does not tell."""
        table, _, fields = of.partition(".")
        versions = self.versions[table]
        if kind == "row":
            if version == versions.get(at, 0):
                return False
            row = self.rows[table].get(at)
            return version != 0 if row is None else self.past.get((table, at, version)) != hash(tuple(row.values()))
        if kind == "count" and of == "bookings.destination+flight_id":
            return version != self.taken[at[1]]
        if kind not in ("count", "index", "range"):
            return kind == "before" and version != (self.now_us < at)
        found = self._members(table, fields, at)
        return version != (len(found) if kind == "count" else max((versions[key] for key in found), default=0))

    def _members(self, table: str, fields: str, at: Any) -> list[Any]:
        """The keys at one value of an equality index (`a+b`), or in an interval of a range index (`a<b`)."""
        names = fields.replace("<", "+").split("+")
        low, high, limit = at if "<" in fields else (at, at, None) if len(names) > 1 else ([at], [at], None)
        entries = sorted([*(row[name] for name in names), key] for key, row in self.rows[table].items())
        above = (entry for entry in entries if low is None or entry >= low)
        return [entry[-1] for entry in above if high is None or entry[: len(high)] <= high][:limit]

    def bookable(self, destination: str) -> Iterator[tuple[Json, int]]:
        """The flights that one can be rebooked to, earliest arrival first, with their seats."""
        for flight in self.open[destination]:
            left = flight["seats"] - self.taken[flight["flight_id"]]
            if left > 0 and self.now_us < flight["departs_at"] - CLOSES_US:
                yield flight, left

    def disrupted(self, booking: Json) -> str:
        """Why a booking needs a decision; "" where it does not."""
        flight, status, because = self.flight(booking["flight_id"]), booking["status"], booking["because"]
        if flight["departed"] or status == "refunded":
            return "" if status in ("booked", "flown", "refunded") else "left"
        reason = trouble(flight)
        return reason or because if status in ("called", "recalled") else "" if because == reason else reason

    def options(self, booking: Json, reason: str, prefers: str = "") -> list[Json]:
        """What a passenger is offered: the earliest arrival (if late, one that is earlier), and that from `prefers`."""
        first = islice(self.bookable(booking["destination"]), MOST_OPTIONS)
        found = [{name: flight[name] for name in OPTION} for flight, _ in first]
        if reason == "late":
            arrives_at = self.flight(booking["flight_id"])["arrives_at"]
            found = [option for option in found if option["arrives_at"] < arrives_at]
        from_there = [option for option in found if option["origin"] == prefers]
        return found[:1] + [option for option in from_there[:1] if option != found[0]]

    def opening(self, destination: str) -> list[str]:
        """Whom to call for the seats that nobody is being offered."""
        flights = list(self.bookable(destination))
        seats = sum(left for _, left in flights) - len(self.queues[destination, "called"])
        call = [key for _, key in self.queues[destination, "waiting"][: max(0, seats)]]
        seats -= len(call) + len(self.queues[destination, "recalled"])
        late = ((key, self.flight(self.bookings[key]["flight_id"])) for _, key in self.queues[destination, "late"])
        worse = (key for key, flight in late if flight["arrives_at"] > flights[0][0]["arrives_at"])
        return call + list(islice(worse, max(0, seats)))


class Audit:
    """Takes the entries of a log in order and `counts` what is wrong; `examples` has the first of each row."""

    def __init__(self, most_examples: int = 0) -> None:
        self.counts = dict.fromkeys(ROWS, 0)
        self.examples: dict[str, list[str]] = {row: [] for row in ROWS}
        self._most_examples = most_examples
        self._facts = Facts()
        self._trail: dict[int, str] = {}
        self._effects: dict[str, str] = {}
        self._messages: dict[str, list[str]] = {}
        self._outcomes: dict[int, Json] = {}
        self._seen: set[int] = set()
        self._told: dict[tuple[str, int], str] = {}
        self._twice: dict[str, tuple[int, str]] = {}

    def count(self, row: str, offset: int, who: str, why: str, times: int = 1) -> None:
        self.counts[row] += times
        if len(self.examples[row]) < self._most_examples:
            self.examples[row].append(f"{offset} {who}: {why}")

    def take(self, offset: int, at_us: int, kind: str, body: str) -> None:
        """Takes one entry."""
        self._facts.now_us = at_us
        if kind in ("attempted", "answered"):
            self._trail[offset] = body  # parsed only if a decision rests on it
        elif kind == "decided":
            self._decided(offset, json.loads(body))
        elif kind == "ended":
            self._turn_ended(json.loads(body))
        elif kind == "effects":
            for move in json.loads(body)["moves"]:
                self._effect_moved(offset, **move)
        elif kind == "events":
            self._events(offset, **json.loads(body))

    def _events(self, offset: int, stream: str, data: list[Any], keys: list[Any] | None = None, **_: Any) -> None:
        table = "flights" if stream == "flight_events" else stream
        field = KEYS.get(table, "flight_id")
        for place, event in enumerate(data):
            key = event.get(field) if keys is None else keys[place]
            old = self._facts.rows[table].get(key)
            if event is not None and table == "flights":
                event = fly(old, event) or old
            elif event is not None and old is not None and table == "bookings":
                event |= {name: old[name] for name in TURNS_OWN}
            self._facts.put(table, key, event, offset + place)

    def _decided(self, offset: int, body: Json) -> None:
        facts, turn = self._facts, body["turn"]
        if why := self._stale(body):
            self.count("stale_decisions", offset, turn, why)
        for intent in body.get("effects", ()):
            self._intended(offset, body, **intent)
        for write in body.get("writes", ()):
            old, row = facts.rows[write["to"]].get(write["key"]), write["row"]
            if row and (row["status"] == "booked" or (old and row["flight_id"] != old["flight_id"])):
                flight = facts.flight(row["flight_id"])
                if flight["cancelled"] or flight["departed"]:
                    self.count("moved_to_dead_flight", offset, turn, f"{write['key']} to {row['flight_id']}")
            facts.put(write["to"], write["key"], row, offset)
        self._outcomes.update(enumerate((emit["data"] for emit in body.get("emits", ())), start=offset + 1))
        self._turn_ended(body)

    def _turn_ended(self, body: Json) -> None:
        for offset in body.get("trail", ()):
            self._trail.pop(offset, None)
        if body["agent"] == "tell":
            self._seen.update(body["wake"].get("events", ()))

    def _stale(self, body: Json) -> str:
        """What a decision rests on that is not true; "" where there is nothing."""
        check = {"rebook": self._rebook, "usher": self._usher, "tell": self._tell}.get(body["agent"])
        try:
            for note in body["reads"]:
                if self._facts.differs(**note):
                    return "it read {kind} {of}/{at} at version {version}, which has changed".format(**note)
            pairs = check(body, [self._asked(body, at) for at in body.get("answers", ())]) if check else ()
            return next(filter(None, (differences(said, true) for said, true in pairs)), "")
        except (LookupError, TypeError, ValueError) as error:
            return f"what it rests on is not there: {type(error).__name__} {error}"

    def _asked(self, body: Json, at: int) -> Json:
        """The facts that were sent for the answer at `at`."""
        answer = json.loads(self._trail[at])
        place = (body["turn"], answer["hash"], answer["occurrence"])
        before = [self._trail.get(offset, "") for offset in body["trail"] if offset < at]
        for attempt in (json.loads(raw) for raw in reversed(before) if answer["hash"] in raw):
            for ask in attempt.get("asks", ()):
                if (attempt["turn"], ask["hash"], ask["occurrence"]) == place:
                    return ask["request"]
        raise LookupError(f"{at} answers what was not asked")

    def _rebook(self, body: Json, asked: list[Json]) -> Iterator[tuple[Json, Json]]:
        """What a decision to rebook took for true, and what was; without an ask, that there was nothing to offer."""
        facts, key = self._facts, body["key"]
        booking = facts.bookings[key]
        reason, prefers = facts.disrupted(booking), facts.rows["customers"][booking["customer_id"]]["prefers"]
        options = [] if reason == "left" else facts.options(booking, reason, prefers)
        true = {"booking_id": key, "tier": booking["tier"], "prefers": prefers, "reason": reason, "options": options}
        for case in asked:
            yield case | {"options": [one | {n: moment(one[n]) for n in OPTION[2:]} for one in case["options"]]}, true
        if not asked:
            row = body["writes"][0]["row"] if "writes" in body else booking
            yield true | {"options": [], "reason": "left" if row["status"] == "flown" else row["because"]}, true

    def _usher(self, body: Json, _asked: list[Json]) -> Iterator[tuple[Json, Json]]:
        called = {write["key"] for write in body.get("writes", ())}
        yield {"to call": len(called)}, {"to call": len(called.intersection(self._facts.opening(body["key"])))}

    def _tell(self, body: Json, asked: list[Json]) -> Iterator[tuple[Json, Json]]:
        for news in asked:
            outcome = self._outcomes[body["wake"]["events"][-1]]
            booking, flight = self._facts.bookings[outcome["booking_id"]], self._facts.flight(outcome["flight_id"])
            customer = self._facts.rows["customers"][booking["customer_id"]]
            true = {"name": customer["name"], "kind": outcome["kind"], "destination": flight["destination"]}
            yield news | {"move": outcome["move"]}, true | {"move": max(outcome["move"], booking["moves"])}
            yield self._news(booking["customer_id"], outcome["booking_id"], news)

    def _news(self, customer_id: str, booking_id: str, news: Json) -> tuple[Json, Json]:
        """What a piece of news says, and what is true."""
        booking, flight = self._facts.bookings.get(booking_id, {}), self._facts.flight(news["flight_id"])
        waits, left = news["kind"] == "waiting", flight["cancelled"] or flight["departed"]
        true = {"to": booking.get("customer_id"), "flight_id": booking.get("flight_id"), "flies": not left}
        true |= {"waits": waits and booking.get("status") in ("waiting", "called")}
        true |= {"departs_at": None if waits else flight["departs_at"]}
        said = {"to": customer_id, "flight_id": news["flight_id"], "flies": not waits, "waits": waits}
        return said | {"departs_at": moment(news["departs_at"])}, true

    def _intended(self, offset: int, body: Json, slot: int, effect: str, args: list[Any]) -> None:
        key = f"{body['turn']}/{slot}"
        self._effects[key] = "intended"
        if effect != "send_message":
            return
        customer_id, booking_id, words, news = args
        self._messages[key] = [customer_id, words["text"]]
        if why := differences(*self._news(customer_id, booking_id, news)):
            self.count("untrue_messages", offset, body["turn"], why)
        outcome = self._outcomes.get(body["wake"].get("events", [0])[-1])
        if outcome and (other := self._told.setdefault((outcome["booking_id"], outcome["move"]), key)) != key:
            self._twice.setdefault(key, (offset, f"{other} tells of the same move"))

    def _effect_moved(self, offset: int, key: str, state: str, retry_at_us: int | None = None, **_: Any) -> None:
        was = self._effects.get(key, "intended")
        if (state == "performing" and was not in ("intended", "unknown", "to be retried")) or state == was == "settled":
            self._twice.setdefault(key, (offset, f"{state}, but it was {was} already"))
        self._effects[key] = "to be retried" if state == "failed" and retry_at_us is not None else state

    def delivered(self, lines: Iterable[bytes]) -> None:
        """Takes the messages that were delivered, as JSON lines."""
        seen: set[str] = set()
        for number, message in enumerate(map(json.loads, lines), start=1):
            key = message["key"]
            if key in seen:
                self._twice.setdefault(key, (0, f"delivered again in line {number}"))
            elif self._messages.get(key) != [message["to"], message["text"]]:
                self.count("untrue_messages", 0, key, f"line {number} is not what was decided")
            seen.add(key)
        for key in self._messages.keys() - seen:
            if self._effects[key] == "settled":
                self._effects[key] = "settled, but was not delivered"

    def end(self) -> None:
        """Takes it that the run has ended, and counts what nobody saw to."""
        facts, versions = self._facts, self._facts.versions["bookings"]
        for flight_id, (excess, offset) in facts.excess.items():
            self.count("oversold_seats", offset, flight_id, f"{excess} bookings more than seats", excess)
        for key, (offset, why) in self._twice.items():
            self.count("duplicate_effects", offset, key, why)
        for key, booking in facts.bookings.items():
            reason, status = facts.disrupted(booking), booking["status"]
            in_line = status in ("called", "recalled") and reason == booking["because"]
            stuck = facts.flight(booking["flight_id"])["cancelled"] and status not in ("waiting", "refunded")
            if facts.options(booking, reason) if in_line else reason or stuck:
                self.count("lost_wakes", versions[key], key, f"{status} ({reason}), and nobody decided")
        for key in (key for destination in list(facts.open) for key in facts.opening(destination)):
            self.count("lost_wakes", versions[key], key, "it waits, and a seat is offered to nobody")
        for offset in sorted(self._outcomes.keys() - self._seen):
            self.count("lost_wakes", offset, self._outcomes[offset]["booking_id"], "no turn of `tell` saw this outcome")
        for key, state in self._effects.items():
            if state not in ("settled", "withdrawn"):
                self.count("lost_wakes", 0, key, f"this effect is {state}")


def audit(directory: Path, examples: int = 0) -> Audit:
    """The audit of the run in `directory`. Raises `OSError`, `sqlite3.Error` or `ValueError` where it can't be read."""
    found = Audit(examples)
    path = (directory / "log.sqlite").resolve(strict=True)
    written = path.with_name("log.sqlite-wal").exists()  # where it is not, nothing is left beside the file
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro{'' if written else '&immutable=1'}", uri=True)) as log:
        if log.execute("SELECT value FROM meta WHERE name = 'format'").fetchone() != ("1",):
            raise ValueError("it has a format that is not known here")
        for entry in log.execute("SELECT offset, at_us, kind, CAST(body AS TEXT) FROM log ORDER BY offset"):
            found.take(*entry)
    if (directory / "messages.jsonl").exists():
        found.delivered((directory / "messages.jsonl").read_bytes().splitlines())
    found.end()
    return found


def main() -> None:
    """Audits what the command line names, and prints what was found."""
    parser = argparse.ArgumentParser(description="Audits a run of the storm from its log file alone.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the run has kept log.sqlite")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--examples", type=int, default=0, metavar="N", help="show the first N of each row")
    options = parser.parse_args()
    try:
        found = audit(options.directory, options.examples)
    except (OSError, sqlite3.Error, ValueError, LookupError, TypeError) as error:
        parser.error(f"{options.directory} cannot be audited: {type(error).__name__}: {error}")  # exits with 2
    if options.json:
        print(json.dumps(found.counts | ({"examples": found.examples} if options.examples else {})))
    for row, says in () if options.json else ROWS.items():
        print(f"{row.replace('_', ' '):<20} {found.counts[row]:>9,}  {says}", *found.examples[row], sep="\n    ")


if __name__ == "__main__":
    main()
