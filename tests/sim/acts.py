"""Effects under audit: their steps in the log against their declarations, and against what was really done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.sim.program import CONCURRENCY, EVERY_US
from tests.sim.serial import Tables

if TYPE_CHECKING:
    from tests.sim.target import Target

__all__ = ["Acts"]

ENDS = {"settled", "failed", "withdrawn"}
UNDO = "/undo"


class _Act:
    """An effect that a decision intends, or the undoing of one."""

    def __init__(self, key: str, intent: dict[str, Any], line: str) -> None:
        self.key = key
        self.effect: str = intent["effect"]
        self.args: list[str] = intent["args"]
        self.once: str = intent.get("once", "")
        self.calm: str | None = intent["guard"]["args"][0] if intent.get("guard") else None
        self.line = line if intent.get("in_order", True) else ""
        self.states: list[str] = ["intended"]
        self.over = False
        self.instead_of = ""
        self.undone = False
        self.taken_back = False


class Acts:
    """All effects of a life. `wrong(invariant, where)` is told what does not hold."""

    def __init__(self, tables: Tables, wrong: Callable[[str, str], None]) -> None:
        self.tables = tables
        self.wrong = wrong
        self.all: dict[str, _Act] = {}
        self._begun_us: dict[str, int] = {}
        self._lines: dict[str, list[_Act]] = {}

    # ---- the log

    def intended(self, decision: dict[str, Any]) -> None:
        line = f"{decision['agent']}:{decision['key']}"
        for turn in decision.get("undoes", ()):
            for act in self.all.values():
                act.taken_back |= act.key.startswith(f"{turn}/")
        for intent in decision.get("effects", ()):
            act = _Act(f"{decision['turn']}/{intent['slot']}", intent, line)
            self.all[act.key] = act
            if act.line:
                self._lines.setdefault(line, []).append(act)

    def moved(self, body: dict[str, Any]) -> None:
        for move in body["moves"]:
            act = self.all[move["key"]]
            if move["state"] == "performing":
                self._begins(act)
            act.states.append(move["state"])
            act.over = move["state"] in ENDS and move.get("retry_at_us") is None
            act.instead_of = move.get("of", "")
        slots = [(undo["key"].rpartition("@")[0], undo["key"]) for undo in body.get("undos", ())]
        if slots != sorted(slots, key=lambda slot: slot[1], reverse=True) and len({turn for turn, _ in slots}) == 1:
            self.wrong("effects", f"the undos {slots} are not in reverse order")
        for undo in body.get("undos", ()):
            undoes = self.all[undo["key"].removesuffix(UNDO)]
            if undoes.undone or undoes.states[-1] != "settled":
                self.wrong("effects", f"{undo['key']} undoes what is {undoes.states[-1]}")
            undoes.undone = True
            self.all[undo["key"]] = _Act(undo["key"], undo | {"in_order": False}, "")

    def _begins(self, act: _Act) -> None:
        """It may begin: it is known to be open, it is its turn, its guard holds, and its limits leave room."""
        if act.effect == "neither" and act.states[-1] == "unknown":
            self.wrong("effects", f"{act.key} is performed again, and nobody knows whether it has happened")
        if act.effect == "looked_up" and act.states[-1] == "unknown":
            self.wrong("effects", f"{act.key} is performed again without a look")
        if act.over or act.states[-1] == "performing":
            self.wrong("effects", f"{act.key} is performed while it is {act.states[-1]}")
        earlier = self._lines.get(act.line, [])
        if act.line and any(not one.over for one in earlier[: earlier.index(act)]):
            self.wrong("order per key", f"{act.key} begins before an earlier one has ended")
        if act.calm is not None and not self.tables.calm(act.calm):
            self.wrong("guards", f"{act.key} begins, and `{act.calm}` is not calm")
        at_us = self.tables.at_us
        running = sum(one.states[-1] == "performing" for one in self.all.values() if one.effect == act.effect)
        if running >= CONCURRENCY.get(act.effect, 1_000):
            self.wrong("limits", f"{act.key} is one too many at a time")
        if at_us - self._begun_us.get(act.effect, 0) < EVERY_US.get(act.effect, 0):
            self.wrong("limits", f"{act.key} begins too soon after the one before")
        self._begun_us[act.effect] = at_us

    # ---- what was done

    def acting(self, key: str) -> None:
        """The target is asked to act: that was decided, and said to begin, durably."""
        act = self.all.get(key)
        if act is None:
            self.wrong("effects", f"{key} is performed, and no decision on the disk intends it")
        elif "performing" not in act.states:
            self.wrong("effects", f"{key} is performed, and the disk does not say that it has begun")

    def finished(self, target: Target) -> None:
        """Each came to its end, and what the log says of it is what was done."""
        for key, act in self.all.items():
            done, state = target.done[key], act.states[-1]
            if not act.over:
                self.wrong("effects", f"{key} does not come to its end: {act.states}")
            if act.effect == "take_back":
                continue
            if act.taken_back and act.effect == "keyed" and state == "settled" and not (act.undone or act.instead_of):
                self.wrong("effects", f"{key} stands, and its decision is taken back")
            expected = int(state == "settled" and not act.instead_of)
            if act.over and done != expected:
                self.wrong("effects", f"{key} ({act.effect}) is {state} and was done {done} times")
        strangers = set(target.done) - set(self.all)
        for key in strangers:
            self.wrong("effects", f"{key} was done, and no decision intends it")
        self._once()

    def _once(self) -> None:
        """Of those with one business key, one has happened that was not taken back."""
        standing = Counter(
            (act.effect, act.once)
            for act in self.all.values()
            if act.once and act.states[-1] == "settled" and not act.instead_of and not act.undone
        )
        for (effect, once), count in standing.items():
            if count > 1:
                self.wrong("effects", f"{effect} happened {count} times under the business key {once}")
