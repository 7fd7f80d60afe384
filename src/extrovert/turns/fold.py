"""The fold: all state of an engine as a function of its log. Live and replay apply entries through here alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from extrovert.context.live import LiveContext, Produced
from extrovert.context.operator import DeclaredOperator
from extrovert.context.search_state import SearchState
from extrovert.context.seen import Seen
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.errors import CorruptionError
from extrovert.core.log import (
    Admitted,
    Answered,
    Attempted,
    Decided,
    EffectStep,
    Embedded,
    Emit,
    Ended,
    Entry,
    Events,
    Failed,
    Heard,
    Invalidated,
    Position,
    Retried,
    Wake,
    is_null,
)
from extrovert.turns.applying import apply
from extrovert.turns.bodies import Bodies
from extrovert.turns.chain import OUTSIDE, Cause, Chain, outside
from extrovert.turns.corrections import Corrections
from extrovert.turns.declare import Agent
from extrovert.turns.delayed import Delayed
from extrovert.turns.invalidated import INVALIDATIONS, event_of
from extrovert.turns.limits import Breaker
from extrovert.turns.mail import Mail, address_of
from extrovert.turns.outbox import Outbox, Pending
from extrovert.turns.outcome import outcome_of
from extrovert.turns.request import Answer
from extrovert.turns.running import HOLD, Running
from extrovert.turns.spending import Spending
from extrovert.turns.wakes import WakeBook

__all__ = ["Fold"]


class Fold:
    """Tables, views, wakes, running turns, what their asks spend, the outbox and the sources' positions; in `told` what
    models are told that is in the log.

    `parked` are the running turns that wait for nothing but the clock, events, persons and sources. `end` is the next
    free offset and `at_us` the time of the latest entry. `intents` collects the effects that the entries applied since
    it was last emptied have intended, `spoiled` the events that operators made and that could not be taken, with their
    causes.
    """

    def __init__(
        self,
        streams: Iterable[Stream[Any]],
        tables: Sequence[Table[Any, Any]],
        views: Sequence[View[Any, Any]],
        agents: Iterable[Agent[Any]],
        operators: Iterable[DeclaredOperator] = (),
        *,
        strict_shards: bool = False,
        outcomes: Mapping[str, str] | None = None,
        breakers: Mapping[str, Breaker] | None = None,
        horizon_us: int | None = None,
    ) -> None:
        self.context = LiveContext(tables, views, operators, strict_shards=strict_shards)
        self.streams = {stream.name: stream for stream in streams}
        self.context.declare(self.streams.values())
        self.agents = {agent.name: agent for agent in agents}
        self.chain = Chain()
        self.books = {name: WakeBook(agent, self.chain) for name, agent in self.agents.items()}
        self.running: dict[str, Running] = {}
        self.parked: dict[str, Running] = {}
        self.mail = Mail()
        self.outbox = Outbox()
        self.spending = Spending(breakers)
        self.corrections = None if horizon_us is None else Corrections(self.context, horizon_us, self.chain)
        self._outcomes = outcomes or {}
        self.told: set[str] = set()
        self.positions: dict[str, Position] = {}
        self.seen = {name: Seen(stream) for name, stream in self.streams.items() if stream.id}
        self.intents: list[Pending] = []
        self.spoiled: list[tuple[Produced, str]] = []
        self.end = 1
        self.at_us = 0
        self._by_source: dict[tuple[str, str], list[WakeBook]] = {}
        for book in self.books.values():
            self._by_source.setdefault((book.agent.source, book.agent.on), []).append(book)
            if book.agent.source == "table":
                self.context.tables[book.agent.on].listeners.append(book.rows_changed)
        self._on_tables = [book for book in self.books.values() if book.agent.source == "table"]
        self._bodies = Bodies(self.streams)
        self._decoders = self._bodies.decoders
        self._row_types = {table.name: table.record for table in tables}
        self.delayed = Delayed(self.context, self._decoders)

    # ---- replay

    def replay(self, entry: Entry) -> None:
        """Applies an entry that is in the log already. Raises `CorruptionError` where it cannot follow."""
        if entry.offset != self.end:
            raise CorruptionError(f"The log goes on at offset {entry.offset}, but {self.end} was expected.")
        self.context.clock_is(entry.at_us)
        try:
            body, records = self._bodies.decode(entry)
            apply(self, body, records, entry.offset, entry.at_us)
        except (msgspec.DecodeError, KeyError) as error:
            raise CorruptionError(
                f"Entry {entry.offset} ({entry.kind}) does not fit this app: {type(error).__name__}: {error}. "
                f"Was a stream, table or agent renamed, or a field changed?"
            ) from error
        self.spoiled.clear()  # each has its dead letter in the log
        self.moved(entry.offset + entry.count, entry.at_us)

    def moved(self, end: int, at_us: int) -> None:
        """An entry up to `end` has been applied."""
        self.end, self.at_us = end, at_us
        self.context.moments.passed(end, at_us)
        self.chain.now = OUTSIDE
        if self.corrections is not None:
            self.corrections.passed(at_us)
        for seen in self.seen.values():
            seen.drop(at_us)

    # ---- one method per kind of entry

    def passed(self, offset: int, at_us: int) -> None:
        """A moment that a view, a turn or an operator waits for has come."""
        self.context.passed(at_us, offset)
        self._deliver_produced(at_us)
        self.settle(offset, at_us)

    def heard(self, body: Heard, offset: int, at_us: int) -> None:
        """Sources were heard that had nothing new."""
        for stream, heard_us in body.heard.items():
            self.context.freshness.heard(stream, heard_us)
        self.settle(offset, at_us)

    def events(self, body: Events, records: list[Any], offset: int, at_us: int) -> list[tuple[int, str]]:
        """Folds a batch of events; returns (place, cause) for those that a table could not take."""
        stream = self.streams[body.stream]
        keys = body.keys if body.keys is not None else list(map(stream.key_of, records))
        failures: list[tuple[int, str]] = []
        self.context.freshness.came(stream.name, body.source, at_us, declared=body.position is not None)
        if records:
            if stream.id:
                self.seen[stream.name].note(body.source, records, at_us)
            failures = self._deliver(stream.name, keys, records, range(offset, offset + len(records)), at_us)
            self._deliver_produced(at_us)
        if body.position is not None:
            self.positions[body.source] = body.position
        self.settle(offset + max(1, len(records)) - 1, at_us)
        return failures

    def _deliver(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int], at_us: int
    ) -> list[tuple[int, str]]:
        """Folds a batch of one stream and wakes the agents on it; returns (place, cause) of what could not be taken."""
        context = self.context
        if stream not in context.forked:
            failures = context.fold(stream, keys, records, offsets)
        else:
            failures = context.fold_tables(stream, keys, records, offsets)
            for place, (key, record, offset) in enumerate(zip(keys, records, offsets, strict=True)):
                failures += [(place, cause) for _, cause in context.follow(stream, [key], [record], [offset])]
                self._deliver_produced(at_us)
        for book in self._by_source.get(("stream", stream), ()):
            for key, record, offset in zip(keys, records, offsets, strict=True):
                if record is not None:
                    book.event_came(key, record, offset, at_us)
        self.mail.delivered(stream, keys, records, offsets, outside=not self.chain.now.hops)
        return failures

    def _deliver_produced(self, at_us: int) -> None:
        """Delivers what operators made of what was delivered, and what they make of that."""
        while produced := self.context.take_produced():
            for name, made in groupby(produced, itemgetter(0)):
                batch = list(made)
                stream = self.streams[name]
                records = [one.record for one in batch]
                offsets = [one.offset for one in batch]
                for place, cause in self._deliver(name, list(map(stream.key_of, records)), records, offsets, at_us):
                    self.spoiled.append((batch[place], cause))
        if self.context.spoiled:
            self.spoiled += self.context.spoiled
            self.context.spoiled = []

    def embedded(self, body: Embedded, offset: int, at_us: int) -> None:
        """Rows that a search waited for have their vectors."""
        search = self.context.operators.get(body.search)
        if isinstance(search, SearchState):
            search.embedded(body.model, body.keys, body.texts, body.vectors)
            self.settle(offset, at_us)

    def attempted(self, body: Attempted, offset: int, at_us: int) -> list[tuple[int, str]]:
        """Applies what an attempt asked; returns (place among the emits, cause) for what a table could not take."""
        turn = self._turn(body.turn, body.agent, body.key, body.wake, at_us)
        turn.attempted(body, offset, at_us)
        for sent in body.asks:
            if sent.kind == "next":
                self.mail.listen(turn, address_of(sent))
        sent = {(ask.hash, ask.occurrence) for ask in body.asks}
        self.spending.left(turn.id, turn.calls.keys() - sent, at_us)  # what is sent anew is not in flight yet
        self._parks_or_not(turn)
        self.chain.follows(body.agent, turn.wake)
        return self._emitted(body.emits, offset, at_us)

    def admitted(self, body: Admitted, offset: int, at_us: int) -> None:
        """An ask is sent, and takes of the limits of its accounts."""
        self.running[body.turn].admissions.append(offset)
        self.spending.admitted(body, offset, at_us)

    def answered(self, body: Answered, offset: int, at_us: int) -> None:
        turn = self.running[body.turn]
        place = (body.hash, body.occurrence)
        sent, _ = turn.calls.pop(place, (None, 0))
        if sent is not None and sent.kind == "next" and not is_null(body.answer):
            del turn.inbox[address_of(sent)][0]
        if body.hash == HOLD:
            turn.reruns = 0
        self.spending.answered(turn.id, place, body.usage, at_us)
        if sent is not None and sent.kind in ("sleep", "approval"):
            turn.wake = outside(turn.wake)
        turn.answers[place] = Answer(offset, at_us, body.answer)
        turn.trail.append(offset)
        self._parks_or_not(turn)

    def failed(self, body: Failed, offset: int, at_us: int) -> None:
        turn = self._turn(body.turn, body.agent, body.key, body.wake, at_us)
        turn.attempt = body.attempt
        turn.failures += 1
        turn.retry_at_us = body.retry_at_us
        turn.calls.clear()
        self.spending.left(turn.id, (), at_us)
        turn.silent = ()
        turn.trail.append(offset)
        self._parks_or_not(turn)

    def ended(self, body: Ended, offset: int, at_us: int) -> None:
        turn = self._turn(body.turn, body.agent, body.key, body.wake, at_us)
        self._close(turn, body.wake, offset, at_us)
        self.settle(offset, at_us)

    def decided(self, body: Decided, offset: int, at_us: int) -> list[tuple[int, str]]:
        """Applies a decision: its writes, its emitted events (some for later), its intents, and the end of its turn.

        Returns (place among the emits, cause) for those that a table could not take.
        """
        turn = self._turn(body.turn, body.agent, body.key, body.wake, at_us)
        if body.shadow:
            self._close(turn, body.wake, offset, at_us)
            self.settle(offset, at_us)
            return []
        self.chain.follows(body.agent, body.wake)
        if self.corrections is not None:
            self.corrections.watch(body, offset, at_us)
        context = self.context
        context.offset = offset
        for write in body.writes:
            table = context.tables[write.to]
            row = None if is_null(write.row) else msgspec.json.decode(write.row, type=self._row_types[write.to])
            table.put(write.key, row, offset)
            if row is not None and write.key in table.rows:
                table.by_turns.add(write.key)
        self.intents.extend(self.outbox.intend(body, offset, at_us))
        self._close(turn, body.wake, offset, at_us)
        self.settle(offset, at_us)
        return self._emitted(body.emits, offset, at_us)

    def _emitted(self, emits: Sequence[Emit], offset: int, at_us: int) -> list[tuple[int, str]]:
        """Delivers what the entry at `offset` emits, or keeps it for its moment."""
        failures: list[tuple[int, str]] = []
        for step, emitted in enumerate(emits, start=1):
            event = self._decoders[emitted.to].decode(emitted.data)
            if emitted.due_us is not None and emitted.due_us > at_us:
                self.delayed.add(emitted.due_us, emitted.to, event)
                continue
            failed = self._deliver(emitted.to, [emitted.key], [event], [offset + step], at_us)
            failures += [(step - 1, cause) for _, cause in failed]
            self._deliver_produced(at_us)
            self.settle(offset + step, at_us)
        return failures

    def stepped(self, body: EffectStep, offset: int, at_us: int) -> None:
        """Applies steps of effects; where somebody wants to know what came of one, an event tells of it."""
        for move in body.moves if self._outcomes else ():
            pending = self.outbox.pending[move.key]
            if pending.effect in self._outcomes and (outcome := outcome_of(pending, move)) is not None:
                self.chain.now = pending.cause
                self.context.produce(self._outcomes[pending.effect], outcome, offset)
                self._deliver_produced(at_us)
                self.settle(offset, at_us)
        self.intents.extend(self.outbox.step(body, offset, at_us))

    def invalidated(self, body: Invalidated, offset: int, at_us: int) -> None:
        """What a decision had read has been corrected: an event tells of it, where the app wants to know."""
        self.chain.now = Cause(body.hops, body.via)
        if INVALIDATIONS in self.streams:
            self.context.produce(INVALIDATIONS, event_of(body), offset)
            self._deliver_produced(at_us)
            self.settle(offset, at_us)

    def knows(self, decision: str) -> bool:
        """Whether there is such a decision, as far as that is remembered: to be undone, or corrected."""
        return self.outbox.knows(decision) or (self.corrections is not None and self.corrections.knows(decision))

    def retried(self, body: Retried, offset: int, at_us: int) -> None:
        if body.agent:
            book = self.books[body.agent]
            events = [(at, self._decoders[book.agent.on].decode(raw)) for at, raw in body.events]
            book.again(body.key, self.present(book.agent, body.key)[0], offset, at_us, events)

    # ---- wakes

    def present(self, agent: Agent[Any], key: Any) -> tuple[Any, int]:
        """The present value of what an agent on a view or table wakes on, and its version; (None, 0) where it is gone.

        A turn on a stream is woken by events, which are not present or gone.
        """
        if agent.source == "view":
            return self.context.views[agent.on].look(key)
        if agent.source == "table":
            return self.context.tables[agent.on].look(key)
        return None, 0

    def settle(self, offset: int, at_us: int) -> None:
        """Brings the views up to date and finds out who is due because of it."""
        context = self.context
        if context.stale_nodes:
            context.offset = offset
            context.settle()
        if context.changed_values:
            for name, key in context.take_changes():
                value = context.views[name].values.get(key)
                for book in self._by_source.get(("view", name), ()):
                    book.value_is(key, value, offset, at_us)
        for book in self._on_tables:
            table = context.tables[book.agent.on]
            for key in book.take_rows():
                book.value_is(key, table.rows.get(key), table.versions.get(key, offset), at_us)

    def _turn(self, name: str, agent: str, key: Any, wake: Wake | None, at_us: int) -> Running:
        """The running turn of this name; where it is not running yet, it begins with the wake that the log gives."""
        turn = self.running.get(name)
        if turn is None:
            if wake is None:
                raise CorruptionError(f"Turn {name} goes on in the log but never began.")
            turn = self.begin(self.books[agent], key, at_us, wake)
        return turn

    def begin(self, book: WakeBook, key: Any, at_us: int, wake: Wake | None = None) -> Running:
        """A turn begins: it takes the wake of its key, or, in replay, the `wake` that it took."""
        wake, events = book.begin(key, wake)
        turn = Running(book.agent, key, wake, events, at_us)
        self.take_up(turn)
        return turn

    def take_up(self, turn: Running) -> None:
        """The turn runs from now on."""
        self.running[turn.id] = turn
        self._parks_or_not(turn)

    def _parks_or_not(self, turn: Running) -> None:
        book = self.books[turn.agent.name]
        if turn.parks:
            turn.latest = None
            self.parked[turn.id] = turn
            book.parked.add(turn.key)
        elif self.parked.pop(turn.id, None) is not None:
            book.parked.discard(turn.key)

    def _close(self, turn: Running, wake: Wake, offset: int, at_us: int) -> None:
        if turn.reads:
            turn.watch({})
        turn.let_go()  # it knows the turn, and would keep both alive
        del self.running[turn.id]
        self.parked.pop(turn.id, None)
        self.mail.forget(turn)
        self.spending.left(turn.id, (), at_us)
        book = self.books[turn.agent.name]
        book.end(turn.key, wake, at_us)
        if turn.agent.source != "stream":
            value, version = self.present(turn.agent, turn.key)
            book.value_is(turn.key, value, version or offset, at_us)
