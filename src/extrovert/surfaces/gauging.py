"""Gauging: reading an engine's gauges, in the engine, and its log's, from the file."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime
from pathlib import Path

from extrovert.context.index import IndexState
from extrovert.context.range_index import RangeIndexState
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.core.time import from_us
from extrovert.engine.loop import Engine
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import log_of
from extrovert.surfaces.gauges import (
    AgentGauge,
    EffectGauge,
    EngineGauge,
    Gauges,
    IndexGauge,
    LimitGauge,
    LogGauge,
    OperatorGauge,
    SourceGauge,
    TableGauge,
    ViewGauge,
)
from extrovert.surfaces.sizing import index_bytes, table_bytes, view_bytes
from extrovert.turns.limits import Limits
from extrovert.turns.wakes import WakeBook

__all__ = ["gauge", "gauge_log"]

MINUTE_US = 60_000_000
STATM = Path("/proc/self/statm")


def gauge(engine: Engine) -> Gauges:
    """The gauges of an engine now, without those of its log."""
    fold = engine.shard.fold
    context = fold.context
    next_us = engine.feeding.next_us()
    return Gauges(
        engine=_engine(engine),
        tables=[_table(state) for state in context.tables.values()],
        views=[_view(state) for state in context.views.values()],
        operators=[_operator(engine, name) for name in context.operators],
        agents=[_agent(engine, book) for book in fold.books.values()],
        effects=_effects(engine),
        sources=_sources(engine),
        limits=[_limit(engine, name, limits) for name, limits in sorted(engine.limiting.accounts.items())],
        due_at=None if next_us is None else from_us(next_us),
    )


def gauge_log(data: Path, now_us: int | None) -> LogGauge:
    """The gauges of the log in a directory: of the minute before `now_us`, or before its latest entry."""
    path = log_of(data)
    size = sum(file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists())
    store = SqliteStore(path, read_only=True)
    try:
        last = store.at(store.end() - 1)
        until_us = now_us if now_us is not None else 0 if last is None else last.at_us
        found = store.tempo(until_us - MINUTE_US)
        snapshot = store.snapshot_size()
        before = None if snapshot is None else store.at(snapshot[0] - 1)
        begins = store.begins()
        first = None if begins == 1 else store.at(begins)
        return LogGauge(
            bytes=size,
            dead_letters=store.dead_waiting(),
            until=from_us(until_us),
            events=sum(offsets for kind, _, offsets in found if kind == "events"),
            recently={kind: entries for kind, entries, _ in found},
            snapshot_offset=None if snapshot is None else snapshot[0] - 1,
            snapshot_bytes=None if snapshot is None else snapshot[1],
            snapshot_at=None if before is None else from_us(before.at_us),
            begins=begins,
            begins_at=None if first is None else from_us(first.at_us),
            bases=len(store.bases()),
        )
    finally:
        store.close()


def _engine(engine: Engine) -> EngineGauge:
    offset, durable = engine.shard.fold.end - 1, engine.writing.durable
    at = from_us(engine.clock.now_us())
    if not engine.settings.acting:
        return EngineGauge(engine.declared.name, at, offset, durable)
    return EngineGauge(engine.declared.name, at, offset, durable, os.getpid(), _resident())


def _resident() -> int | None:
    """The memory of this process, as Linux tells it."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _table(state: TableState) -> TableGauge:
    kinds = (IndexState, RangeIndexState)
    indexes = [IndexGauge(index.name, index_bytes(index)) for index in state.indexes if isinstance(index, kinds)]
    return TableGauge(state.name, len(state.rows), table_bytes(state), indexes)


def _view(state: ViewState) -> ViewGauge:
    return ViewGauge(state.name, state.declared.over, len(state.values), len(state.quarantined()), view_bytes(state))


def _operator(engine: Engine, name: str) -> OperatorGauge:
    follows = {one.name: list(one.on) for one in engine.declared.operators}
    figures = engine.shard.fold.context.operators[name].figures()

    def moment(at_us: int | None) -> datetime | None:
        return None if at_us is None else from_us(at_us)

    return OperatorGauge(
        operator=name.removeprefix("stream "),
        kind=figures.kind,
        follows=follows.get(name, []),
        holds=figures.holds,
        held=figures.held,
        late=figures.late,
        quarantined=figures.quarantined,
        latest=moment(figures.latest_us),
        watermark=moment(figures.reached_us),
        next=moment(figures.next_us),
    )


def _agent(engine: Engine, book: WakeBook) -> AgentGauge:
    turns = [turn for turn in engine.shard.fold.running.values() if turn.agent.name == book.agent.name]
    now_us = engine.shard.now_us
    oldest = next(iter(book.due.values()), None)  # they are added as time goes by
    return AgentGauge(
        agent=book.agent.name,
        on=book.agent.on,
        due=len(book.due),
        running=len(turns),
        asking=sum(bool(turn.calls) for turn in turns),
        retrying=sum(turn.retry_at_us is not None for turn in turns),
        resting=sum(until_us > now_us for until_us in book.resting.values()),
        held=sum(bool(turn.silent) for turn in turns),
        limited=sum(engine.limiting.waits(turn) for turn in turns),
        due_since=None if oldest is None else from_us(oldest.at_us),
    )


def _effects(engine: Engine) -> list[EffectGauge]:
    pending = engine.shard.fold.outbox.pending.values()
    counts = Counter((one.effect, one.state) for one in pending)
    since: dict[tuple[str, str], int] = {}
    for one in pending:
        place = one.effect, one.state
        since[place] = min(since.get(place, one.since_us), one.since_us)
    return [EffectGauge(*place, count, from_us(since[place])) for place, count in sorted(counts.items())]


def _limit(engine: Engine, name: str, limits: Limits) -> LimitGauge:
    fold, now_us = engine.shard.fold, max(engine.clock.now_us(), engine.shard.now_us)
    spending = fold.spending
    account, circuit = spending.account(name), spending.circuits.get(name)
    account.pass_until(now_us)
    waiting = [
        turn.agent.name
        for turn in fold.running.values()
        for place, (sent, _) in turn.calls.items()
        if sent.kind == "ask" and name in (sent.model, f"agent:{turn.agent.name}")
        if spending.in_flight(turn.id, place) is None
    ]
    hold = next((held for agent in waiting if (held := engine.limiting.holds.get(agent)) is not None), None)
    usd_limit = limits.nano_usd_per_hour
    return LimitGauge(
        account=name,
        calls=account.calls,
        requests=len(account.minute),
        tokens=account.tokens,
        usd=account.nano_usd / 1e9,
        waiting=len(waiting),
        calls_limit=limits.calls,
        requests_limit=limits.requests_per_minute,
        tokens_limit=limits.tokens_per_minute,
        usd_limit=None if usd_limit is None else usd_limit / 1e9,
        breaker="" if circuit is None else circuit.state(now_us),
        waits_for="" if hold is None else hold.why,
        until=None if hold is None or hold.until_us is None else from_us(hold.until_us),
    )


def _sources(engine: Engine) -> list[SourceGauge]:
    now_us = engine.clock.now_us()
    heard = engine.feeding.heard(now_us) | engine.inflow.heard()
    positions = engine.shard.fold.positions
    return [
        SourceGauge(name, positions.get(name), from_us(heard[name]) if name in heard else None)
        for name in sorted({*heard, *positions, *(one.name for one in engine.declared.sources)})
    ]
