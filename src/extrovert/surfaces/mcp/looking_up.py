"""Looking up, in the engine, what its app publishes, and nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import astuple, fields

from extrovert.context.index import Index
from extrovert.context.range_index import RangeIndex
from extrovert.context.reads import ReadSet, Scope, current, reading
from extrovert.context.search import Search
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.context.window import Window
from extrovert.core.errors import ExtrovertError
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.schema import wanted
from extrovert.core.time import from_us
from extrovert.engine.loop import Engine
from extrovert.surfaces.mcp.wire import Compare, Compared, LookedUp, LookUp, Published, PublishedTool
from extrovert.turns.lookups import Looked, Lookup

__all__ = ["SCHEME", "compared", "looked_up", "published"]

SCHEME = "extrovert"
MOST_KEPT = 1_000

_kept: WeakKeyDictionary[Engine, dict[bytes, tuple[ReadSet, str]]] = WeakKeyDictionary()
"""By engine, what look-ups gave when they were last compared, and what they had read for it."""


def published(engine: Engine) -> Published:
    """All that the app publishes."""
    tools = [
        PublishedTool(tool.name, tool.description, _schema(tool), _address(tool))
        for tool in engine.declared.published.values()
    ]
    return Published(engine.declared.name, tools)


def looked_up(engine: Engine, asked: LookUp) -> LookedUp:
    """What a look-up gives now."""
    tool = engine.declared.published.get(asked.tool)
    if tool is None:
        return LookedUp(error=f"Nothing that is published is called `{asked.tool}`.")
    try:
        value = _value(engine, tool, asked, {})
    except msgspec.ValidationError as error:
        return LookedUp(error=f"The arguments of `{tool.name}` do not fit: {error}.")
    except ExtrovertError as error:
        return LookedUp(error=str(error))
    now_us = engine.clock.now_us()
    ages = engine.shard.ages(engine.shard.fold.context.origins.of(tool.of), now_us)
    heard = {stream: None if age_us is None else age_us / 1000 for stream, age_us in sorted(ages.items())}
    return LookedUp(msgspec.Raw(msgspec.json.encode(value)), engine.shard.fold.end - 1, from_us(now_us), heard)


def compared(engine: Engine, asked: Compare) -> Compared:
    """What look-ups give now, told by fingerprints."""
    offset = engine.shard.fold.end - 1
    if offset == asked.since:
        return Compared(offset)
    return Compared(offset, [_print(engine, one) for one in asked.looked])


def _print(engine: Engine, asked: LookUp) -> str:
    """What changes when the look-up gives something else. It is looked up only where something that it read has
    changed since it last was."""
    kept, name = _kept.setdefault(engine, {}), canonical(asked)
    reads, found = kept.get(name, ({}, ""))
    if found and current(reads):
        return found
    reads = ReadSet()
    tool = engine.declared.published.get(asked.tool)
    try:
        found = fingerprint(canonical(None if tool is None else _value(engine, tool, asked, reads)))
    except (ExtrovertError, msgspec.ValidationError) as error:
        return fingerprint(str(error))
    if len(kept) >= MOST_KEPT:
        kept.clear()
    kept[name] = (reads, found)
    return found


def _value(engine: Engine, tool: Lookup, asked: LookUp, reads: ReadSet) -> Any:
    arguments = msgspec.convert(asked.arguments, tool.arguments, strict=not asked.text)
    with reading(Scope(engine.shard.fold.context, "a query from outside", reads)):
        return tool.look(astuple(arguments))


def _schema(tool: Lookup) -> msgspec.Raw:
    """The schema of its arguments."""
    return msgspec.Raw(msgspec.json.encode(wanted(tool.arguments, "")))


def _address(tool: Lookup) -> str:
    """The address of what it gives: its kind, its name, and the arguments that have to be given, in order."""
    kind = _kind(tool.of)
    if not kind:
        return ""
    needed = [field.encode_name for field in fields(tool.arguments) if field.required]
    return f"{SCHEME}://{kind}/{quote(tool.of.name, safe='+')}/" + "/".join(f"{{{one}}}" for one in needed)


def _kind(of: Looked) -> str:
    match of:
        case Window():
            return "windows"
        case Table():
            return "tables"
        case View():
            return "views"
        case Index():
            return "indexes"
        case Search():
            return "searches"
        case RangeIndex():
            return ""
