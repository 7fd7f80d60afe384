"""A turn from its wake to its end: what is remembered of it between its attempts."""

from __future__ import annotations

from typing import Any

from extrovert.context.reads import ReadSet
from extrovert.core.log import AskSent, Wake
from extrovert.turns.attempt import Attempt
from extrovert.turns.declare import Agent
from extrovert.turns.request import Answer
from extrovert.turns.turn import Place

__all__ = ["Running", "turn_id"]


def turn_id(agent: str, key: Any, wake: Wake) -> str:
    """A turn's name: unique, since no two turns of an agent and key are due at the same offset."""
    return f"{agent}:{key}@{wake.offset}"


class Running:
    """A turn that has begun. Everything but `reads`, `parked`, `value` and its `version` is a fold of the log.

    `calls` are the asks in flight, with the engine time at which each was sent; `answers` what was remembered; `reads`
    what the latest attempt read (watched while it waits). `parked` is the attempt itself where agents run unvalidated.
    """

    __slots__ = (
        "agent",
        "answers",
        "attempt",
        "calls",
        "checked_us",
        "events",
        "failures",
        "id",
        "key",
        "parked",
        "reads",
        "reruns",
        "retry_at_us",
        "started_us",
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
        self.answers: dict[Place, Answer] = {}
        self.reads: ReadSet = {}
        self.trail: list[int] = []
        self.attempt = 0
        self.checked_us = started_us
        self.reruns = 0
        self.failures = 0
        self.retry_at_us: int | None = None
        self.parked: Attempt | None = None
        self.wall_us = 0

    @property
    def order(self) -> tuple[Any, ...]:
        return (1, self.agent.name, self.key)

    def watch(self, reads: ReadSet) -> None:
        """Wants to be told when one of `reads` changes, and of nothing else."""
        if reads.keys() != self.reads.keys():
            for of, selector in self.reads:
                of.unwatch(selector, self)
            for of, selector in reads:
                of.watch(selector, self)
        self.reads = reads
