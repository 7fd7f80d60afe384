"""Weights of words in documents, by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond", 2009), and postings that hold what they hang on."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress
from math import log1p

__all__ = ["Posting", "Weigher", "coded"]

K1 = 1.2
"""How soon more occurrences of a word in one document count no more."""
B = 0.75
"""How much the length of a document counts."""
GRAIN = 2.0**32
"""Weights are whole multiples of 1 / GRAIN: their sums are exact, so that they don't hang on the order of adding."""
SHIFT = 9
"""So many binary digits of a code say how long the document is, those above how often the word is in it."""
MASK = (1 << SHIFT) - 1
MOST = (1 << 32 - SHIFT) - 1
"""A word that is more often in one document than that counts as if it were so often."""


def coded(often: int, length: int) -> int:
    """How often a word is in a document (at least once), and how long that is, to five binary digits."""
    spare = max(0, length.bit_length() - 5)
    return (often if often < MOST else MOST) << SHIFT | (spare << 4) + (length >> spare)


def _length(code: int) -> int:
    spare = max(0, (code >> 4) - 1)
    return code - (spare << 4) << spare


LENGTHS = tuple(map(_length, range(1 << SHIFT)))


def norms(average: float) -> list[float]:
    """What lengths of documents count, by their code, where these are `average` words long."""
    return [K1 * (1 - B + B * length / average) for length in LENGTHS]


class Weigher:
    """Gives a word's weight in a document by its code. `size` of `count` documents have the word."""

    __slots__ = ("factor", "norms")
    SHIFT, MASK, slope, grain = SHIFT, MASK, K1 + 1, GRAIN

    def __init__(self, count: int, size: int, norms: list[float]) -> None:
        self.factor = GRAIN * log1p((count - size + 0.5) / (size + 0.5))
        self.norms = norms

    def __call__(self, code: int) -> float:
        often = code >> SHIFT
        return round(self.factor * often * (K1 + 1) / (often + self.norms[code & MASK])) / GRAIN


class Posting:
    """Who has a word: slots of documents in order, and their codes; code 0 where one has it no more."""

    __slots__ = ("codes", "size", "slots")

    def __init__(self) -> None:
        self.slots = array("i")
        self.codes = array("I")
        self.size = 0

    def put(self, slot: int, code: int) -> None:
        """The document at `slot`, which did not have the word, has it."""
        slots = self.slots
        self.size += 1
        if not slots or slots[-1] < slot:
            slots.append(slot)
            self.codes.append(code)
            return
        place = bisect_left(slots, slot)
        if slots[place] == slot:
            self.codes[place] = code
        else:
            slots.insert(place, slot)
            self.codes.insert(place, code)

    def remove(self, slot: int) -> None:
        """The document at `slot`, which had the word, has it no more."""
        self.codes[bisect_left(self.slots, slot)] = 0
        self.size -= 1
        if len(self.slots) > 2 * self.size + 16:
            self.slots = array("i", compress(self.slots, self.codes))
            self.codes = array("I", filter(None, self.codes))

    def code(self, slot: int) -> int:
        """The code of the document at `slot`; 0 where it does not have the word."""
        place = bisect_left(self.slots, slot)
        return self.codes[place] if place < len(self.slots) and self.slots[place] == slot else 0
