"""The invariants: what must hold of the durable log, and of what was done outside, after each step of a life.

The auditor is told each entry as soon as it is durable, and each act before it is done. What it finds wrong it keeps as
faults, in words, under the name of the invariant.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import Entry
from tests.sim.acts import Acts
from tests.sim.budgets import Budgets
from tests.sim.plan import BEGIN_US, KEYS, Plan
from tests.sim.serial import Remembered, Tables, taken_again
from tests.sim.silence import Silence

if TYPE_CHECKING:
    from tests.sim.world import World

__all__ = ["Auditor", "Fault"]

Fault = tuple[str, str]
"""The invariant that does not hold, and where."""

Who = tuple[str, str]


class Auditor:
    """Reads the log of a plan's life, entry by entry."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.faults: list[Fault] = []
        self.programs = {f"agent{number}": program for number, program in enumerate(plan.programs)}
        self.order = {one.id: number for number, one in reversed(list(enumerate(plan.happenings)))}
        self.tables = Tables()
        self.acts = Acts(self.tables, self.wrong)
        self.budgets = Budgets(plan, self.wrong)
        self.silence = Silence(plan, self.wrong)
        self.end = 1
        self.came: Counter[tuple[str, str]] = Counter()
        self.letters = 0
        self._latest: dict[tuple[str, str, str], int] = {}
        self._position = 0
        self._commands: dict[int, tuple[str, int]] = {}
        self._unseen: dict[Who, list[int]] = {(name, key): [] for name in self.programs for key in KEYS}
        self._events_of: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
        self._delayed: list[tuple[int, int, dict[str, Any]]] = []
        self._turns: dict[str, Remembered] = {}
        self._running: dict[str, Who] = {}
        self._open: defaultdict[str, dict[tuple[str, int], str]] = defaultdict(dict)
        self._held: set[str] = set()
        self._listens: dict[tuple[str, str, str], int] = {}
        self._heard: Counter[tuple[str, str, str]] = Counter()
        self._saw: dict[Who, str] = {}

    def wrong(self, invariant: str, where: str) -> None:
        self.faults.append((invariant, where))

    # ---- entries, as they become durable

    def reopened(self, entries: Iterable[Entry], end: int) -> None:
        """A new life has opened the log: what was durable is still there."""
        if end < self.end:
            self.wrong("what is durable stays", f"the log ended at {self.end}, and ends at {end} now")
        self.wrote(entries)
        self.budgets.reopened(self.end)

    def wrote(self, entries: Iterable[Entry]) -> None:
        """These entries are durable."""
        for entry in entries:
            if entry.offset != self.end:
                self.wrong("one history", f"offset {entry.offset} ({entry.kind}) is written where {self.end} was due")
                return
            self.end = entry.offset + entry.count
            if entry.at_us < self.tables.at_us:
                self.wrong("time never runs backwards", f"offset {entry.offset}: {entry.at_us - BEGIN_US} µs")
            self.tables.at_us = entry.at_us
            self._take(json.loads(entry.body), entry.offset)

    def _take(self, body: dict[str, Any], offset: int) -> None:  # noqa: C901 -- a case per kind
        match body["kind"]:
            case "events":
                self._events(body, offset)
            case "attempted":
                self._begun(body)
                self._waits(body)
                self.budgets.attempted(body, offset)
                self.silence.attempted(self.programs[body["agent"]], body, self.tables.at_us)
                for ask in body.get("asks", ()):
                    self._turns[body["turn"]].sent(ask)
                    if ask.get("kind") == "next":
                        about = ask["request"]
                        self._listens.setdefault((body["turn"], about["stream"], about["key"]), offset)
                self._emitted(body, offset)
            case "admitted":
                self.budgets.admitted(body, offset, self.tables.at_us)
            case "answered":
                self.budgets.answered(body, offset)
                self._answered(body, offset)
            case "unanswered":
                self.budgets.unanswered(body, offset)
            case "failed":
                self._begun(body)
                self.budgets.ended(body["turn"], offset)
                self._open[body["turn"]].clear()
                self._held.discard(body["turn"])
            case "decided":
                self._begun(body)
                self.silence.decided(self.programs[body["agent"]], body, self.tables.at_us)
                self._decided(body, offset)
                self._ended(body, offset)
            case "ended":
                self._begun(body)
                self.silence.ended(self.programs[body["agent"]], body, self.tables.at_us)
                self._ended(body, offset)
            case "heard":
                self.silence.heard(body)
            case "passed":
                self._passed(offset)
            case "effects":
                self.acts.moved(body)
            case "dead":
                self.letters += 1
            case _:
                pass

    # ---- no event lost, none twice, in order

    def _events(self, body: dict[str, Any], offset: int) -> None:
        stream, source = body["stream"], body.get("source", "")
        self.silence.came(stream, self.tables.at_us)
        for place, data in enumerate(body["data"]):
            if data is None:
                self.tables.put(stream, body["keys"][place], None, offset + place)
                continue
            key = data["key"]
            if data.get("id") is not None:
                self._once_and_in_order(source, stream, key, data["id"])
            self._delivered(stream, key, data, offset + place)
        position = body.get("position")
        if source == "feed" and position is not None:
            if position <= self._position:
                self.wrong("no event twice", f"the feed is at {position} after {self._position}")
            self._position = position

    def _delivered(self, stream: str, key: str, data: dict[str, Any], offset: int) -> None:
        """An event is there: for a table, for who waits for it, for who wakes on it."""
        self._events_of.setdefault((stream, key), []).append((offset, data))
        if stream in self.tables.rows:
            self.tables.put(stream, key, data, offset)
        if stream == "commands":
            self._commands[offset] = (key, data.get("value", 0))
            for name, program in self.programs.items():
                if program.wakes_on == "commands":
                    self._unseen[name, key].append(offset)

    def _emitted(self, body: dict[str, Any], offset: int) -> None:
        """What a turn emits is there at once, or when its moment has passed."""
        for step, emit in enumerate(body.get("emits", ()), start=1):
            if emit.get("due_us") is not None and emit["due_us"] > self.tables.at_us:
                self._delayed.append((emit["due_us"], offset + step, emit))
            else:
                self._delivered(emit["to"], emit["key"], emit["data"], offset + step)

    def _passed(self, offset: int) -> None:
        for one in sorted(one for one in self._delayed if one[0] <= self.tables.at_us):
            self._delayed.remove(one)
            self._delivered(one[2]["to"], one[2]["key"], one[2]["data"], offset)

    def _once_and_in_order(self, source: str, stream: str, key: str, event: str) -> None:
        self.came[source, event] += 1
        if self.came[source, event] > 1:
            self.wrong("no event twice", f"event {event} of the {source}")
        place = (source, stream, key)
        if self.order[event] < self._latest.get(place, -1):
            self.wrong("order per key", f"event {event} of the {source} is late for `{key}`")
        self._latest[place] = self.order[event]

    # ---- turns

    def _begun(self, body: dict[str, Any]) -> None:
        """A turn has begun, if it had not: one at a time for an agent and key, and no more than the agent allows,
        without those that wait for nothing but the clock, events, persons and sources."""
        turn, who = body["turn"], (body["agent"], body["key"])
        if turn in self._running:
            return
        if who in self._running.values():
            self.wrong("one turn at a time per key", f"{turn} begins while another runs")
        if turn in self._turns:
            self.wrong("no wake twice", f"{turn} runs again after its end")
        self._running[turn] = who
        self._turns[turn] = Remembered()
        running = sum(agent == who[0] for other, (agent, _) in self._running.items() if not self._parks(other))
        if running > self.programs[who[0]].concurrency:
            self.wrong("limits", f"{running} turns of {who[0]} run at a time")

    def _parks(self, turn: str) -> bool:
        waits = self._open[turn].values()
        return (bool(waits) or turn in self._held) and all(kind in ("sleep", "next", "approval") for kind in waits)

    def _waits(self, body: dict[str, Any]) -> None:
        """What a turn waits for after an attempt."""
        cancelled, waits = body.get("cancelled", ()), self._open[body["turn"]]
        self._held.discard(body["turn"])
        if body.get("silent"):
            self._held.add(body["turn"])
        for place in [place for place in waits if place[0] in cancelled]:
            del waits[place]
        waits.update(((ask["hash"], ask["occurrence"]), ask.get("kind", "ask")) for ask in body.get("asks", ()))

    def _answered(self, body: dict[str, Any], offset: int) -> None:
        turn = self._turns[body["turn"]]
        place = (body["hash"], body["occurrence"])
        kind, text = turn.asked[place]
        self._open[body["turn"]].pop(place, None)
        if kind == "next":
            self._heard_next(body, json.loads(text))
        turn.came(body, offset, self.tables.at_us)

    def _heard_next(self, body: dict[str, Any], about: dict[str, Any]) -> None:
        """From its first wait on, a turn is given each event, one after the other; null where there was none."""
        place: tuple[str, str, str] = (body["turn"], about["stream"], about["key"])
        came = [data for at, data in self._events_of.get(place[1:], ()) if at > self._listens[place]]
        expected = came[self._heard[place]] if len(came) > self._heard[place] else None
        self._heard[place] += expected is not None
        if body["answer"] != expected:
            self.wrong("no event lost", f"{body['turn']} waited for {place[1:]}: {body['answer']} is not {expected}")

    def _decided(self, body: dict[str, Any], offset: int) -> None:
        """A decision is what its agent decides on what is true now, and what it says that it read is true now."""
        program, key = self.programs[body["agent"]], body["key"]
        if program.wakes_on == "commands":
            seen: Any = [self._commands[at][1] for at in body["wake"].get("events", ())]
        else:
            seen = self.tables.value(program.wakes_on, key)
        if not body.get("guarded"):  # whose answers were given to earlier questions
            model = self.plan.asked_by(program, silent=bool(body.get("silent")))
            for strange in taken_again(program, body, seen, self.tables, self._turns[body["turn"]], model):
                self.wrong("serial", strange)
        for read in body["reads"]:
            if read["kind"] == "row" and read["version"] != self.tables.versions.get((read["of"], read["at"]), 0):
                self.wrong("reads are true", f"{body['turn']} read {read['of']}/{read['at']} at {read['version']}")
            elif read["kind"] == "before" and read["version"] != (self.tables.at_us < read["at"]):
                self.wrong("reads are true", f"{body['turn']} took it to be another time")
        for write in body.get("writes", ()):
            self.tables.put(write["to"], write["key"], write["row"], offset)
        self._emitted(body, offset)
        self.acts.intended(body)

    def _ended(self, body: dict[str, Any], offset: int) -> None:
        """A turn on a stream has seen the oldest events that waited; one on a table or view saw a value."""
        who, wake = (body["agent"], body["key"]), body["wake"]
        self.budgets.ended(body["turn"], offset)
        del self._running[body["turn"]]
        self._open.pop(body["turn"], None)
        self._saw[who] = wake.get("digest", "")
        seen = wake.get("events", [])
        if seen != self._unseen[who][: len(seen)]:
            self.wrong("order per key", f"{body['turn']} saw {seen} of {self._unseen[who]}")
        self._unseen[who] = [at for at in self._unseen[who] if at not in seen]

    # ---- in the end

    def finished(self, world: World) -> None:
        """All that came was taken in and seen, all that was intended came to its end, and nothing is under way."""
        for one in world.plan.happenings:
            if one.value is not None and not self.came[one.by, one.id]:
                self.wrong("no event lost", f"event {one.id} of the {one.by}")
        for (agent, key), offsets in self._unseen.items():
            if offsets:
                self.wrong("no wake lost", f"{agent} has not seen {offsets} of `{key}`")
        for name, program in self.programs.items():
            for key in KEYS if program.wakes_on != "commands" else ():
                self._saw_present(name, program.wakes_on, key)
        if self._delayed:
            self.wrong("no event lost", f"{self._delayed} was not delivered")
        for turn in self._running:
            self.wrong("no wake lost", f"{turn} does not end")
        self.acts.finished(world.target)
        self.budgets.finished()

    def _saw_present(self, agent: str, wakes_on: str, key: str) -> None:
        """The last turn of an agent and key has seen what is true now."""
        value = self.tables.value(wakes_on, key)
        if value is None:
            return
        of_row = str(self.tables.versions["facts", key])
        present = fingerprint(canonical(value)) if wakes_on == "summary" else of_row
        if self._saw.get((agent, key), "") != present:
            self.wrong("no wake lost", f"{agent} has not seen what {wakes_on}/{key} is")
