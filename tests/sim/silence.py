"""Silence under audit: how long ago each source was heard, as the log tells it, and what rests on that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from tests.sim.feed import Feed
from tests.sim.plan import BEGIN_US, Plan, Program

__all__ = ["Silence"]

FOLLOWS = {"facts": "facts", "summary": "facts", "notes": "notes"}
"""The streams from outside that tables, their indexes and the view follow. Turns write the other tables."""


class Silence:
    """The sources of a plan's life. `wrong(invariant, where)` is told what does not hold; `met` what silence did."""

    def __init__(self, plan: Plan, wrong: Callable[[str, str], None]) -> None:
        self.plan = plan
        self.wrong = wrong
        self.met: set[str] = set()
        self.said: defaultdict[str, set[int]] = defaultdict(set)
        self._feed = Feed(plan)
        self._heard: dict[str, int] = {}

    # ---- when sources were heard

    def came(self, stream: str, at_us: int) -> None:
        self._heard[stream] = at_us

    def heard(self, body: dict[str, Any]) -> None:
        """A source was heard: the feed says that it is there, or the client has said so."""
        for stream, at_us in body["heard"].items():
            self._heard[stream] = max(at_us, self._heard.get(stream, 0))
            if at_us not in self.said[stream] and at_us != self._feed.heard_us(at_us):
                self.wrong("fresh", f"{stream} was heard at {at_us - BEGIN_US} µs, and nobody has said anything")

    def _too_old(self, program: Program, at_us: int) -> set[str]:
        """The streams that have been silent for longer than a program allows."""
        if program.fresh_ms is None:
            return set()
        latest_us = at_us - program.fresh_ms * 1000
        return {stream for stream in FOLLOWS.values() if self._heard.get(stream, 0) < latest_us}

    # ---- what rests on that

    def attempted(self, program: Program, body: dict[str, Any], at_us: int) -> None:
        """A turn asks over what is fresh, or another than its model; one that is held has a reason."""
        too_old = self._too_old(program, at_us)
        held = body.get("silent", [])
        if held:
            self.met.add("held")
            self._is_so(f"{body['turn']} is held", held, too_old)
            if program.stale != "wait":
                self.wrong("fresh", f"{body['turn']} is held, and does not want to wait")
        elif FOLLOWS.get(program.wakes_on) in too_old:
            own = self.plan.asked_by(program, silent=False)
            for ask in body.get("asks", ()):
                if ask["hash"] != "hold" and (program.stale != "fallback" or ask["model"] == own):
                    self.wrong("fresh", f"{body['turn']} asks over what is too old")

    def decided(self, program: Program, body: dict[str, Any], at_us: int) -> None:
        """No decision rests on what is too old, but for those that say so, and leave it to another."""
        too_old, silent = self._too_old(program, at_us), body.get("silent", [])
        read = {FOLLOWS.get(read["of"].partition(".")[0], "") for read in body["reads"]}
        if silent:
            self.met.add("decided by another")
            self._is_so(f"{body['turn']} leaves it to another", silent, too_old)
        if silent and program.stale != "fallback":
            self.wrong("fresh", f"{body['turn']} was decided although {silent} was silent")
        if missed := read & too_old - set(silent):
            self.wrong("fresh", f"{body['turn']} was decided on {sorted(missed)}, which was silent for too long")

    def ended(self, program: Program, body: dict[str, Any], at_us: int) -> None:
        if body["outcome"] == "stale":
            self.met.add("refused")
            if program.stale != "refuse" or not self._too_old(program, at_us):
                self.wrong("fresh", f"{body['turn']} ends as stale for no reason")

    def _is_so(self, what: str, silent: Iterable[str], too_old: set[str]) -> None:
        if strange := set(silent) - too_old:
            self.wrong("fresh", f"{what}, since {sorted(strange)} is silent, and it is not")
