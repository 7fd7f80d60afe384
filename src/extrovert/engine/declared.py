"""What an app declares, as the engine needs it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from extrovert.context.operator import DeclaredOperator
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.ports import LiveSource, TimedSource
from extrovert.engine.calls import Answerer
from extrovert.turns.declare import Agent, Effect, Model
from extrovert.turns.fold import Fold

__all__ = ["Declared"]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an app. `answerers` makes what answers asks, by model name, for a seed."""

    name: str
    streams: Sequence[Stream[Any]]
    tables: Sequence[Table[Any, Any]]
    views: Sequence[View[Any, Any]]
    agents: Sequence[Agent[Any]]
    effects: Sequence[Effect[Any]]
    sources: Sequence[TimedSource | LiveSource]
    operators: Sequence[DeclaredOperator] = ()
    strict_shards: bool = False
    answerers: Callable[[int], dict[str, Answerer]]
    models: Mapping[str, Model] = {}

    def fold(self) -> Fold:
        """An empty fold of this app's log."""
        return Fold(
            self.streams, self.tables, self.views, self.agents, self.operators, strict_shards=self.strict_shards
        )

    def fingerprint(self) -> str:
        """Changes when rows folded by an earlier version of this app would not be the same now."""
        parts = [
            canonical(
                [t.name, t.key, t.stream, sorted(t.turns_own), msgspec.json.schema(t.record), _code(t.fold), t.timing]
            )
            for t in self.tables
        ]
        parts += [canonical(["ids of", s.name, s.id, s.horizon_us]) for s in self.streams if s.id]
        parts += [canonical([o.name, o.definition]) for o in self.operators]
        return fingerprint(*parts)


def _code(function: Callable[..., Any] | None) -> str:
    if function is None:
        return ""
    try:
        return inspect.getsource(function)
    except OSError:
        return function.__qualname__
