"""The live context: tables, indexes and views together, always current after `settle`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, NamedTuple

from extrovert.context.copies import Copies
from extrovert.context.expiry import ExpiryState
from extrovert.context.forks import forked
from extrovert.context.freshness import Freshness
from extrovert.context.index import IndexState
from extrovert.context.moments import Moments
from extrovert.context.operator import DeclaredOperator, Operator
from extrovert.context.origins import Origins
from extrovert.context.own_folds import fold_many
from extrovert.context.range_index import RangeIndexState
from extrovert.context.reads import Readable, Watcher
from extrovert.context.stream import Stream
from extrovert.context.table import SMALL, Table, TableState
from extrovert.context.tainting import Tainting
from extrovert.context.timeline import Deleted
from extrovert.context.view import MAX_ROUNDS, Node, View, ViewState
from extrovert.core.time import earliest
from extrovert.core.zones import without_zone

__all__ = ["LiveContext", "Produced"]

_NoneType = type(None)


class Produced(NamedTuple):
    """An event that an operator made, with the offset of what it follows from."""

    stream: str
    record: Any
    offset: int


class LiveContext:
    """The state of an app's tables, indexes and views, as a fold of what is applied to it.

    `offset` is that of the change being applied. What changed since the last `take_changes` is collected by value:
    a view that went there and back has not changed. `begins` has the offset from which on an operator follows time,
    where that was added to an app with a log. `moments` knows when offsets were. Watchers that are not views (running
    turns) gather in `touched`.
    """

    def __init__(
        self,
        tables: Iterable[Table[Any, Any]],
        views: Sequence[View[Any, Any]],
        operators: Iterable[DeclaredOperator] = (),
        *,
        strict_shards: bool = False,
    ) -> None:
        self.strict_shards = strict_shards
        self.offset = 0
        self.expiry = ExpiryState()
        self.moments = Moments()
        self.copies: Copies | None = None
        self.stale_nodes: dict[Node, None] = {}
        self.touched: dict[Watcher, None] = {}
        self.changed_values: dict[tuple[str, Any], Any] = {}
        self.tables = {table.name: TableState(table, self) for table in tables}
        self.indexes: dict[str, IndexState] = {}
        self.ranges: dict[str, RangeIndexState] = {}
        for state in self.tables.values():
            for index in state.indexes:
                (self.indexes if isinstance(index, IndexState) else self.ranges)[index.name] = index  # pyright: ignore[reportArgumentType]
        self.views: dict[str, ViewState] = {}
        for rank, view in enumerate(views):
            over = self.views[view.over] if view.over_view else self.tables[view.over]
            self.views[view.name] = ViewState(view, over, self, rank)
        self.feeds: dict[str, list[TableState]] = {}
        for state in self.tables.values():
            self.feeds.setdefault(state.declared.stream, []).append(state)
        self.mortal = [state for state in self.tables.values() if state.lifetime is not None]
        self.operators: dict[str, Operator] = {}
        self.followers: dict[str, list[Operator]] = {}
        self.produced: list[Produced] = []
        self.spoiled: list[tuple[Produced, str]] = []
        self.begins: dict[str, int] = {}
        self._alarms: list[tuple[int, str]] = []
        operators = list(operators)
        self.forked = forked(operators)
        for operator in operators:
            self.operators[operator.name] = state = operator.begin(self)
            for stream in operator.on:
                self.followers.setdefault(stream, []).append(state)
        self.freshness = Freshness(self)
        self.origins = Origins(self, operators)
        self.tainting = Tainting(self, operators)

    def declare(self, streams: Collection[Stream[Any]]) -> None:
        """Whatever may come of an app's streams is known: whose sources are silent, and which text is from outside."""
        self.freshness.declare(streams)
        self.tainting.declare(streams)

    def readables(self) -> Iterable[Readable]:
        """Everything that can be read and has a name in the ledger."""
        yield from self.tables.values()
        yield from self.indexes.values()
        yield from self.ranges.values()
        yield from self.views.values()

    def touch(self, watchers: dict[Watcher, None]) -> None:
        """Something that `watchers` read has changed."""
        for watcher in watchers:
            if isinstance(watcher, Node):
                self.stale_nodes[watcher] = None
            else:
                self.touched[watcher] = None

    def fold(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> list[tuple[int, str]]:
        """Folds a batch of a stream's records (None: tombstone) into the tables fed by it, and has operators follow.

        Returns (place in the batch, cause) for each record that a table or an operator could not take.
        """
        return [
            *self.fold_tables(stream, keys, records, offsets),
            *self.follow(stream, keys, records, offsets),
        ]

    def follow(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> list[tuple[int, str]]:
        """Has operators follow a batch of a stream's records; returns like `fold`."""
        failures: list[tuple[int, str]] = []
        for operator in self.followers.get(stream, ()):
            self.offset = offsets[-1]
            failures += operator.take(stream, keys, records, offsets)
        return failures

    def fold_tables(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> list[tuple[int, str]]:
        """Folds a batch of a stream's records into the tables fed by it; returns like `fold`."""
        failures: list[tuple[int, str]] = []
        for table in self.feeds.get(stream, ()):
            declared = table.declared
            alike = (
                not declared.turns_own and not table.by_turns and table.timeline is None
            )  # nobody else's rows, no history
            if alike and declared.fold is None and _NoneType not in set(map(type, records)):
                self.offset = offsets[-1]
                table.put_many(keys, records, offsets)
                continue

            def fold_one(place: int, table: TableState = table) -> None:
                self.offset = offset = offsets[place]
                try:
                    row = _folded(table, keys[place], records[place])
                    if table.timeline is not None:
                        table.timeline.check(row)
                    table.put(keys[place], row, offset)
                except Exception as error:
                    failures.append((place, f"table `{table.name}`: {type(error).__name__}: {error}"))

            if alike and declared.fold is not None and len(keys) >= SMALL:
                fold_many(table, keys, records, offsets, fold_one)
            else:
                for place in range(len(keys)):
                    fold_one(place)
        return failures

    def produce(self, stream: str, record: Any, offset: int) -> None:
        """An operator makes an event on a stream of its own; it is delivered when all that led to it is folded."""
        self.produced.append(Produced(stream, record, offset))

    def take_produced(self) -> list[Produced]:
        """What operators have produced since the last call, in order."""
        produced, self.produced = self.produced, []
        return produced

    def spoil(self, stream: str, record: Any, offset: int, cause: str) -> None:
        """An operator could not take a record of a batch that is past, or make an event of it: a dead letter."""
        self.spoiled.append((Produced(stream, record, offset), cause))

    def wake_at(self, at_us: int, operator: str) -> None:
        """The operator of this name wants to be told when it is `at_us`."""
        heappush(self._alarms, (at_us, operator))

    def forget_alarms(self) -> None:
        """Operators are about to take up saved states, and will ask anew for the moments that they wait for."""
        self._alarms.clear()

    def next_us(self) -> int | None:
        """The earliest moment that a view, a turn or an operator waits for, or at which a row is due to go."""
        moments = [self.expiry.next_us()]
        if self.freshness.watched:
            moments.append(self.freshness.next_us())
        moments += [table.lifetime.next_us() for table in self.mortal if table.lifetime]
        if self._alarms:
            moments.append(self._alarms[0][0])
        return earliest(moments)

    def settle(self) -> None:
        """Re-evaluates what is stale until nothing is: views that others read included."""
        for _ in range(MAX_ROUNDS):
            batch, self.stale_nodes = self.stale_nodes, {}
            if not batch:
                return
            for node in sorted(batch, key=_rank) if len(self.views) > 1 else batch:
                self.stale_nodes.pop(node, None)
                node.view.evaluate(node)
        for node in self.stale_nodes:
            node.view.quarantine[node.key] = "views that read each other do not come to rest"
        self.stale_nodes = {}

    def drop_unmade(self) -> None:
        """After the rows of a snapshot were taken up: drops those that no view makes any more."""
        for view in self.views.values():
            if view.made is not None:
                view.made.drop_unmade(self.offset)
                self.settle()

    def clock_is(self, now_us: int) -> None:
        """It is `now_us`. Where a moment that somebody waits for has come, `passed` is to be called before."""
        self.expiry.now_us = max(self.expiry.now_us, now_us)
        if self.copies is not None:
            self.copies.at(self.expiry.now_us)

    def passed(self, now_us: int, offset: int) -> None:
        """All moments up to `now_us` have come, as the entry at `offset` says: tells who waits for them."""
        self.offset = offset
        if self.copies is not None:
            self.copies.at(now_us - 1)
        self.expiry.now_us = max(self.expiry.now_us, now_us)
        for watchers in (*self.expiry.expired(), *self.freshness.expired()):
            self.touch(watchers)
        for table in self.mortal:
            table.expire(offset)
        due: dict[str, None] = {}
        while self._alarms and self._alarms[0][0] <= now_us:
            due[heappop(self._alarms)[1]] = None
        for operator in due:
            self.operators[operator].passed(offset)

    def take_touched(self) -> list[Watcher]:
        """Who has to look again, in the same order in each run."""
        touched, self.touched = self.touched, {}
        return sorted(touched, key=_order)

    def take_changes(self) -> dict[tuple[str, Any], Any]:
        """The view values that changed: (view, key) to the old value."""
        values, self.changed_values = self.changed_values, {}
        return values


_rank = attrgetter("view.rank")
"""A view reads those declared before it; in this order, not in that of the changes, each is alike in each run."""


def _order(watcher: Watcher) -> tuple[Any, ...]:
    return watcher.order


def _folded(table: TableState, key: Any, record: Any) -> Any:
    declared = table.declared
    row = table.rows.get(key)
    if declared.fold is not None and record is not None:
        record = declared.fold(row, record)
        if isinstance(record, Deleted):
            return _deletion(table, key, record)
        if record is not None and (not isinstance(record, declared.record) or table.key_of(record) != key):
            raise ValueError(f"its fold made {record!r} of an event of `{key}`; it must be that row, or None")
        wrong = without_zone(record, declared.record)
        if wrong:
            raise ValueError(f"its fold made a row of an event of `{key}` of which {wrong}")
    if row is not None and record is not None and declared.turns_own:
        return record.but(**{name: getattr(row, name) for name in declared.turns_own})
    _check_writer(table, key)
    return record


def _deletion(table: TableState, key: Any, deleted: Deleted) -> Deleted | None:
    """A deletion with a time of its own, which matters to a table with an order alone."""
    _check_writer(table, key)
    return None if table.timeline is None else deleted


def _check_writer(table: TableState, key: Any) -> None:
    if key in table.by_turns and not table.declared.turns_own:
        raise ValueError(
            f"row `{key}` was last written by a turn, and one row has one writer; "
            f"declare the fields that turns own (turns_own=) or keep them in a table of their own"
        )
