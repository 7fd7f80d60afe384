"""`extrovert inspect`: how an engine is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extrovert.core.ids import canonical
from extrovert.core.log import Position
from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from rich.console import Console

    from extrovert.surfaces.gauges import Gauges, LogGauge

__all__ = ["inspect"]

UNITS = ("B", "kB", "MB", "GB", "TB")


def inspect(app: AppOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show how the engine is doing: what it holds, what it is at, and how far behind it is.

    Rates are those of the last minute, from the log itself; where the app does not run, of the last minute of its log.
    Memory is an estimate from a sample of 50 rows of each table: rows with all that they hold, indexes and views apart.
    Of an agent's turns, limited are those that ask what waits for a limit, held those that wait to hear of a source.
    Quarantined keys are those for which a view raised; `extrovert tables VIEW` says why. The watermark of a window is
    the event time up to which it takes its stream to be complete; late is what came after its windows were over.

    With --json, one object: engine, log, tables, views, operators, agents, limits, effects and sources, sizes in bytes.

    Examples:
      extrovert inspect
      extrovert inspect --json | jq '.tables[] | {table, rows, bytes}'
    """
    import msgspec

    from extrovert.core.time import to_us
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.gauges import Gauges
    from extrovert.surfaces.gauging import gauge_log
    from extrovert.surfaces.printing import console, json_lines
    from extrovert.surfaces.protocol import Inspect
    from extrovert.surfaces.reaching import one, reached

    place = locate(app, data)
    with reached(place) as engine:
        found = one(engine.ask(Inspect()), Gauges)
        log = gauge_log(place.data, None if found.engine.pid is None else to_us(found.engine.at))
    if as_json:
        json_lines([msgspec.structs.asdict(found.but(log=log))])
    else:
        _show(console(), found, log)


def _show(out: Console, found: Gauges, log: LogGauge) -> None:
    _show_engine(out, found)
    _show_log(out, found, log)
    _show_context(out, found)
    _show_operators(out, found)
    _show_work(out, found)


def _show_engine(out: Console, found: Gauges) -> None:
    from extrovert.surfaces.printing import span

    engine = found.engine
    behind = engine.offset - engine.durable
    state = "is not running" if engine.pid is None else f"runs (process {engine.pid})"
    memory = "" if engine.resident_bytes is None else f", {_size(engine.resident_bytes)} of memory in all"
    durable = "all durable" if behind <= 0 else f"the last {behind:,} not durable yet"
    out.print(f"{engine.app} {state}, at offset {engine.offset:,} ({durable}){memory}", soft_wrap=True)
    late_us = 0 if found.due_at is None else _since_us(found, found.due_at)
    if late_us > 0:
        out.print(f"It is {span(late_us)} behind its sources.", soft_wrap=True)


def _show_log(out: Console, found: Gauges, log: LogGauge) -> None:
    from extrovert.surfaces.printing import moment, span

    out.print()
    snapshot = "no snapshot yet"
    if log.snapshot_offset is not None and log.snapshot_at is not None:
        to_read = found.engine.offset - log.snapshot_offset
        age = span(max(0, _since_us(found, log.snapshot_at)))
        snapshot = f"snapshot of {_size(log.snapshot_bytes or 0)}, {age} old, {to_read:,} offsets since"
    out.print(f"Log: {_size(log.bytes)}; {snapshot}", soft_wrap=True)
    if log.begins_at is not None:
        kept = span(max(0, _since_us(found, log.begins_at)))
        out.print(f"Kept: the last {kept}, from offset {log.begins:,} on, and {log.bases} bases", soft_wrap=True)
    of = "In the last minute" if found.engine.pid is not None else f"In the minute before {moment(log.until)} UTC"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in log.recently.items()) or "none"
    out.print(f"{of}: {log.events:,} events ({log.events / 60:,.1f} a second); entries: {kinds}", soft_wrap=True)
    if log.dead_letters:
        out.print(f"{log.dead_letters:,} dead letters wait: extrovert dead-letters", soft_wrap=True)


def _show_context(out: Console, found: Gauges) -> None:
    from extrovert.surfaces.printing import columns

    rows: list[tuple[str, str, str]] = []
    for table in found.tables:
        rows.append((table.table, f"{table.rows:,}", _size(table.bytes)))
        rows += [(f"  index {index.index}", "", _size(index.bytes)) for index in table.indexes]
    _section(out, columns(("table", "rows", "memory (est.)"), rows, right=("rows", "memory (est.)")))
    if found.views:
        views = [
            (view.view, view.over, f"{view.values:,}", f"{view.quarantined:,}", _size(view.bytes))
            for view in found.views
        ]
        heads = ("view", "over", "values", "quarantined", "memory (est.)")
        _section(out, columns(heads, views, right=heads[2:]))


def _show_operators(out: Console, found: Gauges) -> None:
    from extrovert.surfaces.printing import columns

    operators = [
        (
            one.operator,
            one.kind,
            ", ".join(one.follows),
            f"{one.held:,} {one.holds}" if one.holds else "",
            f"{one.late:,}" if one.late else "",
            f"{one.quarantined:,}" if one.quarantined else "",
            _ago(found, one.watermark),
            _until(found, one.next),
        )
        for one in found.operators
    ]
    if operators:
        heads = ("operator", "kind", "follows", "holds", "late", "quarantined", "watermark", "next")
        _section(out, columns(heads, operators, right=heads[4:]))


def _show_work(out: Console, found: Gauges) -> None:
    from extrovert.surfaces.printing import columns, moment

    if found.agents:
        heads = ("running", "asking", "limited", "held", "retrying", "resting")
        agents = [
            (
                agent.agent,
                agent.on,
                f"{agent.due:,}",
                _ago(found, agent.due_since),
                *(f"{getattr(agent, head):,}" for head in heads),
            )
            for agent in found.agents
        ]
        heads = ("agent", "wakes on", "due", "oldest due", *heads)
        _section(out, columns(heads, agents, right=heads[2:]))
    if found.limits:
        heads = ("limits of", "calls", "requests/min", "tokens/min", "USD/hour", "waiting", "for", "until", "breaker")
        limits = [
            (
                one.account,
                _of(one.calls, one.calls_limit),
                _of(one.requests, one.requests_limit),
                _of(one.tokens, one.tokens_limit),
                _of(one.usd, one.usd_limit),
                f"{one.waiting:,}",
                one.waits_for,
                "" if one.until is None else moment(one.until),
                one.breaker,
            )
            for one in found.limits
        ]
        _section(out, columns(heads, limits, right=heads[1:6]))
    if found.effects:
        heads = ("effect", "state", "pending", "oldest")
        effects = [(one.effect, one.state, f"{one.pending:,}", _ago(found, one.since)) for one in found.effects]
        _section(out, columns(heads, effects, right=heads[2:]))
    if found.sources:
        heads = ("source", "position", "last heard")
        sources = [(one.source, _position(one.position), _ago(found, one.heard_at)) for one in found.sources]
        _section(out, columns(heads, sources, right=heads[1:]))


def _section(out: Console, table: Any) -> None:
    out.print()
    out.print(table)


def _since_us(found: Gauges, at: datetime) -> float:
    return (found.engine.at - at).total_seconds() * 1e6


def _ago(found: Gauges, at: datetime | None) -> str:
    from extrovert.surfaces.printing import span

    return "" if at is None else f"{span(max(0, _since_us(found, at)))} ago"


def _of(count: float, limit: float | None) -> str:
    """How much of a limit is taken."""
    return f"{count:,.6g}" if limit is None else f"{count:,.6g} of {limit:,.6g}"


def _until(found: Gauges, at: datetime | None) -> str:
    from extrovert.surfaces.printing import span

    left_us = 0.0 if at is None else -_since_us(found, at)
    return "" if at is None else f"in {span(left_us)}" if left_us > 0 else "now"


def _size(count: int) -> str:
    """Bytes as a person says them."""
    left, unit = float(count), 0
    while left >= 1000 and unit < len(UNITS) - 1:
        left, unit = left / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{left:.1f} {UNITS[unit]}"


def _position(position: Position) -> str:
    """A count of records with its thousands set apart; what else a source keeps, as JSON."""
    return f"{position:,}" if isinstance(position, int) else "" if position is None else canonical(position).decode()
