"""Types of JSON schemas: what a tool of an outside server takes, as a struct.

Where a schema says what no type can, the type is wider (`Any` at the widest): the server checks its arguments itself.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, cast

import msgspec
from msgspec import Meta

__all__ = ["struct_of"]

Schema = Mapping[str, Any]
DEEPEST = 20
MOST = 1_000
"""So deep, and so many types in all, a schema may go; beyond that nothing is said."""
_CHOICES = (str, int, type(None))
_STRING = {"minLength": "min_length", "maxLength": "max_length"}
_NUMBER = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_ARRAY = {"minItems": "min_length", "maxItems": "max_length"}


def struct_of(name: str, schema: Schema) -> type[msgspec.Struct]:
    """The struct of an object's schema. Its fields have the order of the properties, those that may be left out last;
    they are then None, and left out of its JSON."""
    return _Types(schema).struct(name, schema, 0)


class _Types:
    """The types of one schema, with its definitions."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._made = 0

    def struct(self, name: str, schema: Schema, depth: int) -> type[msgspec.Struct]:
        needed, optional = list[Any](), list[Any]()
        renamed: dict[str, str] = {}
        required = schema.get("required") or ()
        for key, of in cast("Mapping[str, Any]", schema.get("properties") or {}).items():
            field = _identifier(key, renamed)
            renamed[field] = key
            kind = _told(_known(self.of(f"{name}_{field}", of, depth + 1)), of)
            if key in required:
                needed.append((field, kind))
            else:
                optional.append((field, None if kind is None else kind | None, None))
        return msgspec.defstruct(
            _identifier(name, {}),
            [*needed, *optional],
            frozen=True,
            omit_defaults=True,
            forbid_unknown_fields=True,
            rename={field: key for field, key in renamed.items() if field != key},
        )

    def of(self, name: str, schema: Any, depth: int) -> Any:
        """The type of any schema."""
        self._made += 1
        if not isinstance(schema, dict) or depth > DEEPEST or self._made > MOST:
            return Any
        found = cast("dict[str, Any]", schema)
        if "$ref" in found:
            return self.of(name, self._referred(found["$ref"]), depth + 1)
        if "const" in found or "enum" in found:
            return _choice([found["const"]] if "const" in found else found["enum"])
        for several in ("anyOf", "oneOf"):
            if several in found:
                return _union([self.of(f"{name}_{n}", one, depth + 1) for n, one in enumerate(found[several])])
        kinds = found.get("type")
        if isinstance(kinds, list):
            each = cast("list[Any]", kinds)
            return _union([self.of(name, {**found, "type": kind}, depth + 1) for kind in each])
        return self._typed(name, kinds, found, depth)

    def _typed(self, name: str, kind: Any, schema: dict[str, Any], depth: int) -> Any:
        match kind:
            case "string":
                return _limited(str, schema, _STRING)
            case "integer":
                return _limited(int, schema, _NUMBER)
            case "number":
                return _limited(float, schema, _NUMBER)
            case "boolean":
                return bool
            case "null":
                return None
            case "array":
                return _limited(list[self.of(f"{name}_item", schema.get("items"), depth + 1)], schema, _ARRAY)
            case "object":
                if schema.get("properties"):
                    return self.struct(name, schema, depth)
                values = self.of(f"{name}_value", schema.get("additionalProperties"), depth + 1)
                return dict[str, values]
            case _:
                return Any

    def _referred(self, reference: Any) -> Any:
        """What a reference within the schema leads to; None where it leads elsewhere."""
        found: Any = self._root
        parts = str(reference).split("/")
        if parts[0] != "#":
            return None
        for part in parts[1:]:
            found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) else None
        return found


def _told(kind: Any, schema: Any) -> Any:
    """The type with what the schema says in words."""
    said = cast("dict[str, Any]", schema).get("description") if isinstance(schema, dict) else None
    return Annotated[kind, Meta(description=said)] if isinstance(said, str) and kind is not None else kind


def _known(kind: Any) -> Any:
    """The type, if JSON can be decoded into it."""
    try:
        msgspec.json.Decoder(kind)
    except TypeError:
        return Any
    return kind


def _identifier(key: str, taken: Mapping[str, str]) -> str:
    """A Python name for a property's name."""
    name = re.sub(r"\W", "_", key, flags=re.ASCII)
    name = f"_{name}" if not name or name[0].isdigit() else name
    while keyword.iskeyword(name) or name in taken:
        name = f"{name}_"
    return name


def _choice(values: Any) -> Any:
    each = cast("list[Any]", values) if isinstance(values, list) else []
    if not each or any(type(one) not in _CHOICES for one in each):
        return Any
    return Literal[tuple(each)]


def _union(kinds: list[Any]) -> Any:
    """One of these types, where JSON tells them apart."""
    if not kinds or Any in kinds:
        return Any
    return _known(Union[tuple(kinds)])  # noqa: UP007


def _limited(kind: Any, schema: Mapping[str, Any], limits: Mapping[str, str]) -> Any:
    """The type with its limits."""
    told: dict[str, Any] = {
        ours: schema[theirs] for theirs, ours in limits.items() if type(schema.get(theirs)) in (int, float)
    }
    if kind is int:
        told = {ours: limit for ours, limit in told.items() if type(limit) is int}
    return Annotated[kind, Meta(**told)] if told else kind
