"""Declarations of live context: streams, tables, views and whatever follows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Literal, LiteralString, TypeVar, TypeVarTuple, overload

from typing_extensions import TypeForm

from extrovert.context.aggregates import Aggregate
from extrovert.context.changes import Change, change_stream, follow, is_change_of
from extrovert.context.derived import Derived
from extrovert.context.flow import Flow, check_flow
from extrovert.context.keyed import Keyed
from extrovert.context.made import made_by
from extrovert.context.operator import DeclaredOperator
from extrovert.context.pattern import pattern_of
from extrovert.context.schedule import Schedule, Tick, Timetable
from extrovert.context.search import Search, text_fields
from extrovert.context.seen import check_ids
from extrovert.context.shape import Shape
from extrovert.context.shards import shard_field
from extrovert.context.spans import Spans
from extrovert.context.stream import Stream
from extrovert.context.table import Fold, Table, field_name
from extrovert.context.timeline import timing
from extrovert.context.view import View, check_function, check_keys
from extrovert.context.where import Between
from extrovert.context.window import Window
from extrovert.core.declaring import add, check_key, check_name, records
from extrovert.core.errors import DeclarationError
from extrovert.core.ports import Embedder
from extrovert.core.record import Record

__all__ = ["Declarations"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)
T = TypeVar("T")
V = TypeVar("V")
Ts = TypeVarTuple("Ts")


class Declarations:
    """What an app declares of its live context. `App` is one of these, with sources and agents."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream[Any]] = {}
        self._tables: dict[str, Table[Any, Any]] = {}
        self._views: dict[str, View[Any, Any]] = {}
        self._operators: dict[str, DeclaredOperator] = {}

    def stream(
        self,
        name: str,
        event: TypeForm[T],
        *,
        key: Any,
        source: Flow[T] | Stream[T] | None = None,
        shard_by: Any = None,
        id: Any = None,  # noqa: A002
        horizon: timedelta | None = None,
    ) -> Stream[T]:
        """Declares a stream of `event` records (or a union of tagged ones); `key` is the field that they share.

        With strict shards, a turn that it wakes belongs to the shard of the event's `shard_by` (else of its key).

        With an `id` field, an event that comes from the same source again within `horizon` counts once.

        With a `source` it is derived: `app.stream("delays", Delay, key=Delay.flight_id, source=events.map(delay_of))`.
        Its functions are pure; an event of which one raises goes to the dead letters.
        """
        where, shard = f"Stream `{name}`", ""
        check_name("stream", name)
        for record in records(where, event):
            check_key(where, record, field_name(where, record, key))
            shard = "" if shard_by is None else field_name(where, record, shard_by)
        id_name, horizon_us = check_ids(name, event, id, horizon)
        flow = source.flow() if isinstance(source, Stream) else source
        if flow is not None:
            check_flow(where, flow, self._streams)
        made_by = "" if flow is None else f"what comes on {' and '.join(flow.parents)}"
        stream: Stream[T] = Stream(
            name,
            event,
            key if isinstance(key, str) else key.__name__,
            made_by=made_by,
            shard_by=shard,
            id=id_name,
            horizon_us=horizon_us,
        )
        add(self._streams, "stream", name, stream)
        if flow is not None:
            self._operators[f"stream {name}"] = Derived(stream, flow)
        return stream

    def changes(self, name: str, record: type[R], *, key: Any) -> Stream[Change[R]]:
        """Declares a stream of a database's changes of `record` rows by `key`, as Debezium gives them.

        A table with it as `source=` follows the database, its deletes included.
        """
        where = f"Stream `{name}`"
        check_key(where, record, key_name := field_name(where, record, key))
        return add(self._streams, "stream", name, change_stream(name, record, key_name))

    @overload
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: LiteralString,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
        shard_by: Any = None,
        replicated: bool = False,
        order_by: Any = None,
        history: timedelta | None = None,
        ttl: timedelta | None = None,
        ahead: timedelta | None = timedelta(days=1),
    ) -> Table[Any, R]: ...
    @overload
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: K,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
        shard_by: Any = None,
        replicated: bool = False,
        order_by: Any = None,
        history: timedelta | None = None,
        ttl: timedelta | None = None,
        ahead: timedelta | None = timedelta(days=1),
    ) -> Table[K, R]: ...
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: Any,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
        shard_by: Any = None,
        replicated: bool = False,
        order_by: Any = None,
        history: timedelta | None = None,
        ttl: timedelta | None = None,
        ahead: timedelta | None = timedelta(days=1),
    ) -> Table[Any, R]:
        """Declares a table of `record` rows by `key` (a field, as `Flight.flight_id` or by name).

        `source` is the stream that writes it: the latest event per key is the row, or what `fold(row | None, event)`
        returns. Without one, turns write it, and the stream of its own name can fill it; a row that a turn has written
        is then no longer taken from outside. `turns_own` names the fields of a sourced table that turns write and its
        source does not. With strict shards, rows of one value of `shard_by` (else of one key) are in one shard, and a
        `replicated` table is in each.

        `order_by` names an event time: a row that is older than the present one is late, and enters history only.
        `history` is how far back, from the newest event time, rows can be read by `as_of`. `ttl` is how long a row
        stays: since its `order_by` time or, without one, since it was last written. An event whose `order_by` time is
        more than `ahead` (None: any) past the engine's goes to the dead letters, and moves nothing.
        """
        where = f"Table `{name}`"
        self._check_table(name, record, source)
        check_key(where, record, key_name := field_name(where, record, key))
        owned = frozenset(field_name(where, record, field) for field in turns_own)
        order = None if order_by is None else field_name(where, record, order_by)
        times = timing(where, record, order, history, ttl, ahead, folds=fold is not None or bool(owned))
        if fold is None and is_change_of(record, source):
            fold = follow
        if key_name in owned:
            raise DeclarationError(f"{where}: turns cannot own its key, `{key_name}`.")
        shard = shard_field(where, record, shard_by, replicated)
        fed = source is not None or bool(owned)
        if source is None:
            source = self.stream(name, record, key=key_name)
        elif fold is None:
            _check_rows(where, record, key_name, source)
        table: Table[Any, R] = Table(
            name,
            record,
            key_name,
            stream=source.name,
            fed=fed,
            fold=fold,
            turns_own=owned,
            shard_by=shard,
            replicated=replicated,
            timing=times,
        )
        return add(self._tables, "table", name, table)

    @overload
    def view(
        self, *, over: Keyed[K, T], keys: Between | None = None
    ) -> Callable[[Callable[[T], V | None]], View[K, V]]: ...
    @overload
    def view(
        self, *, over: Keyed[Any, T], keys: Between | None = None, key: LiteralString, shard_by: Any = None
    ) -> Callable[[Callable[[T], Iterable[R]]], Table[Any, R]]: ...
    @overload
    def view(
        self, *, over: Keyed[Any, T], keys: Between | None = None, key: K, shard_by: Any = None
    ) -> Callable[[Callable[[T], Iterable[R]]], Table[K, R]]: ...
    def view(self, *, over: Any, keys: Between | None = None, key: Any = None, shard_by: Any = None) -> Any:
        """Declares a view: the decorated function of one row of `over`, and of what it looks up, kept current.

        It is pure: no clock (use `before(t)`), no randomness, no I/O. None is no value. It is over a table, a window or
        another view, of which `keys=between(low, high)` leaves out the keys that lie elsewhere.

        With `key=`, a field of the records that it gives as a list or by `yield`, it makes rows of a table of its own
        name, which is read, indexed, searched, viewed over and woken on like any other.
        """
        self._check_own("A view", "over=", over, Table, View)
        source: Table[Any, Any] | View[Any, Any] = over  # pyright: ignore[reportAssignmentType, reportUnknownVariableType]

        def declare(function: Callable[[Any], Any]) -> Any:
            name = function.__name__
            self._check_free("view", name)
            check_function(name, function, rows=key is not None)
            root = self._root(source)
            check_keys(f"View `{name}`", root, keys)
            makes = None if key is None else made_by(function, key, shard_by=shard_by, replicated=root.replicated)
            over_view = isinstance(source, View)
            kind = root.key_type
            view = View[Any, Any](
                name, source.name, function, key_type=kind, over_view=over_view, keys=keys, makes=makes
            )
            add(self._views, "view", name, view)
            return view if makes is None else add(self._tables, "table", name, makes)

        return declare

    def _root(self, source: Table[Any, Any] | View[Any, Any]) -> Table[Any, Any]:
        """The table that a view is over in the end: its keys are those of the view."""
        while isinstance(source, View):
            source = self._views[source.over] if source.over_view else self._tables[source.over]
        return source

    def window(
        self,
        stream: Stream[Any],
        record: type[R],
        *,
        at: datetime | LiteralString,
        spans: Spans,
        by: Any = None,
        emit: Literal["changes", "close"] = "changes",
        disorder: timedelta = timedelta(0),
        lateness: timedelta = timedelta(0),
        idle_after: timedelta | None = timedelta(seconds=30),
        ahead: timedelta | None = timedelta(minutes=1),
        keep: timedelta | None = None,
        shard_by: Any = None,
        replicated: bool = False,
        name: str = "",
        **aggregates: Aggregate[Any],
    ) -> Window[R]:
        """Declares windows over the event time `at`, per key of the stream or `by` another field: rows of `record`.

        With strict shards, rows of one value of `shard_by` (a field of theirs; else of their key) are in one shard, and
        `replicated` windows are in each. See `docs/windows.md` for what each of the others says.
        """
        name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", record.__name__).lower()
        window = Window(
            stream, record, name=name, at=at, spans=spans, by=by, emit=emit, aggregates=aggregates, disorder=disorder,
            lateness=lateness, idle_after=idle_after, ahead=ahead, keep=keep,
            shard_by=shard_by, replicated=replicated,
        )  # fmt: skip
        self._check_own(window.label, "its stream", stream, Stream)
        self._check_free("window", name)
        add(self._operators, "operator", name, window)
        return add(self._tables, "table", name, window)

    def pattern(
        self,
        name: str,
        event: type[R],
        *,
        key: Any,
        on: Sequence[Stream[Any]],
        match: Shape[*Ts],
        make: Callable[[*Ts], R | None],
        at: Any = None,
        disorder: timedelta | None = None,
        overlapping: bool = False,
        most: int = 1_000,
        ahead: timedelta | None = timedelta(days=1),
    ) -> Stream[R]:
        """Declares a pattern: the stream of what `make(*matched)` gives for each match among the events of one key.

        The streams in `on` are followed by their keys. Time is the engine's, or that in the field `at` of the events,
        which are then put in order as far as `disorder`. An event is in one match, unless `overlapping`; `most` bounds
        the matches under way for each key. What is late, too much, or more than `ahead` (None: any) past the engine's
        time is a dead letter.
        """
        for one in on:
            self._check_own(f"Pattern `{name}`", "on=", one, Stream)
        stream = self.stream(name, event, key=key)
        stream.made_by = f"pattern `{name}`"
        options: dict[str, Any] = {
            "at": at, "disorder": disorder, "overlapping": overlapping, "most": most, "ahead": ahead
        }  # fmt: skip
        return add(self._operators, "operator", name, pattern_of(stream, on, match, make, **options)).stream

    def schedule(self, name: str, *, every: timedelta, at: datetime | time | None = None) -> Stream[Tick]:
        """Declares a schedule: a stream with a `Tick` at each moment. `at` is the first moment, or a time of day; with
        it, days are those of its time zone. Moments missed while the engine is down are one tick, which counts them."""
        add(self._operators, "operator", name, Schedule(name, Timetable(f"Schedule `{name}`", every, at)))
        stream = self.stream(name, Tick, key="schedule")
        stream.made_by = f"schedule `{name}`"
        return stream

    def search(self, name: str, *, over: Table[K, R], text: Any, embedder: Embedder | None = None) -> Search[K, R]:
        """Declares a search over a table's rows: `text` is the field or fields that hold what they say.

        With an `embedder`, such as `WordLlama()`, rows are found by what they mean as well as by their words.
        """
        self._check_own(f"Search `{name}`", "over=", over, Table)
        search = Search(name, over, text_fields(f"Search `{name}`", over.record, text), embedder)
        self._check_free("search", name)
        return add(self._operators, "search", name, search)

    def _check_table(self, name: str, record: Any, source: Any) -> None:
        check_name("table", name)
        self._check_free("table", name)
        records(f"Table `{name}`", record)
        if source is not None:
            self._check_own(f"Table `{name}`", "source=", source, Stream)

    def _check_own(self, where: str, what: str, named: Any, *kinds: type) -> None:
        """Raises `DeclarationError` for what is not of these kinds, or was declared by another app."""
        known: dict[type, tuple[str, Mapping[str, Any]]] = {
            Stream: ("stream", self._streams),
            Table: ("table", self._tables),
            View: ("view", self._views),
        }
        words = [known[kind][0] for kind in kinds]
        if not isinstance(named, kinds):
            raise DeclarationError(f"{where}: {what} is a {' or a '.join(words)}, not {named!r}.")
        if not any(known[kind][1].get(named.name) is named for kind in kinds):
            raise DeclarationError(
                f"{where}: {what} is `{named.name}`, which another app has declared. Declare it with this one."
            )

    def _check_free(self, kind: str, name: str) -> None:
        """Tables, windows, views and searches are told apart by name alone, in queries and on the command line."""
        others: dict[str, Mapping[str, Any]] = {
            "view": self._views,
            "window": {one: table for one, table in self._tables.items() if isinstance(table, Window)},
            "table": {one: table for one, table in self._tables.items() if not isinstance(table, Window)},
            "search": {one: operator for one, operator in self._operators.items() if isinstance(operator, Search)},
        }
        for other, known in others.items():
            if other != kind and name in known:
                raise DeclarationError(
                    f"There is a {other} named `{name}`, so no {kind} can have that name. Rename one."
                )


def _check_rows(where: str, record: type[Record], key: str, source: Stream[Any]) -> None:
    """Without a fold, each event of a table's source is a row."""
    if source.event is not record:
        raise DeclarationError(
            f"{where} holds {record.__name__}, but its source `{source.name}` does not; say how with fold="
        )
    if source.key != key:
        raise DeclarationError(
            f"{where} is keyed by `{key}`, but its source `{source.name}` by `{source.key}`; one event is one row, so "
            f"give both the same key, or say with fold= which row an event makes."
        )
