"""The serial world: tables as plain dicts, and decisions taken again one after the other, from what was remembered.

It shares no code with the engine's context: rows are tuples, indexes are scans.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from extrovert.core.ids import canonical
from extrovert.turns import waits
from tests.sim.plan import (
    BEGIN_US,
    KEYS,
    Act,
    Approve,
    Ask,
    Call,
    Emit,
    Next,
    Program,
    Read,
    Request,
    Require,
    Sleep,
    Together,
    Undo,
    Write,
)
from tests.sim.program import Cell, mix

__all__ = ["Remembered", "Tables", "taken_again"]

Row = tuple[str, int, int]
MAX_REFUSALS = 3


def _text(about: Any) -> str:
    """What is asked, as one text: records as the log has them."""
    return canonical(msgspec.json.decode(canonical(about))).decode()


def second_us(number: int) -> int:
    return BEGIN_US + number * 1_000_000


class Tables:
    """The rows of all tables at one place in the log, with the offset of each one's last change, and of items the turn
    that wrote them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in ("facts", "items", "marks", "notes")}
        self.versions: dict[tuple[str, str], int] = {}
        self.writers: dict[str, str] = {}
        self.at_us = BEGIN_US

    def put(self, table: str, key: str, row: dict[str, Any] | None, offset: int) -> None:
        if row is None:
            self.rows[table].pop(key, None)
            self.versions.pop((table, key), None)
        else:
            if table == "items":
                self.writers[key] = row["id"]
            self.rows[table][key] = (row["key"], row.get("group", 0), row.get("value", 0))
            self.versions[table, key] = offset

    def before(self, second: int) -> bool:
        return self.at_us < second_us(second)

    def summary(self, key: str) -> int | None:
        fact = self.rows["facts"].get(key)
        if fact is None or fact[2] == 7:
            return None
        alike = [row for row in self.rows["facts"].values() if row[1] == fact[1]]
        item = self.rows["items"].get(key)
        total = (0 if self.before(fact[1]) else 100) + len(alike) * 10 + (item[2] if item else 0)
        return None if total % 4 == 0 else total

    def value(self, wakes_on: str, key: str) -> Any:
        """What an agent that wakes on a table or view is given for a key."""
        if wakes_on == "summary":
            return self.summary(key)
        row = self.rows["facts"].get(key)
        return None if row is None else row[2]

    def calm(self, key: str) -> bool:
        item = self.rows["items"].get(key)
        return item is None or item[2] < 7


class Remembered:
    """The answers of one turn, by whom it asked what: of a model in the order of their refusals, else by occurrence."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, int], tuple[str, str]] = {}
        self.answers: dict[tuple[str, str], list[tuple[int, Any, int]]] = {}

    def sent(self, ask: dict[str, Any]) -> None:
        whom = ask.get("kind", ask["model"])
        self.asked[ask["hash"], ask["occurrence"]] = (whom, _text(ask["request"]))

    def came(self, body: dict[str, Any], offset: int, at_us: int) -> None:
        place = self.asked[body["hash"], body["occurrence"]]
        self.answers.setdefault(place, []).append((offset, body["answer"], at_us))


class Refused(Exception):
    """An answer is taken back."""


class _Run:
    """A program run to its end on the tables, with the turn's own writes on top."""

    def __init__(
        self, body: dict[str, Any], tables: Tables, turn: Remembered, model: str, refused: dict[str, int]
    ) -> None:
        self.tables = tables
        self.turn = turn
        self.model = model
        self.refused = refused
        self.taken = body.get("answers", ()) if sum(refused.values()) == len(body.get("refused", ())) else ()
        self.latest = ""
        self.wrote: dict[tuple[str, str], Row | None] = {}
        self.emits: list[Row] = []
        self.effects: list[tuple[str, list[str], str, str | None]] = []
        self.required: list[str] = []
        self.undone: list[str] = []
        self.used: list[int] = []
        self._times: dict[tuple[str, str], int] = {}

    def follow(self, program: Program, acc: int) -> None:  # noqa: C901 -- a case per step
        for number, step in enumerate(program.steps):
            match step:
                case Read():
                    acc = mix(acc, self.look(step, acc % len(KEYS) if step.at is None else step.at))
                case Ask():
                    acc = mix(acc, self.ask(f"{number}: {acc // step.coarse}", step.refuses))
                case Together():
                    acc = mix(acc, self.both([f"{number}{part}: {acc // step.coarse}" for part in "ab"]))
                case Sleep():
                    self.wait("sleep", waits.Sleep(second_us(step.second)))
                case Next():
                    reply = self.wait("next", waits.Awaited("replies", KEYS[step.at], second_us(step.second)))
                    acc = mix(acc, None if reply is None else reply.get("value", 0))
                case Approve():
                    asked = waits.ApprovalAsked(Raw(canonical(f"{number}: {acc}")), "", second_us(step.second))
                    acc = mix(acc, self.wait("approval", asked)["granted"])
                case Request():
                    acc = mix(acc, self.request(step, acc))
                case Call():
                    acc = mix(acc, self.wait("call", [f"{number}: {acc // step.coarse}"], step.max_age_ms))
                case Write():
                    key = self.key(acc, step.at)
                    self.wrote[step.to, key] = None if step.delete else (key, acc % 3, acc % 10)
                case Emit():
                    self.emits.append((self.key(acc, step.at), acc % 3, acc % 10))
                case Undo():
                    key = KEYS[step.at]
                    if ("items", key) not in self.wrote and key in self.tables.rows["items"]:
                        self.undone.append(self.tables.writers[key])
                case Require():
                    self.required.append(KEYS[step.at])
                case Act():
                    about = f"b{acc % 3}"
                    calm = None if step.calm is None else KEYS[step.calm]
                    self.effects.append((step.effect, [str(acc), about], about if step.once else "", calm))
        if not all(map(self.calm, [*self.required, *(one[3] for one in self.effects if one[3] is not None)])):
            self.refuse()

    def key(self, acc: int, at: int | None) -> str:
        return KEYS[acc % len(KEYS) if at is None else at]

    def refuse(self) -> None:
        """Takes back the latest answer of a model."""
        if not self.latest:
            raise LookupError("there is nothing to refuse")
        self.refused[self.latest] = self.refused.get(self.latest, 0) + 1
        raise Refused

    def ask(self, text: str, refuses: int = 0) -> int:
        found = self.turn.answers[self.model, _text(text)]
        refusals = self.refused.get(text, 0)
        # With a reason that has changed, an answer was refused anew: the question has more answers than refusals.
        later = (one for one in found[refusals:] if refusals and one[0] in self.taken)
        offset, answer, _ = next(later, None) or found[refusals]
        self.used.append(offset)
        self.latest = text
        if not isinstance(answer, int) or (refuses and answer % refuses == 0):
            self.refuse()
        return answer

    def both(self, texts: list[str]) -> list[int]:
        """Both answers. One that is no number ends the turn's run before the other is taken."""
        return [self.ask(text) for text in texts]

    def wait(self, kind: str, about: Any, max_age_ms: int | None = None) -> Any:
        """The answer to this occurrence of a question; one that is too old does not count."""
        place = (kind, _text(about))
        times, answers = self._times.get(place, 0), self.turn.answers[place]
        while max_age_ms is not None and answers[times][2] < self.tables.at_us - max_age_ms * 1000:
            times += 1
        self._times[place] = times + 1
        offset, answer, _ = answers[times]
        self.used.append(offset)
        return answer

    def request(self, step: Request, acc: int) -> int | None:
        key, until_us = KEYS[step.at], second_us(step.second)
        sent = Raw(canonical(Cell(key, acc % 3, acc % 10)))
        note = self.wait("next", waits.Awaited("notes", key, until_us, "commands", key, sent))
        return None if note is None else note.get("value", 0)

    def calm(self, key: str) -> bool:
        item = self.wrote.get(("items", key), self.tables.rows["items"].get(key))
        return item is None or item[2] < 7

    def look(self, read: Read, at: int) -> Any:
        found: dict[str, Row | None] = dict(self.tables.rows[read.table])
        found |= {key: row for (table, key), row in self.wrote.items() if table == read.table}
        rows = sorted(row for row in found.values() if row is not None)
        match read.of:
            case "row":
                return found.get(KEYS[at])
            case "bucket":
                return [row for row in rows if row[1] == at]
            case "count":
                return len([row for row in rows if row[1] == at])
            case "range":
                return sorted((row for row in rows if at <= row[2] <= at + 5), key=lambda row: (row[2], row[0]))
            case "all":
                return rows
            case "before":
                return self.tables.before(at)
            case _:
                return self.tables.summary(KEYS[at])


def taken_again(
    program: Program, body: dict[str, Any], seen: Any, tables: Tables, turn: Remembered, model: str
) -> list[str]:
    """Where a decision is not what its agent, which asks `model`, decides on these tables, in words; else nothing."""
    refused: dict[str, int] = {}
    for _ in range(MAX_REFUSALS + 1):
        run = _Run(body, tables, turn, model, refused)
        try:
            run.follow(program, mix(0, seen))
        except Refused:
            continue
        except (LookupError, TypeError) as error:
            return [f"{body['turn']} asks something else in a serial run, or sees nothing: {error!r}"]
        return _differences(body, run)
    return [f"{body['turn']} refuses for ever in a serial run"]


def _differences(body: dict[str, Any], run: _Run) -> list[str]:
    wrote = {
        (write["to"], write["key"]): write["row"]
        and (write["row"]["key"], write["row"]["group"], write["row"]["value"])
        for write in body.get("writes", ())
    }
    emitted = [(one["data"]["key"], one["data"]["group"], one["data"]["value"]) for one in body.get("emits", ())]
    effects = [
        (one["effect"], one["args"], one.get("once", ""), one["guard"]["args"][0] if one.get("guard") else None)
        for one in body.get("effects", ())
    ]
    compared = (
        ("wrote", wrote, run.wrote),
        ("emitted", emitted, run.emits),
        ("intended", effects, run.effects),
        ("undoes", body.get("undoes", []), run.undone),
        ("used the answers", sorted(body.get("answers", ())), sorted(run.used)),
    )
    return [
        f"{body['turn']} {what} {it}; in a serial run it is {serial}" for what, it, serial in compared if it != serial
    ]
