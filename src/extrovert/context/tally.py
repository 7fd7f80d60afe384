"""Scores of keyword search over many postings at once, with numpy.

Words are taken from the rarest on. As soon as no document that has only the words left can get among the best, those
few that can are looked up in the long lists of the words left, instead of walking these (MaxScore: Turtle and Flood,
"Query Evaluation: Strategies and Optimizations", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from extrovert.context.weights import Posting, Weigher

__all__ = ["Tally"]

Slots = NDArray[np.int32]
Floats = NDArray[np.float64]

LONG = 1_000
"""A list of more postings than that is worth asking whether it must be walked."""
WIDE = 1 << 16
"""Up to this code, the weights of all codes are worked out, and not those of all postings."""


class _List(NamedTuple):
    slots: Slots
    weights: Floats
    peak: float


class Tally:
    """A place for the score of each document, all 0 between two searches."""

    def __init__(self) -> None:
        self._scores: Floats = np.zeros(1024)

    def best(self, lists: Sequence[tuple[Posting, Weigher]], slots: int, room: int) -> tuple[list[int], list[float]]:
        """The slots and scores of the `room` best documents below slot `slots`, in no order, with all that equal the
        last of them."""
        if slots > len(self._scores):
            self._scores = np.zeros(2 * slots)
        parts = sorted((_listed(posting, weigher) for posting, weigher in lists), key=lambda part: len(part.slots))
        seen: list[Slots] = []
        try:
            found, scores = self._walk(parts, room, seen)
        finally:
            for some in seen:
                self._scores[some] = 0.0
        if len(found) > room:
            keep = scores >= _floor(scores, room)
            found, scores = found[keep], scores[keep]
        return found.tolist(), scores.tolist()

    def _walk(self, parts: list[_List], room: int, seen: list[Slots]) -> tuple[Slots, Floats]:
        """Documents with their scores, the `room` best among them; `seen` gets the slots that have a score."""
        scores = self._scores
        left = sum(part.peak for part in parts)
        for place, part in enumerate(parts):
            if place and len(part.slots) > LONG and sum(map(len, seen)) >= room:
                found = np.concatenate(seen)
                so_far = scores[found]
                floor = _floor(so_far, room)
                if floor > left:
                    able = so_far >= floor - left
                    return _looked_up(found[able], so_far[able], parts[place:])
            before = scores[part.slots]
            seen.append(part.slots[(before == 0.0) & (part.weights > 0.0)])
            scores[part.slots] = before + part.weights
            left -= part.peak
        found = np.concatenate(seen)
        return found, scores[found]


def _looked_up(found: Slots, scores: Floats, parts: list[_List]) -> tuple[Slots, Floats]:
    """Adds the weights that documents have in lists that are not walked."""
    for part in parts:
        places = np.minimum(np.searchsorted(part.slots, found), len(part.slots) - 1)
        scores = scores + np.where(part.slots[places] == found, part.weights[places], 0.0)
    return found, scores


def _floor(scores: Floats, room: int) -> float:
    """The `room`th of the scores, from the best on."""
    place = len(scores) - room
    return float(np.partition(scores, place)[place])


def _listed(posting: Posting, weigher: Weigher) -> _List:
    codes = np.frombuffer(posting.codes, dtype=np.uint32)
    top = int(codes.max())
    weights: Any = _weights(np.arange(top + 1), weigher)[codes] if top < WIDE else _weights(codes, weigher)
    return _List(np.frombuffer(posting.slots, dtype=np.int32), weights, float(weights.max()))


def _weights(codes: NDArray[Any], weigher: Weigher) -> Floats:
    """The very numbers that `weigher` gives one by one: the same operations in the same order."""
    often: Any = codes >> weigher.SHIFT
    norms: Any = np.asarray(weigher.norms)[codes & weigher.MASK]
    return np.rint(weigher.factor * often * weigher.slope / (often + norms)) / weigher.grain
