"""Types of answers: structs, dataclasses, Pydantic models and unions are read and told; what cannot be is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field

from extrovert import DeclarationError, Record
from extrovert.core.ids import canonical
from extrovert.core.schema import is_object, wanted
from extrovert.core.typed import typed


class Kept(Record, tag=True):
    flight_id: str


class Moved(Record, tag=True):
    to: str


@dataclass
class Seat:
    row: int


@dataclass
class Refund:
    amount: int


class Choice(BaseModel):
    flight: str
    seat: int = Field(gt=0)


class Nothing(BaseModel):
    why: str


class Trip(BaseModel):
    choices: list[Choice]


@pytest.mark.parametrize(
    ("output", "said", "value"),
    [
        (Seat, b'{"row":3}', Seat(3)),
        (Kept | Moved, b'{"type":"Moved","to":"F2"}', Moved("F2")),
        (Literal["yes", "no"], b'"no"', "no"),
        (list[Seat] | None, b'[{"row":1}]', [Seat(1)]),
        (Choice, b'{"flight":"F1","seat":3}', Choice(flight="F1", seat=3)),
        (list[Choice], b'[{"flight":"F1","seat":3}]', [Choice(flight="F1", seat=3)]),
        (Choice | None, b"null", None),
        (Choice | Nothing, b'{"why":"full"}', Nothing(why="full")),
        (Seat | Refund, b'{"amount":3}', Refund(3)),
        (Trip, b'{"choices":[{"flight":"F1","seat":3}]}', Trip(choices=[Choice(flight="F1", seat=3)])),
    ],
)
def test_a_value_comes_back_as_its_type_and_goes_out_again(output: Any, said: bytes, value: Any) -> None:
    read = typed(output).decode(said)
    assert read == value
    assert type(read) is type(value)
    assert typed(output).decode(canonical(value)) == value


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (Choice, b'{"flight":"F1","seat":0}'),
        (list[Choice], b'[{"flight":"F1","seat":0}]'),
        (Choice | Nothing, b'{"seat":"none"}'),
        (Seat | Refund, b"7"),
        (Kept | Moved, b'{"type":"Lost"}'),
    ],
)
def test_what_does_not_fit_is_told_as_such(output: Any, said: bytes) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        typed(output).decode(said)
    assert "pydantic.dev" not in str(raised.value)


def test_a_schema_has_its_definitions_where_its_references_look_for_them() -> None:
    schema = wanted(Trip, "answer")
    assert is_object(Trip)
    assert schema["properties"]["choices"]["items"] == {"$ref": "#/$defs/Choice"}
    assert schema["$defs"]["Choice"]["properties"]["seat"]["exclusiveMinimum"] == 0
    listed = wanted(list[Trip], "answer")
    assert set(listed["$defs"]) == {"Choice"}
    assert not is_object(list[Trip])


class Row(Record):
    seats: list[Seat]


class Tree(Record):
    branches: list[Tree]


def test_a_schema_has_only_the_definitions_to_which_it_refers() -> None:
    assert "$defs" not in wanted(Kept, "answer")
    assert set(wanted(Row, "answer")["$defs"]) == {"Seat"}
    assert set(wanted(list[Row], "answer")["$defs"]) == {"Row", "Seat"}
    assert set(wanted(Tree, "answer")["$defs"]) == {"Tree"}


def test_the_schema_of_what_msgspec_knows_is_its_own() -> None:
    assert typed(list[Kept]).schema == msgspec.json.schema(list[Kept])


def test_a_union_that_cannot_be_told_apart_says_what_to_do() -> None:
    class One(Record):
        a: int

    class Other(Record):
        b: int

    with pytest.raises(DeclarationError, match="tag=True"):
        typed(One | Other)
