"""The JSON schema that a model is given for the wanted type: an object, whatever the type is."""

from __future__ import annotations

from typing import Any, cast

from extrovert.core.typed import typed

__all__ = ["is_object", "is_text", "wanted"]


def is_text(output: Any) -> bool:
    """Whether the answer is plain text."""
    return output is str


def is_object(output: Any) -> bool:
    """Whether answers of this type are JSON objects of one shape; others are sent in a field of one."""
    _, _, schema, components = typed(output)
    if "$ref" in schema:
        schema = _named(schema["$ref"], components)
    return schema.get("type") == "object" and "properties" in schema


def wanted(output: Any, field: str) -> dict[str, Any]:
    """The schema to be sent; what is no object is in the one `field` of one."""
    _, _, schema, components = typed(output)
    if is_object(output):
        found: dict[str, Any] = dict(_named(schema["$ref"], components) if "$ref" in schema else schema)
    else:
        found = {"type": "object", "properties": {field: schema}, "required": [field]}
    found["additionalProperties"] = False
    used = _used(found, components)
    return found | ({"$defs": {name: components[name] for name in sorted(used)}} if used else {})


def _named(reference: str, components: dict[str, Any]) -> Any:
    return components[reference.rpartition("/")[2]]


def _used(schema: Any, components: dict[str, Any]) -> set[str]:
    """The definitions to which a schema refers, and those to which these do."""
    names: set[str] = set()
    left: list[Any] = [schema]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            named = cast("dict[str, Any]", one)
            name = str(named.get("$ref", "")).rpartition("/")[2]
            if name in components and name not in names:
                names.add(name)
                left.append(components[name])
            left += named.values()
        elif isinstance(one, list):
            left += cast("list[Any]", one)
    return names
