"""Answering: what a command may ask of an engine, whether it runs elsewhere or is hosted by the command itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.core.errors import DeclarationError
from extrovert.core.time import from_us
from extrovert.engine.approving import decide, pending_approvals
from extrovert.engine.candidates import named
from extrovert.engine.loop import Engine
from extrovert.engine.prompting import would_ask
from extrovert.engine.settling import settle
from extrovert.engine.why_not import why_not
from extrovert.queries.relations import held, relations
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import log_of
from extrovert.surfaces.gauging import gauge
from extrovert.surfaces.heard import freshness_of
from extrovert.surfaces.latest import latest_events
from extrovert.surfaces.mcp.looking_up import compared, looked_up, published
from extrovert.surfaces.mcp.wire import Compare, ListPublished, LookUp
from extrovert.surfaces.overhearing import Say, taken_in
from extrovert.surfaces.protocol import (
    Approvals,
    Decide,
    Done,
    EffectInfo,
    Effects,
    GetRow,
    Inspect,
    ListApprovals,
    ListEffects,
    ListFreshness,
    ListRelations,
    ListRows,
    ListTables,
    Page,
    ReadRelations,
    Relations,
    Reply,
    Request,
    Retaken,
    Retry,
    RowAt,
    Rows,
    Seen,
    Settle,
    SettledAs,
    ShowPrompt,
    TableInfo,
    Tables,
    Take,
    Taken,
    ViewInfo,
    WhyNot,
)
from extrovert.surfaces.retrying import retry
from extrovert.turns.outbox import Outbox

__all__ = ["answer"]

ROWS_AT_A_TIME = 500
PAGE = 1_000


def answer(engine: Engine, data: Path, request: Request) -> Iterable[Reply]:
    """Does what is asked, now, and returns the replies. They may be told when all that is applied now is durable.

    Raises `DeclarationError` where the request names what is not there.
    """
    match request:
        case Take(stream, text, first_line, source):
            engine.shard.advance(engine.clock.now_us())
            report = engine.intake.lines(stream, text, source=source, first_line=first_line)
            return [Taken(report.accepted, report.rejected, report.duplicates)]
        case Retry(offsets):
            engine.shard.advance(engine.clock.now_us())
            store = SqliteStore(log_of(data), read_only=True)
            try:
                return [Retaken(retry(engine, store, offsets))]
            finally:
                store.close()
        case Settle(key, said, by, because, outcome):
            engine.shard.advance(engine.clock.now_us())
            settle(engine, key, said, by=by, because=because, outcome=outcome)
            return [SettledAs()]
        case ShowPrompt(agent, key):
            declared = named(engine.declared, agent)
            return [would_ask(engine.shard, declared, key, lambda of: latest_events(engine, data, declared, of))]
        case Decide(name, said):
            engine.shard.advance(engine.clock.now_us())
            return [Approvals([decide(engine, name, said)])]
        case Say():
            return [taken_in(engine, request)]
        case _:
            return _looked(engine, request)


def _looked(engine: Engine, request: Request) -> Iterable[Reply]:
    """The answer to a request that changes nothing."""
    match request:
        case ListEffects():
            return [Effects(_effects(engine.shard.fold.outbox))]
        case ListTables():
            context = engine.shard.fold.context
            return [Tables([*map(_about, context.tables.values())], [*map(_about_view, context.views.values())])]
        case ListRows(name, limit):
            state = _state(engine, name)
            wrong = _quarantined(engine, state)
            return _rows(state, _first(_present(state), limit), _first(wrong, limit), wrong)
        case GetRow(name, text):
            state = _state(engine, name)
            key = _key(state.table if isinstance(state, ViewState) else state, text)
            wrong = _quarantined(engine, state)
            keys = [one for one in dict.fromkeys((key, text)) if one in wrong]
            return _rows(state, [key] if key in _present(state) else [], keys, wrong)
        case ListRelations():
            return [Relations(relations(engine.shard.fold.context))]
        case ReadRelations(names):
            return _pages(engine, names)
        case _:
            return [_told(engine, request)]


def _told(engine: Engine, request: Request) -> Reply:
    """How it stands with the engine, and who waits for what."""
    match request:
        case Inspect():
            return gauge(engine)
        case ListFreshness():
            return freshness_of(engine)
        case WhyNot(agent, key):
            declared = named(engine.declared, agent)
            now_us, acting = engine.clock.now_us(), engine.settings.acting
            hold = engine.limiting.holds.get(declared.name)
            return why_not(engine.shard.fold, declared, key, now_us, acting=acting, hold=hold)
        case ListApprovals():
            return Approvals(pending_approvals(engine.shard.fold))
        case ListPublished():
            return published(engine)
        case LookUp():
            return looked_up(engine, request)
        case Compare():
            return compared(engine, request)
        case _:
            raise DeclarationError(f"An engine is not asked for {type(request).__name__}.")


def _effects(outbox: Outbox) -> list[EffectInfo]:
    """Those that came to a bad end, then those that are not at their end."""
    return [
        EffectInfo(
            one.key,
            one.effect,
            one.args,
            one.state,
            from_us(one.since_us),
            one.tries,
            one.error,
            None if one.retry_at_us is None else from_us(one.retry_at_us),
            outbox.ahead(one) if one.key in outbox.pending else "",
            one.undoes,
            one.undo,
        )
        for one in (*outbox.failed.values(), *outbox.pending.values())
    ]


def _state(engine: Engine, name: str) -> TableState | ViewState:
    context = engine.shard.fold.context
    found = context.tables.get(name) or context.views.get(name)
    if found is None:
        known = ", ".join(sorted([*context.tables, *context.views])) or "none"
        raise DeclarationError(f"There is no table or view `{name}`. This app has: {known}.")
    return found


def _present(state: TableState | ViewState) -> dict[Any, Any]:
    return state.rows if isinstance(state, TableState) else state.values


def _quarantined(engine: Engine, state: TableState | ViewState) -> dict[Any, str]:
    """Where there is no value because something is wrong; of a table that a view makes, in that view."""
    view = state if isinstance(state, ViewState) else engine.shard.fold.context.views.get(state.name)
    return {} if view is None else view.quarantined()


def _first(found: dict[Any, Any], limit: int | None) -> list[Any]:
    """The first keys, in order."""
    return sorted(found) if limit is None else nsmallest(limit, found)


def _about_view(state: ViewState) -> ViewInfo:
    return ViewInfo(state.name, state.declared.over, len(state.values), len(state.quarantined()))


def _about(state: TableState) -> TableInfo:
    table = state.declared
    by_turns = "turns" if not table.fed else f"source, turns ({', '.join(sorted(table.turns_own))})"
    written_by = table.made_by.replace("`", "") or ("source" if table.fed and not table.turns_own else by_turns)
    return TableInfo(table.name, table.key, len(state.rows), table.stream, written_by)


def _key(state: TableState, text: str) -> Any:
    """A key as the table has it: its keys are text, or whole numbers."""
    table = state.declared
    try:
        return msgspec.convert(text, table.key_type, strict=False)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"`{text}` is no key of table `{table.name}`: `{table.key}`: {error}.") from error


def _rows(
    state: TableState | ViewState, keys: list[Any], quarantined: list[Any], causes: dict[Any, str]
) -> Iterator[Reply]:
    """What is present at `keys`, then who is quarantined; it is taken now, and encoded when it is told."""
    rows = _present(state)
    present = [(key, state.versions[key], rows[key], "") for key in keys]
    present += [(key, 0, None, causes[key]) for key in quarantined]
    done = Done(len(rows), len(causes))

    def told() -> Iterator[Reply]:
        encode = msgspec.json.Encoder(enc_hook=str).encode
        waiting = iter(present)
        while some := list(islice(waiting, ROWS_AT_A_TIME)):
            yield Rows([RowAt(key, version, msgspec.Raw(encode(row)), cause) for key, version, row, cause in some])
        yield done

    return told()


def _pages(engine: Engine, names: list[str]) -> Iterator[Reply]:
    """What these tables and views hold; it is taken now, all at one moment, and encoded when it is told."""
    taken = held(engine.shard.fold.context, names)
    offset = engine.shard.fold.end - 1

    def told() -> Iterator[Reply]:
        encode = msgspec.json.Encoder(enc_hook=str).encode
        for one in taken.values():
            for part in one.parts(PAGE):
                keys = None if part.keys is None else msgspec.Raw(encode(part.keys))
                yield Page(one.of, msgspec.Raw(encode(part.values)), keys)
        yield Seen(offset)

    return told()
