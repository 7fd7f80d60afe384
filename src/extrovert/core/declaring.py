"""Declaring: what a declaration is checked for, before any event comes. Each check raises `DeclarationError`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record

__all__ = ["accepts_none", "add", "check_key", "check_name", "decoder_of_old", "hints", "records"]


def add(known: dict[str, Any], kind: str, name: str, declared: Any) -> Any:
    """Notes a declaration under its name, which must be good and new, and returns it."""
    check_name(kind, name)
    if name in known:
        raise DeclarationError(f"There are two {kind}s named `{name}`. Rename one.")
    known[name] = declared
    return declared


def check_name(kind: str, name: str) -> None:
    """A name is made of letters, digits, `_` and `-`."""
    if not name or not all(part.isidentifier() for part in name.split("-")):
        raise DeclarationError(f"`{name}` is no name for a {kind}: use letters, digits, `_` and `-`.")


def records(where: str, event: Any) -> list[type[Record]]:
    """The record types of a stream's events: one, or those of a union of tagged ones."""
    options: tuple[Any, ...] = typing.get_args(event) if isinstance(event, types.UnionType) else (event,)
    for option in options:
        if not (isinstance(option, type) and issubclass(option, Record)):
            raise DeclarationError(f"{where}: {option!r} is not a Record.")
    if len(options) > 1 and any(option.__struct_config__.tag is None for option in options):
        raise DeclarationError(f"{where}: the records of a union need tags: `class Delayed(Record, tag=True)`.")
    return list(options)


def check_key(where: str, record: type[Record], name: str) -> None:
    """A key is a text or a whole number."""
    info = msgspec.inspect.type_info(record)
    assert isinstance(info, msgspec.inspect.StructType)
    kind = next(field.type for field in info.fields if field.name == name)
    if not isinstance(kind, msgspec.inspect.StrType | msgspec.inspect.IntType):
        raise DeclarationError(f"{where}: its key `{name}` must be a `str` or an `int`.")


def hints(kind: str, name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a user's function, evaluated."""
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise DeclarationError(
            f"{kind} `{name}`: {error}. Its annotations are read when it is declared; import their names at run time."
        ) from error


def accepts_none(name: str, function: Callable[..., Any]) -> bool:
    """Whether an agent function's second parameter may be None."""
    parameters = list(inspect.signature(function).parameters)
    if not 2 <= len(parameters) <= 3:
        raise DeclarationError(f"Agent `{name}` must take (turn, value), or (turn, value, old).")
    hint = hints("Agent", name, function).get(parameters[1], Any)
    return hint is not Any and _may_be_none(hint)


def decoder_of_old(name: str, source: str, function: Callable[..., Any]) -> msgspec.json.Decoder[Any] | None:
    """Reads the value that an agent function wants as its third parameter from JSON; None where it takes no third."""
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) < 3:
        return None
    if source == "stream":
        raise DeclarationError(
            f"Agent `{name}` wakes on a stream: `turn.events` are what came, and there is no old value."
        )
    found = hints("Agent", name, function)
    value, hint = (found.get(parameter, Any) for parameter in parameters[1:3])
    if not _may_be_none(hint):
        raise DeclarationError(f"Agent `{name}`: there may be no old value, so `{parameters[2]}` must accept None.")
    if Any not in (value, hint) and hint != value | None:
        kind = getattr(value, "__name__", value)
        raise DeclarationError(
            f"Agent `{name}`: `{parameters[2]}` was the `{parameters[1]}` once, so its type must be `{kind} | None`."
        )
    try:
        return msgspec.json.Decoder(hint)
    except TypeError as error:
        raise DeclarationError(f"Agent `{name}`: `{parameters[2]}` cannot be kept as JSON: {error}") from error


def _may_be_none(hint: Any) -> bool:
    return hint is None or hint is Any or type(None) in typing.get_args(hint)
