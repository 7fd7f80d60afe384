"""Gauges: what `extrovert inspect` tells of an engine. Sizes are in bytes, and estimated."""

from __future__ import annotations

from datetime import datetime

import msgspec

from extrovert.core.log import Position
from extrovert.core.record import Record

__all__ = [
    "AgentGauge",
    "EffectGauge",
    "EngineGauge",
    "Gauges",
    "IndexGauge",
    "LimitGauge",
    "LogGauge",
    "OperatorGauge",
    "SourceGauge",
    "TableGauge",
    "ViewGauge",
]


class EngineGauge(Record):
    """The engine: `pid` is None where none runs. `offset` is that of the latest change, `durable` the latest safe one.

    `resident_bytes` is the memory of its whole process, where the system tells it.
    """

    app: str
    at: datetime
    offset: int
    durable: int
    pid: int | None = None
    resident_bytes: int | None = None


class LogGauge(Record):
    """The log: its file's size, its snapshot, and what was logged in the minute before `until`, by kind of entry.

    `recently` has the entries and `events` the events of that minute; `dead_letters` those that wait. `begins` is the
    offset from which on the log is kept, `bases` how many earlier snapshots are kept with it.
    """

    bytes: int
    dead_letters: int
    until: datetime
    events: int
    recently: dict[str, int]
    snapshot_offset: int | None = None
    snapshot_bytes: int | None = None
    snapshot_at: datetime | None = None
    begins: int = 1
    begins_at: datetime | None = None
    bases: int = 0


class IndexGauge(Record):
    index: str
    bytes: int


class TableGauge(Record):
    table: str
    rows: int
    bytes: int
    indexes: list[IndexGauge]


class ViewGauge(Record):
    """A view: its values, the keys in quarantine, and the keys that it is evaluated for."""

    view: str
    over: str
    values: int
    quarantined: int
    bytes: int


class OperatorGauge(Record):
    """A window, pattern, derived stream, schedule or search: how much it has `held` of what `holds` names.

    `latest` is the latest event time that it has seen, `watermark` the time up to which it takes events to be complete,
    `next` the moment that it waits for. `late` counts events that came too late, `quarantined` rows that could not be
    made.
    """

    operator: str
    kind: str
    follows: list[str]
    holds: str
    held: int
    late: int
    quarantined: int
    latest: datetime | None = None
    watermark: datetime | None = None
    next: datetime | None = None


class AgentGauge(Record):
    """An agent: keys that are due (and since when the oldest), turns that run, of these those that wait for an answer
    or to be tried again, and keys that rest. Turns that are `held` wait until sources are heard; of those that ask,
    `limited` have asked what waits for a limit."""

    agent: str
    on: str
    due: int
    running: int
    asking: int
    retrying: int
    resting: int
    held: int
    limited: int
    due_since: datetime | None = None


class EffectGauge(Record):
    """Effects that are not at their end: of one declaration, in one state, and since when the oldest."""

    effect: str
    state: str
    pending: int
    since: datetime


class LimitGauge(Record):
    """What the asks of a model or an agent take: calls in flight, requests and tokens of the last minute, money of the
    last hour; of these, the limits that it has. `waiting` is how many asks are not sent yet, and `waits_for` what the
    first of them waits for, until when, as far as that is known. A `breaker` is closed, open or half open.
    """

    account: str
    calls: int
    requests: int
    tokens: int
    usd: float
    waiting: int
    calls_limit: int | None = None
    requests_limit: int | None = None
    tokens_limit: int | None = None
    usd_limit: float | None = None
    breaker: str = ""
    waits_for: str = ""
    until: datetime | None = None


class SourceGauge(Record):
    """A source: how far it was read, as it says itself, and when it was last heard (None where no engine runs)."""

    source: str
    position: Position
    heard_at: datetime | None = None


class Gauges(Record, tag="gauges"):
    """All of it. `due_at` is when the next record of a timed source is due: if that is past, the engine is behind."""

    engine: EngineGauge
    tables: list[TableGauge]
    views: list[ViewGauge]
    operators: list[OperatorGauge]
    agents: list[AgentGauge]
    effects: list[EffectGauge]
    sources: list[SourceGauge]
    limits: list[LimitGauge] = []
    due_at: datetime | None = None
    log: LogGauge | msgspec.UnsetType = msgspec.UNSET
