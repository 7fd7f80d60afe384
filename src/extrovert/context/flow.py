"""Flows: how the events of one stream are derived from those of others, by pure functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from typing_extensions import TypeIs

from extrovert.core.errors import DeclarationError

if TYPE_CHECKING:
    from extrovert.context.stream import Stream

__all__ = ["Flow", "Step", "check_flow", "written"]

T = TypeVar("T")
U = TypeVar("U")
Step = Callable[[Any], Iterable[Any]]


class Flow(Generic[T]):
    """A recipe: for each parent stream, the steps from one of its events to those of the derived stream.

    It becomes a stream, typed, keyed (anew, if wanted) and named, by `app.stream(name, Event, key=…, source=flow)`.
    """

    def __init__(self, branches: tuple[tuple[str, tuple[Step, ...]], ...]) -> None:
        self.branches = branches

    @property
    def parents(self) -> list[str]:
        """The names of the streams that it begins with."""
        return list(dict.fromkeys(stream for stream, _ in self.branches))

    @property
    def definition(self) -> str:
        """The text of its steps: another definition may give other events."""
        return "\n".join(f"{stream}: {[written(step) for step in steps]}" for stream, steps in self.branches)

    @property
    def keeps(self) -> bool:
        """Whether it makes nothing: its events are those of its parents, as they came."""
        return all(isinstance(step, _Keep | _Only) for _, steps in self.branches for step in steps)

    def of(self, stream: str, event: Any) -> Iterator[Any]:
        """What follows from an event of a parent stream. Raises what a step raises."""
        for parent, steps in self.branches:
            if parent == stream:
                yield from _through(steps, event)

    @overload
    def filter(self, keep: Callable[[T], TypeIs[U]]) -> Flow[U]: ...
    @overload
    def filter(self, keep: Callable[[T], bool]) -> Flow[T]: ...
    def filter(self, keep: Any) -> Any:
        """The events for which `keep` is true."""
        return self._then(_Keep(keep))

    def only(self, kind: type[U]) -> Flow[U]:
        """The events of one record type."""
        return self._then(_Only(kind))

    def map(self, make: Callable[[T], U]) -> Flow[U]:
        """What `make` makes of each event."""
        return self._then(_Make(make))

    def flat_map(self, make: Callable[[T], Iterable[U]]) -> Flow[U]:
        """All that `make` makes of each event, in order."""
        return self._then(make)

    def merge(self, other: Stream[U] | Flow[U]) -> Flow[T | U]:
        """These events and those of another stream or flow, in the order in which they come."""
        return Flow(self.branches + (other if isinstance(other, Flow) else other.flow()).branches)

    def _then(self, step: Step) -> Flow[Any]:
        function = getattr(step, "function", step)
        if not callable(function):
            raise DeclarationError(f"Streams are derived by functions of an event, not by {function!r}.")
        return Flow(tuple((stream, (*steps, step)) for stream, steps in self.branches))


def check_flow(where: str, flow: Any, streams: Mapping[str, Any]) -> None:
    """Raises `DeclarationError` for what is no flow, or begins with streams that are not there."""
    if not isinstance(flow, Flow):
        raise DeclarationError(f"{where}: source= is a stream, or what is derived from one, not {flow!r}.")
    for parent in cast("Flow[Any]", flow).parents:
        if parent not in streams:
            raise DeclarationError(
                f"{where} is derived from `{parent}`, which another app has declared. Declare it with this one."
            )


class _Keep:
    def __init__(self, keep: Callable[[Any], bool]) -> None:
        self.function = keep

    def __call__(self, event: Any) -> Iterable[Any]:
        return (event,) if self.function(event) else ()


class _Only:
    def __init__(self, kind: type) -> None:
        self.function = kind

    def __call__(self, event: Any) -> Iterable[Any]:
        return (event,) if isinstance(event, self.function) else ()


class _Make:
    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.function = make

    def __call__(self, event: Any) -> Iterable[Any]:
        return (self.function(event),)


def _through(steps: tuple[Step, ...], event: Any) -> Iterator[Any]:
    if not steps:
        yield event
        return
    for made in steps[0](event):
        yield from _through(steps[1:], made)


def written(function: Any) -> str:
    """A function as it is written, where that can be found; else its name."""
    kind = "" if inspect.isfunction(function) else f"{type(function).__name__} "
    inner = getattr(function, "function", function)
    try:
        return kind + inspect.getsource(inner)
    except (OSError, TypeError):
        return kind + getattr(inner, "__qualname__", repr(inner))
