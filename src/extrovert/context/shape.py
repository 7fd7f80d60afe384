"""Shapes: what a pattern looks for among the events of one key, said with when, then, times, without and within."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar, TypeVarTuple

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record
from extrovert.core.time import span_us

__all__ = ["Bar", "First", "Shape", "Step", "Steps", "when"]

A = TypeVar("A", bound=Record)
B = TypeVar("B", bound=Record)
Ts = TypeVarTuple("Ts")


class Bar(msgspec.Struct, frozen=True):
    """What must not come: an event of this type for which `where(*matched, event)` holds."""

    event: type[Record]
    where: Callable[..., bool] | None


class Step(msgspec.Struct, frozen=True):
    """One event that must come, and what must not come after it until the next one does."""

    event: type[Record]
    where: Callable[..., bool] | None
    bars: tuple[Bar, ...] = ()


class Steps(Generic[*Ts]):
    """Steps that follow each other, not yet bounded in time: say `within` last."""

    def __init__(self, steps: Sequence[Step], repeats: int = 1) -> None:
        self._steps = tuple(steps)
        self._repeats = repeats

    def then(self, event: type[B], where: Callable[[*Ts, B], bool] | None = None) -> Steps[*Ts, B]:
        """After that an `event` for which `where(*matched, event)` holds, whatever else comes between."""
        return Steps((*self._steps, Step(event, where)), self._repeats)

    def without(self, event: type[B], where: Callable[[*Ts, B], bool] | None = None) -> Steps[*Ts]:
        """And no such `event` before the next step; at the end: before the time is over, which is then the match."""
        return Steps(self._barred(event, where), self._repeats)

    def within(self, span: timedelta) -> Shape[*Ts]:
        """All of it in less than `span` from the first event on."""
        return Shape(self._steps, self._repeats, span_us(span))

    def _barred(self, event: type[Record], where: Callable[..., bool] | None) -> tuple[Step, ...]:
        last = self._steps[-1]
        return (*self._steps[:-1], msgspec.structs.replace(last, bars=(*last.bars, Bar(event, where))))


class First(Steps[A]):
    """The first step, which alone can be repeated."""

    def without(self, event: type[B], where: Callable[[A, B], bool] | None = None) -> First[A]:  # pyright: ignore[reportIncompatibleMethodOverride] -- *Ts is A here
        """And no such `event` before the next step or repetition; at the end: before the time is over."""
        return First(self._barred(event, where))

    def times(self, count: int) -> Steps[tuple[A, ...]]:
        """The step `count` times; what was matched is one tuple. A `without` before it holds between the repetitions,
        and sees the latest of them."""
        if count < 2:
            raise DeclarationError(f"times({count}): a repetition is of 2 or more.")
        once = self._steps[0]
        return Steps([*[once] * (count - 1), msgspec.structs.replace(once, bars=())], count)


def when(event: type[A], where: Callable[[A], bool] | None = None) -> First[A]:
    """A shape that begins with an `event` for which `where(event)` holds."""
    return First([Step(event, where)])


class Shape(Generic[*Ts]):
    """What a pattern looks for, complete. `repeats` of the steps are the first one, repeated.

    Where the last step has bars, the match is made when the time is over (`fires`), else by the last step's event.
    """

    def __init__(self, steps: tuple[Step, ...], repeats: int, span_us: int) -> None:
        if span_us <= 0:
            raise DeclarationError("within: a pattern takes some time; give a span above zero.")
        if len(steps) == 1 and not steps[0].bars:
            raise DeclarationError(
                "A pattern of one event is that event; say what comes after it (then), how often it comes (times), or "
                "what does not come (without)."
            )
        self.steps = steps
        self.repeats = repeats
        self.span_us = span_us
        self.fires = bool(steps[-1].bars)

    @property
    def events(self) -> tuple[type[Record], ...]:
        """The record types that matter to it."""
        found = [step.event for step in self.steps] + [bar.event for step in self.steps for bar in step.bars]
        return tuple(dict.fromkeys(found))

    def fits(self, matched: Sequence[Any], event: Any) -> bool:
        """Whether `event` is the next step after those `matched`. Raises what the user's function does."""
        place = len(matched)
        if place == len(self.steps):
            return False
        step = self.steps[place]
        if not isinstance(event, step.event):
            return False
        return step.where is None or bool(step.where(*(() if place < self.repeats else self.given(matched)), event))

    def barred(self, matched: Sequence[Any], event: Any) -> bool:
        """Whether `event` must not come after those `matched`. Raises what the user's function does."""
        repeating = len(matched) < self.repeats
        for bar in self.steps[len(matched) - 1].bars:
            if isinstance(event, bar.event):
                given = (matched[-1],) if repeating else self.given(matched)
                if bar.where is None or bar.where(*given, event):
                    return True
        return False

    def given(self, matched: Sequence[Any]) -> tuple[Any, ...]:
        """What the user's functions are given of the events matched: the repeated ones as one tuple."""
        if self.repeats == 1:
            return tuple(matched)
        return (tuple(matched[: self.repeats]), *matched[self.repeats :])

    @property
    def definition(self) -> str:
        """A text that differs where matches may."""
        steps = [
            f"{step.event.__name__} {source_of(step.where)} "
            + " ".join(f"-{bar.event.__name__} {source_of(bar.where)}" for bar in step.bars)
            for step in self.steps
        ]
        return f"{steps} {self.repeats} {self.span_us}"


def source_of(function: Callable[..., Any] | None) -> str:
    """The text of a user's function, which says when it was changed."""
    if function is None:
        return ""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__qualname__)
