"""Aggregates: what a window says about the events in it. Where a field is None, the event says nothing about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from inspect import getsource
from math import copysign
from typing import Any, Generic, LiteralString, TypeVar, get_type_hints

import msgspec

from extrovert.context.sketches import Distinct, Frequent, Quantiles
from extrovert.core.errors import DeclarationError

__all__ = ["Aggregate", "Own", "count", "distinct", "last", "max", "mean", "min", "own", "quantile", "sum", "top_k"]

E = TypeVar("E")
N = TypeVar("N", int, float)
S = TypeVar("S")
V = TypeVar("V")
Cells = Sequence[list[Any]]


class Aggregate(Generic[V]):
    """One field of a window's row.

    `of` is the field of the events that it looks at (None: only that they came). The state of each window is kept in a
    cell, a list, at the aggregate's slot. `takes` says what the field must hold: "" (anything), "number", "order"
    (values that have one), "key" (values that can be told apart and ordered).
    """

    takes = ""
    told_as_kept = False
    """Whether the row says the state itself."""

    def __init__(self, of: Any = None) -> None:
        self.of = of

    @property
    def definition(self) -> str:
        """Differs where the state does."""
        return type(self).__name__

    def begin(self) -> Any:
        """The state of a window without events."""
        return None

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        """Takes in values, each with the cell of its window and its event time, in order of arrival."""
        raise NotImplementedError

    def merge(self, one: Any, other: Any) -> Any:
        """The state of two windows together."""
        raise NotImplementedError

    def result(self, state: Any) -> V:
        """What the row says. May be None where no event said anything."""
        return state

    def kept(self, of: Any) -> Any:
        """The type of the state, given that of the field."""
        return of | None

    def gives(self, of: Any) -> Any:
        """The type of the result, given that of the field without None; None where only events will tell."""
        return of


class _Count(Aggregate[int]):
    told_as_kept = True

    def begin(self) -> int:
        return 0

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell in cells:
            cell[slot] += 1

    def merge(self, one: int, other: int) -> int:
        return one + other

    def kept(self, of: Any) -> Any:
        return int

    gives = kept


class _Sum(Aggregate[N]):
    takes = "number"

    def begin(self) -> int:
        return 0

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value in zip(cells, values, strict=True):
            cell[slot] += value

    def merge(self, one: Any, other: Any) -> Any:
        return one + other

    def result(self, state: Any) -> Any:
        return _finite(state)

    def kept(self, of: Any) -> Any:
        return of


class _Mean(Aggregate[float]):
    takes = "number"

    def begin(self) -> list[Any]:
        return [0, 0]

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value in zip(cells, values, strict=True):
            state = cell[slot]
            state[0] += 1
            state[1] += value

    def merge(self, one: Any, other: Any) -> Any:
        return [one[0] + other[0], one[1] + other[1]]

    def result(self, state: Any) -> Any:
        return _finite(state[1]) / state[0] if state[0] else None

    def kept(self, of: Any) -> Any:
        return list[int | of]

    def gives(self, of: Any) -> Any:
        return float


class _Min(Aggregate[V]):
    takes = "order"
    told_as_kept = True

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value in zip(cells, values, strict=True):
            least = cell[slot]
            if least is None or value < least:
                cell[slot] = value

    def merge(self, one: Any, other: Any) -> Any:
        return other if one is None or (other is not None and other < one) else one


class _Max(Aggregate[V]):
    takes = "order"
    told_as_kept = True

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value in zip(cells, values, strict=True):
            most = cell[slot]
            if most is None or value > most:
                cell[slot] = value

    def merge(self, one: Any, other: Any) -> Any:
        return other if one is None or (other is not None and other > one) else one


class _Last(Aggregate[V]):
    """Its state is (event time, value)."""

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value, at in zip(cells, values, times, strict=True):
            latest = cell[slot]
            if latest is None or at >= latest[0]:
                cell[slot] = (at, value)

    def merge(self, one: Any, other: Any) -> Any:
        return other if one is None or (other is not None and other[0] >= one[0]) else one

    def result(self, state: Any) -> Any:
        return state and state[1]

    def kept(self, of: Any) -> Any:
        return tuple[int, of] | None


class _Sketch(Aggregate[V]):
    """One whose state is a sketch, that takes values one by one and knows how to merge."""

    sketch: Callable[[], Any]

    def begin(self) -> Any:
        return self.sketch()

    def fold(self, cells: Cells, slot: int, values: Sequence[Any], times: Sequence[int]) -> None:
        for cell, value in zip(cells, values, strict=True):
            cell[slot].add(value)

    def merge(self, one: Any, other: Any) -> Any:
        return one.merge(other)

    def kept(self, of: Any) -> Any:
        return self.sketch


class _Quantile(_Sketch[float]):
    takes = "number"
    sketch = Quantiles

    def __init__(self, of: Any, part: float) -> None:
        super().__init__(of)
        self.part = part

    def result(self, state: Any) -> Any:
        return state.at(self.part)

    def gives(self, of: Any) -> Any:
        return float


class _Distinct(_Sketch[int]):
    takes = "key"
    sketch = Distinct

    def result(self, state: Any) -> int:
        return state.count()

    def gives(self, of: Any) -> Any:
        return int


class _TopK(_Sketch[Any]):
    takes = "key"
    sketch = Frequent

    def __init__(self, of: Any, most: int) -> None:
        super().__init__(of)
        self.most = most

    def result(self, state: Any) -> Any:
        return state.top(self.most)

    def kept(self, of: Any) -> Any:
        return Frequent[of]

    def gives(self, of: Any) -> Any:
        return list[tuple[of, int]]


class Own(Aggregate[V]):
    """A user's own: `begin() -> state`, `add(state, event) -> state`, `merge`, `result(state)`."""

    def __init__(
        self,
        start: Callable[[], Any],
        add: Callable[[Any, Any], Any],
        result: Callable[[Any], V] | None,
        merge: Callable[[Any, Any], Any] | None,
    ) -> None:
        super().__init__()
        self.start, self.add, self.merges, self.results = start, add, merge, result

    @property
    def definition(self) -> str:
        return "\n".join(_code(one) for one in (self.start, self.add, self.merges, self.results) if one is not None)

    def begin(self) -> Any:
        return self.start()

    def merge(self, one: Any, other: Any) -> Any:
        assert self.merges is not None
        return self.merges(one, other)

    def result(self, state: Any) -> V:
        return state if self.results is None else self.results(state)

    def kept(self, of: Any) -> Any:
        try:
            return next(iter(get_type_hints(self.add).values()), Any)
        except (NameError, TypeError):
            return Any

    def gives(self, of: Any) -> Any:
        return None


def count() -> Aggregate[int]:
    """How many events there are."""
    return _Count()


def sum(field: N | LiteralString | None) -> Aggregate[N]:  # noqa: A001
    """The sum of a number; 0 where there is none. Floats are added in order of arrival, so up to rounding."""
    return _Sum(field)


def mean(field: float | LiteralString | None) -> Aggregate[float]:
    """The mean of a number; None where there is none."""
    return _Mean(field)


def min(field: V | LiteralString) -> Aggregate[V]:  # noqa: A001
    """The smallest value; None where there is none."""
    return _Min(field)


def max(field: V | LiteralString) -> Aggregate[V]:  # noqa: A001
    """The largest value; None where there is none."""
    return _Max(field)


def last(field: V | LiteralString) -> Aggregate[V]:
    """The value with the latest event time (of equal times, the one that came last); None where there is none."""
    return _Last(field)


def quantile(field: float | LiteralString | None, part: float) -> Aggregate[float]:
    """The smallest value that `part` (0 to 1) of them do not exceed; None where there is none.

    Exact up to 1,000 values, then within 1 % of the value.
    """
    if not 0 <= part <= 1:
        raise DeclarationError(f"A quantile is a part from 0 to 1, such as 0.95, and not {part}.")
    return _Quantile(field, part)


def distinct(field: Any) -> Aggregate[int]:
    """How many different values there are: exact up to 4,096, then with a standard error of at most 2.2 %."""
    return _Distinct(field)


def top_k(field: V | LiteralString, most: int) -> Aggregate[list[tuple[V, int]]]:
    """The most frequent values, each with how often it came: `list[tuple[str, int]]`; of equals, the smallest first.

    Exact up to 2,000 different values; then a count may be too low by a thousandth of the number of events.
    """
    if most < 1:
        raise DeclarationError(f"The most frequent {most} values are none. Give the number of values to list.")
    return _TopK(field, most)


def own(
    start: Callable[[], S],
    add: Callable[[S, E], S],
    *,
    result: Callable[[S], V] | None = None,
    merge: Callable[[S, S], S] | None = None,
) -> Aggregate[V]:
    """An aggregate of your own: `add(state, event)` gives the next state, and `result(state)` the field of the row.

    The functions are pure, and change no state in place. A state is what JSON can hold, of the type that `add` states
    for it. Sessions need `merge(state, state)`, since an event may join two.
    """
    state = start()
    try:
        msgspec.json.encode(state)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"An aggregate begins with {state!r}, which a snapshot cannot hold: {error}.") from error
    return Own(start, add, result, merge)


def _finite(number: Any) -> Any:
    """A sum that floats cannot hold stays at the largest that they can."""
    if isinstance(number, float) and abs(number) > sys.float_info.max:
        return copysign(sys.float_info.max, number)
    return number


def _code(function: Callable[..., Any]) -> str:
    try:
        return getsource(function)
    except (OSError, TypeError):
        return function.__qualname__
