"""The JSON schema that a model is given for the wanted type: an object, whatever the type is."""

from __future__ import annotations

from typing import Any

from extrovert.core.typed import typed

__all__ = ["is_object", "is_text", "wanted"]


def is_text(output: Any) -> bool:
    """Whether the answer is plain text."""
    return output is str


def is_object(output: Any) -> bool:
    """Whether answers of this type are JSON objects of one shape; others are sent in a field of one."""
    _, _, schema, components = typed(output)
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema.get("type") == "object" and "properties" in schema


def wanted(output: Any, field: str) -> dict[str, Any]:
    """The schema to be sent; what is no object is in the one `field` of one."""
    _, _, schema, components = typed(output)
    if is_object(output):
        found: dict[str, Any] = dict(components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema)
    else:
        found = {"type": "object", "properties": {field: schema}, "required": [field]}
    found["additionalProperties"] = False
    return found | ({"$defs": components} if components else {})
