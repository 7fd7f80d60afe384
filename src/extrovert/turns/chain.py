"""Chains: how many decisions, one after the other, led to what is being applied, since something came from outside.

Whatever a decision brings about has its depth: the rows that it puts and the views that hang on them, the events that
it emits and what is derived from them, the outcomes of its effects. A wake to which something from outside has
contributed begins a chain anew; one that decisions alone have caused is as deep as the deepest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from extrovert.core.log import Wake

__all__ = ["OUTSIDE", "Cause", "Chain", "after", "cycle", "merged", "outside"]

SHOWN = 6
"""So many agents of a chain are remembered, to be told: a cycle is longer than that only where it is hard to see."""


class Cause(NamedTuple):
    """What brought something about: a chain of `hops` decisions, the last of them by the agents in `via`."""

    hops: int = 0
    via: Sequence[str] = ()


OUTSIDE = Cause()


class Chain:
    """The cause of what the fold is applying now."""

    def __init__(self) -> None:
        self.now = OUTSIDE

    def follows(self, agent: str, wake: Wake) -> None:
        """What is applied follows from a turn of `agent` with this wake."""
        self.now = after(agent, wake)


def after(agent: str, wake: Wake) -> Cause:
    """The cause of what follows from a turn of `agent` with this wake."""
    return Cause(wake.hops + 1, [*wake.via, agent][-SHOWN:])


def merged(one: Cause | Wake, other: Cause | Wake) -> Cause | Wake:
    """The cause of what two causes have brought about together."""
    if one.hops and other.hops:
        return one if one.hops >= other.hops else other
    return OUTSIDE


def outside(wake: Wake) -> Wake:
    """The wake of a turn that has since heard from outside: of the clock, a person or a source."""
    return wake.but(hops=0, via=[]) if wake.hops else wake


def cycle(wake: Wake, agent: str, most: int) -> str:
    """Why a wake is not to become a turn, since more than `most` decisions have led to it; "" where it may."""
    if wake.hops < most:
        return ""
    before = "… → " if wake.hops > len(wake.via) else ""
    return (
        f"{before}{' → '.join([*wake.via, agent])}: {wake.hops} decisions followed from one another, with nothing from "
        f"outside. If they would go on like this for ever, let one of these agents leave alone what the others have "
        f"done (when=, or no write where nothing is new); if not, allow more: App(…, max_hops=…)."
    )
