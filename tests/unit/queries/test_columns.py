"""Which columns a record has."""

from __future__ import annotations

from extrovert import Record
from extrovert.queries.columns import Column, column, columns_of
from tests.unit.queries.world_of_types import Everything


def test_each_type_has_its_kind() -> None:
    kinds = {one.name: one.kind for one in columns_of(Everything)}
    assert kinds == {
        "id": "text",
        "whole": "int",
        "real": "float",
        "yes": "bool",
        "moment": "moment",
        "day": "date",
        "hour": "time",
        "span": "span",
        "exact": "decimal",
        "raw": "bytes",
        "uuid": "uuid",
        "word": "text",
        "status": "text",
        "maybe": "int",
        "place": "struct",
        "tags": "list",
        "places": "list",
        "table": "json",
        "either": "json",
        "tree": "struct",
        "anything": "json",
        "renamed": "int",
    }


def test_structs_have_parts_and_what_holds_its_own_kind_is_json() -> None:
    found = {one.name: one for one in columns_of(Everything)}
    place = [Column("city", "text"), Column("at", "moment")]
    assert found["place"].parts == place
    assert found["places"].parts == [Column("item", "struct", place)]
    assert found["tree"].parts == [Column("name", "text"), Column("under", "list", [Column("item", "json")])]
    assert found["renamed"].field == "re-named"


def test_rows_that_are_json_arrays_are_one_column() -> None:
    class Pair(Record, array_like=True):
        a: int
        b: int

    assert columns_of(Pair) == (Column("row", "json"),)


def test_what_has_no_type_is_json() -> None:
    assert column("value", object).kind == "json"
    assert column("value", int | None).kind == "int"
