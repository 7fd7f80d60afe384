"""Types of JSON schemas: what a tool of an outside server takes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from extrovert.connectors.mcp.schemas import struct_of


def taken(schema: dict[str, Any], given: dict[str, Any]) -> Any:
    """The arguments as they are sent, if they fit."""
    return msgspec.to_builtins(msgspec.convert(given, struct_of("tool", schema)))


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"type": "string"}, "a", 1),
        ({"type": "integer"}, 1, "1"),
        ({"type": "number"}, 1.5, "1.5"),
        ({"type": "boolean"}, True, 1),
        ({"type": "null"}, None, 0),
        ({"type": "array", "items": {"type": "string"}}, ["a"], [1]),
        ({"type": "array", "minItems": 1}, [1], []),
        ({"type": "object"}, {"a": 1}, []),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "b"}),
        ({"enum": ["one", "two"]}, "two", "three"),
        ({"const": "one"}, "one", "two"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"type": ["string", "integer"]}, 1, 1.5),
        ({"type": "string", "minLength": 2}, "ab", "a"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, 9, 10),
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0),
        (of(a={"type": "string"}), {"a": "b"}, {"a": 1}),
    ],
)
def test_a_schema_lets_in_what_fits(schema: dict[str, Any], fits: Any, does_not: Any) -> None:
    whole = of(value=schema)
    assert taken(whole, {"value": fits}) == {"value": fits}
    with pytest.raises(msgspec.ValidationError):
        taken(whole, {"value": does_not})


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"type": "strange"},
        {"not": {"type": "string"}},
        {"enum": [{"a": 1}]},
        {"oneOf": [of(a={"type": "string"}), of(b={"type": "string"})]},
        {"$ref": "https://elsewhere.example/schema"},
        {"$ref": "#/$defs/none"},
    ],
)
def test_what_no_type_can_say_is_let_in(schema: Any) -> None:
    for value in ("text", {"b": "c"}, 1):
        assert taken(of(value=schema), {"value": value}) == {"value": value}


def test_what_may_be_left_out_comes_last_and_is_left_out() -> None:
    schema = of(first={"type": "string"}, last={"type": "integer"}) | {"required": ["last"]}
    assert struct_of("tool", schema).__struct_fields__ == ("last", "first")
    assert taken(schema, {"last": 1}) == {"last": 1}
    assert taken(schema, {"last": 1, "first": None}) == {"last": 1}


def test_definitions_are_followed_also_in_circles() -> None:
    node = of(value={"type": "integer"}, next={"$ref": "#/$defs/node"}) | {"required": ["value"]}
    schema = of(list={"$ref": "#/$defs/node"}) | {"$defs": {"node": node}}
    deep = {"list": {"value": 1, "next": {"value": 2}}}
    assert taken(schema, deep) == deep
    with pytest.raises(msgspec.ValidationError):
        taken(schema, {"list": {"value": 1, "next": {"value": "2"}}})


def test_a_schema_that_grows_without_end_is_cut_off() -> None:
    names = [f"d{n}" for n in range(30)]
    several = [of(a={"$ref": f"#/$defs/{name}"}, b={"$ref": f"#/$defs/{name}"}) for name in names[1:]]
    schema = of(top={"$ref": "#/$defs/d0"}) | {"$defs": dict(zip(names, several, strict=False))}
    assert struct_of("tool", schema).__struct_fields__ == ("top",)


def test_names_that_python_does_not_take_are_sent_as_they_are() -> None:
    schema = of(**{"from": {"type": "string"}, "flight-id": {"type": "string"}, "flight_id": {"type": "string"}})
    given = {"from": "JFK", "flight-id": "F1", "flight_id": "F2"}
    assert taken(schema, given) == given
    assert struct_of("tool", schema).__struct_fields__ == ("from_", "flight_id", "flight_id_")


def test_what_the_schema_says_in_words_is_in_the_types_schema() -> None:
    schema = of(user_id={"type": "string", "description": "Such as mia_li_3668."})
    told = msgspec.json.schema(struct_of("tool", schema))
    assert told["$defs"]["tool"]["properties"]["user_id"]["description"] == "Such as mia_li_3668."
