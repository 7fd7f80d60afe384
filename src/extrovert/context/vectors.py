"""Vector search: the rows whose text means nearly the same as a query, by the cosine between vectors.

Up to `EXACT` vectors, each is scored. Above, their signs propose: those whose signs differ least from the query's, by
the distance of Hamming, are scored (Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002). Who
is proposed hangs on the vectors alone, not on when or in which order they came; there is no graph to build, to lag
behind or to wear out.

Vectors are kept as whole numbers from -127 to 127, the largest part of each being ±127. Their products add up without
rounding, so a score is the same whatever the machine, the order of the rows and the way of adding them up.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extrovert.context.keywords import Ranked

__all__ = ["Vectors", "decoded", "encoded"]

PEAK = 127
EXACT_DIMENSIONS = (1 << 24) // PEAK**2
"""Up to so many dimensions, sums of products are whole numbers that 32-bit floats hold without rounding."""

EXACT = 20_000
"""Up to so many vectors, each is scored."""
PROPOSED = 4_096
"""How many the signs propose at least; at least one of `SHARE` of all, too, and `PER_HIT` for each hit wanted."""
SHARE = 24
PER_HIT = 40

Code = NDArray[np.int8]


def encoded(vector: Sequence[float], dimensions: int) -> str:
    """A vector in the log: its parts as bytes, in base64. Raises `ValueError` where it is not one of `dimensions`."""
    parts = np.asarray(vector, dtype=np.float64)
    if parts.shape != (dimensions,):
        raise ValueError(f"a vector of shape {parts.shape} was given instead of {dimensions} numbers")
    if not np.isfinite(parts).all():
        raise ValueError("a vector with parts that are no finite numbers was given")
    peak = np.abs(parts).max(initial=0.0)
    code = np.rint(parts / peak * PEAK) if peak > 0 else parts
    return b64encode(code.astype(np.int8).tobytes()).decode()


def decoded(vector: str) -> Code:
    """A vector as `encoded` wrote it."""
    return np.frombuffer(b64decode(vector), dtype=np.int8)


class Vectors:
    """Vectors by key. `keys` has them in the order of the rows of the matrix, `places` where each one is there."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.keys: list[Any] = []
        self.places: dict[Any, int] = {}
        kind = np.float32 if dimensions <= EXACT_DIMENSIONS else np.float64
        self._rows: NDArray[Any] = np.zeros((16, dimensions), dtype=kind)
        self._norms = np.ones(16, dtype=np.float64)
        self._signs: NDArray[np.uint64] = np.zeros((-(-dimensions // 64), 16), dtype=np.uint64)

    def put(self, key: Any, code: Code) -> None:
        """The vector at `key` is now `code`."""
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = len(self.keys)
            self.keys.append(key)
            if place == len(self._rows):
                self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
                self._norms = np.concatenate([self._norms, np.ones_like(self._norms)])
                self._signs = np.concatenate([self._signs, np.zeros_like(self._signs)], axis=1)
        self._rows[place] = code
        self._norms[place] = _squared(code)
        self._signs[:, place] = _signs(code)

    def remove(self, key: Any) -> None:
        """There is no vector at `key` any more; the last one takes its place."""
        place = self.places.pop(key, None)
        if place is None:
            return
        last = self.keys.pop()
        if place < len(self.keys):
            self.keys[place] = last
            self.places[last] = place
            self._rows[place] = self._rows[len(self.keys)]
            self._norms[place] = self._norms[len(self.keys)]
            self._signs[:, place] = self._signs[:, len(self.keys)]

    def codes(self) -> bytes:
        """All vectors in the order of `keys`, one part a byte."""
        return self._rows[: len(self.keys)].astype(np.int8).tobytes()

    def restore(self, keys: Sequence[Any], codes: bytes) -> None:
        """Takes up what `codes` gave."""
        rows = np.frombuffer(codes, dtype=np.int8).reshape(-1, self.dimensions)
        for key, code in zip(keys, rows, strict=True):
            self.put(key, code)

    def best(self, code: Code, limit: int, accept: Callable[[Any], bool] | None = None) -> list[Ranked]:
        """The `limit` vectors most like `code`, of those that `accept`, if given, lets in; best first.

        Among more than `EXACT` vectors, one whose signs are unlike those of `code` may be missed.
        """
        count = len(self.keys)
        room = limit if accept is None else 4 * limit
        while True:
            places = self._proposed(code, room)
            rows, norms = (self._rows[:count], self._norms[:count]) if places is None else self._taken(places)
            scores = self._scores(code, rows, norms)
            bound = np.partition(scores, len(scores) - room)[len(scores) - room] if room < len(scores) else 0.0
            best = np.flatnonzero((scores >= bound) & (scores > 0.0))
            found = self._sorted((best if places is None else places[best]).tolist(), scores[best])
            if accept is not None:
                found = [ranked for ranked in found if accept(ranked[1])]
            if len(found) >= limit or room >= count:
                return found[:limit]
            room *= 8

    def _proposed(self, code: Code, room: int) -> NDArray[np.intp] | None:
        """The places of those to be scored for the `room` best; None: all."""
        count = len(self.keys)
        wanted = max(PROPOSED, count // SHARE, PER_HIT * room)
        if count <= EXACT or 4 * wanted > count:
            return None
        kind = np.uint8 if self.dimensions < 256 else np.uint16
        unlike: NDArray[Any] = np.zeros(count, dtype=kind)
        for signs, asked in zip(self._signs, _signs(code), strict=True):
            unlike += np.bitwise_count(signs[:count] ^ asked)
        farthest = int(np.searchsorted(np.cumsum(np.bincount(unlike)), wanted))
        return np.flatnonzero(unlike <= farthest)

    def _taken(self, places: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
        return self._rows[places], self._norms[places]

    def best_of(self, code: Code, limit: int, keys: Iterable[Any]) -> list[Ranked]:
        """The `limit` of these keys' vectors that are most like `code`."""
        places = [self.places[key] for key in keys if key in self.places]
        scores = self._scores(code, *self._taken(places))
        return [ranked for ranked in self._sorted(places, scores) if ranked[0] < 0.0][:limit]

    def _scores(self, code: Code, rows: NDArray[Any], norms: NDArray[np.float64]) -> NDArray[np.float64]:
        dots = (rows @ code.astype(rows.dtype)).astype(np.float64)
        return dots / np.sqrt(norms * _squared(code))

    def _sorted(self, places: list[int], scores: NDArray[np.float64]) -> list[Ranked]:
        return sorted((-score, self.keys[place]) for place, score in zip(places, scores.tolist(), strict=True))


def _squared(code: Code) -> float:
    """The square of a vector's length; 1 for the one that has none, which is like no other."""
    wide = code.astype(np.int64)
    return float(wide @ wide) or 1.0


def _signs(code: Code) -> NDArray[np.uint64]:
    """Which parts of a vector are above zero, 64 to a number."""
    bits = np.packbits(code > 0)
    return np.pad(bits, (0, -len(bits) % 8)).view(np.uint64)
