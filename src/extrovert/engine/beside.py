"""Beside: what a shadow decided, compared with what another agent decided of the same change of the world."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.log import Decided, Ended, Entry
from extrovert.core.ports import Store
from extrovert.engine.comparing import Compared, Side, compared, side_of
from extrovert.engine.recorded import given_in

__all__ = ["NO_TURN", "beside"]

NO_TURN = "no turn"
"""The outcome where one of the two had no turn of that change: it was in another, or waits."""

_end: msgspec.json.Decoder[Decided | Ended] = msgspec.json.Decoder(Decided | Ended)
_Pairs = dict[tuple[Any, int], tuple[Entry, Decided | Ended]]


def beside(store: Store, shadow: str, live: str) -> list[Compared]:
    """Each change that woke the shadow, with what the `live` agent made of it as recorded, in order.

    A change of which only the live agent had a turn counts too, from the shadow's first turn to its latest.
    """
    candidates, recorded = _turns(store, shadow), _turns(store, live)
    if not candidates:
        return []
    offsets = [offset for _, offset in candidates]
    recorded = {at: one for at, one in recorded.items() if min(offsets) <= at[1] <= max(offsets)}
    found: list[Compared] = []
    for place in {**candidates, **recorded}:
        entry, body = recorded.get(place) or candidates[place]
        sides = [_side(store, turns.get(place)) for turns in (recorded, candidates)]
        found.append(compared(body, entry.offset, entry.at_us, shadow, *sides))
    return sorted(found, key=lambda one: one.offset)


def _turns(store: Store, agent: str) -> _Pairs:
    """The turns of an agent by key and by the change that woke them."""
    found: _Pairs = {}
    for entry in store.ended(agent=agent, limit=-1):
        body = _end.decode(entry.body)
        found[body.key, body.wake.offset] = entry, body
    return found


def _side(store: Store, turn: tuple[Entry, Decided | Ended] | None) -> Side:
    return Side(outcome=NO_TURN) if turn is None else side_of(turn[1], given_in(store, turn[1]).values())
