"""Schema: whether what a log holds still fits the app, found out before it is read.

A field may be added with a default, dropped, or let in more than before. One that was renamed keeps its old name in
the log: `minutes: int = msgspec.field(name="delay_minutes")`. Anything else is refused: old events could not be read,
or would be read as something that they did not say. What was ever in the log counts, also where later apps dropped it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from msgspec import inspect

from extrovert.context.schedule import Schedule
from extrovert.core.errors import DeclarationError
from extrovert.core.ports import Store
from extrovert.engine.declared import Declared

__all__ = ["beginnings", "check_schema", "keep_schema", "kept_streams", "note_beginnings"]

META = "schema"
BEGINS = "begins"


class _Field(msgspec.Struct, omit_defaults=True):
    """What a field lets in, as names of types, whether it has to be there, and whether the latest app dropped it."""

    types: list[str]
    required: bool = True
    dropped: bool = False


Fields = dict[str, _Field]
Schema = dict[str, dict[str, Fields]]
"""By stream or table, then by record type, then by the name of the field in JSON."""


def check_schema(declared: Declared, store: Store) -> None:
    """Raises `DeclarationError` where the store was written by an app whose records cannot be read by this one's."""
    now = _schema(declared)
    for place, records in _kept(store).items():
        for record, fields in records.items() if place in now else ():
            if record not in now[place]:
                raise DeclarationError(
                    f"The log may hold `{record}` in {place}, which has no such record any more. Keep the type; where "
                    f'it was renamed, keep its tag: tag="{record}".'
                )
            _check_fields(f"`{record}` in {place}", fields, now[place][record])


def keep_schema(declared: Declared, store: Store) -> None:
    """Notes what the log may hold from now on, beside what it may hold already."""
    kept = _kept(store)
    for place, records in _schema(declared).items():
        for record, fields in records.items():
            before = kept.setdefault(place, {}).setdefault(record, {})
            for name in before.keys() - fields.keys():
                before[name].dropped = True
            for name, field in fields.items():
                was = before.get(name, field)
                before[name] = _Field(sorted({*was.types, *field.types}), was.required and field.required)
    text = msgspec.json.encode(kept, order="sorted").decode()
    if store.meta(META) != text:
        store.set_meta(META, text)


def note_beginnings(declared: Declared, store: Store) -> None:
    """Notes that the schedules that the log has not heard of begin at its end: they did not tick before.

    To be called before the log is read, and before `keep_schema`.
    """
    kept = _kept(store)
    if not kept or store.end() == 1:
        return
    begins = beginnings(store)
    new = {
        one.name: store.end()
        for one in declared.operators
        if isinstance(one, Schedule) and f"stream `{one.name}`" not in kept and one.name not in begins
    }
    if new:
        store.set_meta(BEGINS, msgspec.json.encode(begins | new).decode())


def beginnings(store: Store) -> dict[str, int]:
    """By schedule, the offset from which on it ticks, where that is not the log's beginning."""
    return msgspec.json.decode(store.meta(BEGINS) or "{}", type=dict[str, int])


def kept_streams(store: Store) -> set[str]:
    """The streams of which there may be something in the log."""
    return {place[8:-1] for place in _kept(store) if place.startswith("stream `")}


def _kept(store: Store) -> Schema:
    return msgspec.json.decode(store.meta(META) or "{}", type=Schema)


def _check_fields(where: str, before: Fields, now: Fields) -> None:
    gone = [name for name, field in before.items() if name not in now and not field.dropped]
    come = [name for name in now if name not in before]
    if gone and come:
        raise DeclarationError(
            f"{where} has lost `{'`, `'.join(gone)}` and gained `{'`, `'.join(come)}`. Where a field was renamed, say "
            f'so: {come[0]}: … = msgspec.field(name="{gone[0]}"). Where not, start the app once without the old ones, '
            f"and then with the new ones."
        )
    for name, field in now.items():
        was = before.get(name)
        if field.required and (was is None or was.dropped or not was.required):
            raise DeclarationError(f"{where} needs `{name}`, which events in the log may not have. Give it a default.")
        if was is not None and "anything" not in field.types and not set(was.types) <= set(field.types):
            raise DeclarationError(
                f"`{name}` of {where} was {' or '.join(was.types)} and is {' or '.join(field.types)} now, which does "
                f"not let in what the log may hold. Let in both, or give the new field another name and a default."
            )


def _schema(declared: Declared) -> Schema:
    places = {f"stream `{one.name}`": one.event for one in declared.streams}
    places |= {f"table `{one.name}`": one.record for one in declared.tables if not one.made_by}
    return {place: {_name(kind): fields for kind, fields in _records(records)} for place, records in places.items()}


def _records(declared: Any) -> Iterator[tuple[inspect.StructType, Fields]]:
    """The record types of a stream or table, and those within them."""
    waiting = [inspect.type_info(kind) for kind in get_args(declared) or (declared,)]
    seen: set[Any] = set()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, inspect.StructType) and kind.cls not in seen:
            seen.add(kind.cls)
            yield kind, {one.encode_name: _Field(sorted(_types(one.type)), one.required) for one in kind.fields}
            waiting += [one.type for one in kind.fields]
        else:
            waiting += _inner(kind) if not isinstance(kind, inspect.StructType) else []


def _name(kind: inspect.StructType) -> str:
    return str(kind.tag) if kind.tag is not None else kind.cls.__name__


def _types(kind: inspect.Type) -> set[str]:
    """What a type lets in, as a set of names: a union is a set of several."""
    match kind:
        case inspect.UnionType():
            return set[str]().union(*map(_types, kind.types))
        case inspect.StructType():
            return {_name(kind)}
        case inspect.LiteralType():
            return {repr(value) for value in kind.values}
        case inspect.EnumType():
            return {repr(member.value) for member in kind.cls}
        case inspect.AnyType():
            return {"anything"}
        case _:
            inner = [" or ".join(sorted(_types(one))) for one in _inner(kind)]
            name = type(kind).__name__.removesuffix("Type").lower()
            return {f"{name} of {', '.join(inner)}" if inner else name}


def _inner(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.UnionType():
            return list(kind.types)
        case inspect.TupleType():
            return list(kind.item_types)
        case inspect.DictType():
            return [kind.key_type, kind.value_type]
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return [kind.item_type]
        case _:
            return []
