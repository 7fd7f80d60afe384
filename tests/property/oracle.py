"""The oracle: decisions re-executed one after the other, in the order of the log, on plain dicts.

It reads the log as JSON and shares no code with the engine's context: rows are dicts of tuples, indexes are scans. What
it is told is only what was remembered: the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from extrovert.core.log import Entry
from tests.property.programs import BEGIN_US, KEYS, Act, Ask, Emit, Program, Read, Write, mix

__all__ = ["Model", "strays"]

Cell = tuple[str, int, int]
MAX_REFUSALS = 3


class Refused(Exception):
    """The answer to this question is taken back."""


class Model:
    """The tables as dicts from key to (key, group, value), at a time."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Cell]] = {"facts": {}, "items": {}, "notes": {}}
        self.at_us = BEGIN_US

    def put(self, table: str, key: str, row: dict[str, Any] | None) -> None:
        if row is None:
            self.tables[table].pop(key, None)
        else:
            self.tables[table][key] = (row["key"], row.get("group", 0), row.get("value", 0))

    def before(self, second: int) -> bool:
        return self.at_us < BEGIN_US + second * 1_000_000

    def parts(self) -> dict[str, Cell]:
        """What the view `parts` makes of all facts; of a key on which they do not agree, nothing."""
        made: dict[str, set[Cell]] = {}
        for key, group, value in self.tables["facts"].values():
            item = self.tables["items"].get(key)
            if value not in (0, 8):
                made.setdefault(f"g{group}", set()).add((f"g{group}", group, value // 3))
            if item is not None and value != 8:
                made.setdefault(f"i{key}", set()).add((f"i{key}", item[1], value))
        return {key: next(iter(rows)) for key, rows in made.items() if len(rows) == 1}

    def view(self, name: str, key: str) -> int | None:
        if name == "seen_parts":
            parts = self.parts()
            alike = [row for row in parts.values() if key in parts and row[1] == parts[key][1]]
            return parts[key][2] + len(alike) if key in parts else None
        if name == "doubled":
            total = self.view("view", key)
            return None if total is None or total % 3 == 0 else 2 * total
        if name == "middle":
            return (self.view("doubled", key) or 0) if key in self.tables["facts"] and "k1" <= key < "k3" else None
        fact = self.tables["facts"].get(key)
        if fact is None:
            return None
        alike = sorted(row for row in self.tables["facts"].values() if row[1] == fact[1])
        if name == "nested":
            return sum(self.view("view", row[0]) or 0 for row in alike)
        if name == "alarm":
            return None if len([row for row in alike if row[2] >= fact[2]]) > 1 else fact[2] // 2
        if fact[2] == 7:
            return None
        item = self.tables["items"].get(key)
        total = (0 if self.before(fact[1]) else 100) + len(alike) * 10 + (item[2] if item else 0)
        return None if total % 4 == 0 else total


class _Turn:
    """One turn's memory: by question and occurrence, the answers in the order of their refusals."""

    def __init__(self) -> None:
        self.questions: dict[tuple[str, int], str] = {}
        self.answers: dict[str, list[tuple[int, int]]] = {}

    def remember(self, body: dict[str, Any], offset: int) -> None:
        question = self.questions[body["hash"], body["occurrence"]]
        self.answers.setdefault(question, []).append((offset, body["answer"]))


class _Run:
    """A program run to its end on a model, with a turn's own writes on top."""

    def __init__(self, model: Model, turn: _Turn, refused: dict[str, int]) -> None:
        self.model = model
        self.turn = turn
        self.refused = refused
        self.items: dict[str, Cell | None] = {}
        self.emits: list[Cell] = []
        self.effects: list[tuple[str, list[str]]] = []
        self.used: list[int] = []

    def follow(self, program: Program, acc: int) -> None:
        for number, step in enumerate(program.steps):
            at = step.at if isinstance(step, Read | Write | Emit) else None
            key = KEYS[acc % 4 if at is None else at]
            match step:
                case Read():
                    acc = mix(acc, self.look(step, acc % 4 if at is None else at))
                case Ask():
                    acc = mix(acc, self.ask(f"{number}: {acc // step.coarse}", step.refuses))
                case Write():
                    self.items[key] = None if step.delete else (key, acc % 3, acc % 10)
                case Emit():
                    self.emits.append((key, acc % 3, acc % 10))
                case Act():
                    self.effects.append(("safe" if step.safe else "unsafe", [str(acc)]))

    def ask(self, question: str, refuses: int) -> int:
        level = self.refused.get(question, 0)
        offset, answer = self.turn.answers[question][level]
        if refuses and answer % refuses == 0:
            self.refused[question] = level + 1
            raise Refused
        self.used.append(offset)
        return answer

    def rows(self, table: str) -> list[Cell]:
        """The rows that the turn sees, by key."""
        found: dict[str, Cell | None] = dict(self.model.tables[table])
        if table == "items":
            found |= self.items
        return sorted(row for row in found.values() if row is not None)

    def look(self, read: Read, at: int) -> Any:
        rows = self.rows(read.table)
        ordered = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
        match read.of:
            case "row":
                return next((row for row in rows if row[0] == KEYS[at]), None)
            case "bucket":
                return [row for row in rows if row[1] == at]
            case "count":
                return len([row for row in rows if row[1] == at])
            case "range":
                return [row for row in ordered if row[1] == at % 3 and at <= row[2] <= at + 4]
            case "first":
                return [row for row in ordered if row[1] == at % 3][:2]
            case "all":
                return rows
            case "before":
                return self.model.before(at)
            case view:
                return self.model.view(view, KEYS[at])


class _History:
    """Walks a log; `found` says where a decision is not what a serial run decides."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = programs
        self.model = Model()
        self.turns: dict[str, _Turn] = {}
        self.commands: dict[int, int] = {}
        self.found: list[str] = []

    def take(self, entry: Entry) -> None:
        body = json.loads(entry.body)
        self.model.at_us = entry.at_us
        match body["kind"]:
            case "events":
                self.events(body, entry.offset)
            case "attempted":
                turn = self.turns.setdefault(body["turn"], _Turn())
                for sent in body.get("asks", ()):
                    turn.questions[sent["hash"], sent["occurrence"]] = sent["request"]
            case "answered":
                self.turns[body["turn"]].remember(body, entry.offset)
            case "decided":
                self.decided(body)
            case _:
                pass

    def events(self, body: dict[str, Any], offset: int) -> None:
        for place, data in enumerate(body["data"]):
            if body["stream"] == "commands":
                self.commands[offset + place] = data["value"]
            else:
                self.model.put(body["stream"], body["keys"][place] if data is None else data["key"], data)

    def decided(self, body: dict[str, Any]) -> None:
        program = self.programs[int(body["agent"].removeprefix("agent"))]
        try:
            run = self.serially(program, body)
        except (LookupError, TypeError) as error:
            self.found.append(f"{body['turn']}: a serial run asks something else or sees nothing: {error!r}")
        else:
            self.compare(body, run)
        for write in body.get("writes", ()):
            self.model.put(write["to"], write["key"], write["row"])
        for emit in body.get("emits", ()):
            self.model.put(emit["to"], emit["key"], emit["data"])

    def serially(self, program: Program, body: dict[str, Any]) -> _Run:
        match program.wakes_on:
            case "commands":
                seen: Any = [self.commands[offset] for offset in body["wake"]["events"]]
            case "facts":
                seen = self.model.tables["facts"][body["key"]][2]
            case view:
                seen = self.model.view(view, body["key"])
                if seen is None:
                    raise LookupError(body["key"])
        refused: dict[str, int] = {}
        for _ in range(MAX_REFUSALS + 1):
            run = _Run(self.model, self.turns.get(body["turn"], _Turn()), refused)
            try:
                run.follow(program, mix(0, seen))
            except Refused:
                continue
            return run
        raise LookupError("it refuses for ever")

    def compare(self, body: dict[str, Any], run: _Run) -> None:
        wrote = {
            w["key"]: w["row"] and (w["row"]["key"], w["row"]["group"], w["row"]["value"])
            for w in body.get("writes", ())
        }
        emitted = [(e["data"]["key"], e["data"]["group"], e["data"]["value"]) for e in body.get("emits", ())]
        effects = [(e["effect"], e["args"]) for e in body.get("effects", ())]
        for what, it, serial in (
            ("wrote", wrote, run.items),
            ("emitted", emitted, run.emits),
            ("intended", effects, run.effects),
            ("used the answers", body.get("answers", []), run.used),
        ):
            if it != serial:
                self.found.append(f"{body['turn']} {what} {it}; serially it is {serial}")


def strays(entries: Iterable[Entry], programs: Sequence[Program]) -> list[str]:
    """Where the committed history is no serial one, in words; nothing where it is."""
    history = _History(programs)
    for entry in entries:
        history.take(entry)
    return history.found
