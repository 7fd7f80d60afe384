"""What an app declares, as the engine needs it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from extrovert.context.made import Made
from extrovert.context.nodes import value_type
from extrovert.context.operator import DeclaredOperator
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.ports import LiveSource, TimedSource
from extrovert.engine.calls import Answerer
from extrovert.engine.codes import code_of
from extrovert.turns.chat import Chat
from extrovert.turns.declare import Agent, Effect, Model
from extrovert.turns.fold import Fold
from extrovert.turns.guards import Guard
from extrovert.turns.lookups import Lookup

__all__ = ["Declared"]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an app. `answerers` makes what answers asks, by model name, for a seed; `outcomes` names the
    stream of the outcomes of an effect, where there is one. Decisions are watched for corrections for `horizon_us`.
    `published` is what other programs may look up, by the name of the tool, and `closed` what ends with the engine."""

    name: str
    streams: Sequence[Stream[Any]]
    tables: Sequence[Table[Any, Any]]
    views: Sequence[View[Any, Any]]
    agents: Sequence[Agent[Any]]
    effects: Sequence[Effect[Any]]
    guards: Sequence[Guard[Any]] = ()
    outcomes: Mapping[str, str] = {}
    sources: Sequence[TimedSource | LiveSource]
    operators: Sequence[DeclaredOperator] = ()
    strict_shards: bool = False
    max_hops: int = 100
    horizon_us: int | None = None
    retention_us: int | None = None
    answerers: Callable[[int], dict[str, Answerer]]
    models: Mapping[str, Model] = {}
    chats: Sequence[Chat[Any]] = ()
    published: Mapping[str, Lookup] = {}
    closed: Sequence[Callable[[], Awaitable[None]]] = ()

    def fold(self) -> Fold:
        """An empty fold of this app's log."""
        fold = Fold(
            self.streams,
            self.tables,
            self.views,
            self.agents,
            self.operators,
            strict_shards=self.strict_shards,
            outcomes=self.outcomes,
            breakers={name: model.breaker for name, model in self.models.items() if model.breaker is not None},
            horizon_us=self.horizon_us,
        )
        for source in self.sources:
            if stream := getattr(source, "stream", ""):
                fold.context.freshness.state(stream).must = True
        return fold

    def fingerprints(self) -> dict[str, str]:
        """By part of the app, what changes when that part of a fold by an earlier version would not be the same now."""
        parts = {
            f"table {t.name}": canonical(
                [t.key, t.stream, sorted(t.turns_own), msgspec.json.schema(t.record), _code(t.fold), t.timing]
            )
            for t in self.tables
            if not isinstance(t, Made)  # they are made anew where their view has changed
        }
        parts |= {f"ids {s.name}": canonical([s.id, s.horizon_us]) for s in self.streams if s.id}
        parts |= {f"operator {o.name}": canonical([o.definition]) for o in self.operators}
        return {part: fingerprint(definition) for part, definition in parts.items()}

    def follows(self) -> dict[str, list[str]]:
        """By part of the app, as in `fingerprints`, the streams of which its state is a fold."""
        parts = {f"table {table.name}": [table.stream] for table in self.tables}
        parts |= {f"ids {stream.name}": [stream.name] for stream in self.streams if stream.id}
        return parts | {f"operator {one.name}": list(one.on) for one in self.operators}

    def view_fingerprints(self) -> dict[str, str]:
        """By view, what changes when its values may be others now. A view of which that cannot be told has none."""
        records = {table.name: table.record for table in self.tables}
        values = {view.name: value_type(view) for view in self.views}
        found: dict[str, str] = {}
        for view in self.views:
            over = values[view.over] if view.over_view else records[view.over]
            code = code_of(self.strict_shards, view.over, over, view.keys, values[view.name], view.function)
            if code is not None:
                found[view.name] = code
        return found


def _code(function: Callable[..., Any] | None) -> str:
    if function is None:
        return ""
    try:
        return inspect.getsource(function)
    except OSError:
        return function.__qualname__
