"""What happens to the job, what the shop that takes the order can do, and who does the job."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.peers.systems import DBOS, LANGGRAPH, System

__all__ = ["OURS", "SCENARIOS", "SYSTEMS", "TARGETS", "Case", "Scenario", "Target", "cases"]

Crash = Literal["", "thinking", "effect"]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What happens: a `crash` while the model thinks or between effect and checkpoint, and when the price changes."""

    name: str
    what: str
    crash: Crash = ""
    changes_while_thinking: bool = False
    changes_while_down: bool = False


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop can do about an order that comes twice."""

    name: str
    what: str


class Case(msgspec.Struct, frozen=True):
    """One row of the comparison."""

    scenario: Scenario
    target: Target

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.target.name}"


SCENARIOS = (
    Scenario(name="calm", what="nothing happens"),
    Scenario(name="change", what="the price changes while the model thinks", changes_while_thinking=True),
    Scenario(name="crash", what="crash between effect and checkpoint", crash="effect"),
    Scenario(
        name="change, crash",
        what="the price changes while the model thinks, and a crash between effect and checkpoint",
        changes_while_thinking=True,
        crash="effect",
    ),
    Scenario(
        name="crash, change",
        what="crash between effect and checkpoint; the price changes before the restart",
        crash="effect",
        changes_while_down=True,
    ),
    Scenario(
        name="early crash, change",
        what="crash while the model thinks; the price changes before the restart",
        crash="thinking",
        changes_while_down=True,
    ),
)
KEYS = Target(name="keys", what="drops an idempotency key that it has seen")
LOOK_UP = Target(name="look-up", what="knows no keys, but can be asked whether an order is there")
NEITHER = Target(name="neither", what="books what comes")
TARGETS = (KEYS, LOOK_UP, NEITHER)

OURS = System(name="extrovert", title="Extrovert", module="ours", works=())
SYSTEMS = (
    OURS,
    System(name="dbos", title="DBOS", module="on_dbos", works=(), requires=DBOS),
    System(
        name="dbos-careful", title="DBOS, read again", module="on_dbos", works=(), requires=DBOS, variant="read again"
    ),
    System(name="langgraph", title="LangGraph", module="on_langgraph", works=(), requires=LANGGRAPH),
    System(
        name="langgraph-careful",
        title="LangGraph, read again",
        module="on_langgraph",
        works=(),
        requires=LANGGRAPH,
        variant="read again",
    ),
)


def cases() -> list[Case]:
    """Each scenario with each kind of shop where an order may come twice; the others with one that knows keys."""
    return [
        Case(scenario, target)
        for scenario in SCENARIOS
        for target in (TARGETS if scenario.crash == "effect" else TARGETS[:1])
    ]
