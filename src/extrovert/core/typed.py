"""Types of answers: values out of JSON, and the JSON schemas of them.

msgspec knows structs, dataclasses, typed dicts, enums, literals, containers and unions. Pydantic models, also within
those, validate themselves; and what only Pydantic can tell apart, as a union of dataclasses, is its to read. Pydantic
is not imported before a type of it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from extrovert.core.errors import DeclarationError

__all__ = ["Typed", "as_json", "typed"]

DEFINED = "#/$defs/{name}"


class Typed(NamedTuple):
    """How values of a type are read, `decode(json) -> value`, which raises `msgspec.ValidationError` for what does not
    fit; the `schema` with all in it; and as a `root` that refers to `definitions`."""

    decode: Callable[[bytes | msgspec.Raw], Any]
    schema: dict[str, Any]
    root: dict[str, Any]
    definitions: dict[str, Any]


def typed(output: Any) -> Typed:
    """How this type is read and told. Raises `DeclarationError` for one of which there is no telling."""
    try:
        return _typed(output)
    except TypeError as error:
        raise DeclarationError(
            f"An answer cannot be of the type {output}: {error}. It can be a struct, a dataclass, a Pydantic model, "
            f"what JSON has, or lists, dicts and unions of these; structs of one union are told apart by a tag: "
            f"class Rebooked(Record, tag=True)."
        ) from error


def as_json(value: Any) -> Any:
    """A value that is Pydantic's, as what JSON can hold. Raises `TypeError` for any other."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    return dump(mode="json")


@cache
def _typed(output: Any) -> Typed:
    try:
        return _by_msgspec(output)
    except TypeError:
        if "pydantic" not in sys.modules:
            raise
        return _by_pydantic(output)


def _by_msgspec(output: Any) -> Typed:
    found: dict[str, Any] = {}

    def schema_of(kind: Any) -> dict[str, Any]:
        return _lifted(_model(kind).model_json_schema(), found)

    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(output, dec_hook=_validated)
    whole = msgspec.json.schema(output, schema_hook=schema_of)
    if found:
        whole["$defs"] = {**whole.get("$defs", {}), **found}
    (root,), components = msgspec.json.schema_components([output], ref_template=DEFINED, schema_hook=schema_of)
    return Typed(decoder.decode, whole, root, {**components, **found})


def _by_pydantic(output: Any) -> Typed:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(output)
        whole = adapter.json_schema()
    except PydanticUserError as error:
        raise TypeError(str(error).splitlines()[0]) from None

    def decode(answer: bytes | msgspec.Raw) -> Any:
        try:
            return adapter.validate_json(bytes(answer))
        except ValidationError as error:
            raise msgspec.ValidationError(_told(error)) from None

    found: dict[str, Any] = {}
    root = _lifted(dict(whole), found)
    return Typed(decode, whole, root, found)


def _lifted(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The schema, whose definitions are among those `found`, where references look for them."""
    found |= schema.pop("$defs", {})
    return schema


def _validated(kind: Any, value: Any) -> Any:
    """Called by msgspec for types that it does not know."""
    from pydantic import ValidationError

    try:
        return _model(kind).model_validate(value)
    except ValidationError as error:
        raise ValueError(_told(error)) from None


def _model(kind: Any) -> Any:
    if not hasattr(kind, "__pydantic_validator__"):
        raise TypeError(f"nothing is known of {kind}")
    return kind


def _told(error: Any) -> str:
    """What does not fit, in short."""
    return "; ".join(f"{one['msg']} - at `${''.join(f'.{place}' for place in one['loc'])}`" for one in error.errors())
