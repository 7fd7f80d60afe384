"""A turn from its wake to its end: what is remembered of it between its attempts."""

from __future__ import annotations

from typing import Any

from extrovert.context.reads import ReadSet
from extrovert.core.asked import is_prompt, whole
from extrovert.core.log import AskSent, Attempted, Wake
from extrovert.turns.attempt import Attempt
from extrovert.turns.declare import Agent
from extrovert.turns.request import Answer, Place

__all__ = ["HOLD", "WAITS", "Running", "turn_id"]

WAITS = frozenset({"sleep", "next", "approval"})
HOLD = "hold"
"""Where the answer is remembered to the one question that the engine asks in a turn's name: may it go on?"""


def turn_id(agent: str, key: Any, wake: Wake) -> str:
    """A turn's name: unique, since no two turns of an agent and key are due at the same offset."""
    return f"{agent}:{key}@{wake.offset}"


class Running:
    """A turn that has begun. Everything but `reads`, `asked`, `lost`, `suspended`, `value` and its `version` is a fold
    of the log.

    `calls` are the asks in flight, with the engine time at which each was sent, of which those that are `lost` were in
    flight in an earlier life, and nobody answers them; `answers` what was remembered; `latest` its latest prompt, which
    the next may repeat, unless it parks; `reads` what the latest attempt read (watched while it waits), `asked` the
    places of what it asked, in order; `changes` the names of all that changed on the way. `inbox` has the events that
    came of what it waits for. A guarded turn has the `positions` of its answers. One that is held until the sources of
    streams are heard has their names in `silent`. `trail` has the offsets of its entries, `admissions` of those that
    let its asks be sent. `suspended` is the attempt itself, which waits, and goes on where it stands if nothing that it
    read has changed.
    """

    __slots__ = (
        "admissions",
        "agent",
        "answers",
        "asked",
        "attempt",
        "calls",
        "changes",
        "checked_us",
        "events",
        "failures",
        "id",
        "inbox",
        "key",
        "latest",
        "lost",
        "positions",
        "reads",
        "reruns",
        "retry_at_us",
        "silent",
        "started_us",
        "suspended",
        "trail",
        "value",
        "version",
        "wake",
        "wall_us",
    )

    def __init__(self, agent: Agent[Any], key: Any, wake: Wake, events: list[tuple[int, Any]], started_us: int) -> None:
        self.id = turn_id(agent.name, key, wake)
        self.agent = agent
        self.key = key
        self.wake = wake
        self.events = events
        self.started_us = started_us
        self.value: Any = None
        self.version = 0
        self.calls: dict[Place, tuple[AskSent, int]] = {}
        self.latest: AskSent | None = None
        self.lost: frozenset[Place] = frozenset()
        self.asked: list[Place] = []
        self.changes: dict[str, None] = {}
        self.inbox: dict[tuple[str, Any], list[tuple[int, Any]]] = {}
        self.positions: list[Place] = []
        self.answers: dict[Place, Answer] = {}
        self.reads: ReadSet = {}
        self.trail: list[int] = []
        self.admissions: list[int] = []
        self.attempt = 0
        self.checked_us = started_us
        self.reruns = 0
        self.failures = 0
        self.retry_at_us: int | None = None
        self.silent: tuple[str, ...] = ()
        self.suspended: Attempt | None = None
        self.wall_us = 0

    @property
    def order(self) -> tuple[Any, ...]:
        return (1, self.agent.name, self.key)

    def attempted(self, body: Attempted, offset: int, at_us: int) -> None:
        """An attempt has asked, and waits."""
        self.attempt = body.attempt
        self.checked_us = at_us
        self.retry_at_us = None
        self.silent = tuple(body.silent)
        self.trail.append(offset)
        self.changes.update(dict.fromkeys(body.changed))
        self.positions += body.positions
        if body.changed and body.asks:
            self.reruns += 1
        asks = whole(body.asks, self.prompts) if [sent for sent in body.asks if sent.like] else body.asks
        for place in [place for place in self.calls if place[0] in body.cancelled]:
            del self.calls[place]
        for sent in asks:
            self.calls[sent.hash, sent.occurrence] = (sent, at_us)
            if is_prompt(sent):
                self.latest = sent

    @property
    def prompts(self) -> list[AskSent]:
        """What an ask of its may be told by: its prompts in flight, and its latest one."""
        found = [sent for sent, _ in self.calls.values() if is_prompt(sent)]
        return found if self.latest is None else [*found, self.latest]

    @property
    def whole_trail(self) -> list[int]:
        """The offsets of all its entries."""
        return sorted((*self.trail, *self.admissions)) if self.admissions else self.trail

    @property
    def parks(self) -> bool:
        """Whether it waits for nothing but the clock, events, persons and sources."""
        return bool(self.calls or self.silent) and all(sent.kind in WAITS for sent, _ in self.calls.values())

    @property
    def held(self) -> bool:
        """Whether it waits for a person to say if it may go on."""
        return any(place[0] == HOLD for place in self.calls)

    def let_go(self) -> None:
        """The attempt that waits will not go on."""
        attempt, self.suspended = self.suspended, None
        if attempt is not None:
            attempt.drop()

    def watch(self, reads: ReadSet) -> None:
        """Wants to be told when one of `reads` changes, and of nothing else; an attempt that goes on may read more."""
        if reads.keys() != self.reads.keys():
            for of, selector in self.reads:
                of.unwatch(selector, self)
            for of, selector in reads:
                of.watch(selector, self)
        self.reads = dict(reads)
