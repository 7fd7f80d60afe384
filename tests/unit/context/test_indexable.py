"""What an index can be over is found out when it is declared."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any, Literal

import pytest

from extrovert import DeclarationError, Record
from extrovert.context.indexable import check_indexable


class Gate(Enum):
    A = "a"


class Place(Record):
    gate: Gate
    row: int | None


class Row(Record):
    key: str
    text: str
    number: int | float
    word: Literal["a", "b"]
    moment: datetime
    pair: tuple[str, int]
    many: tuple[str, ...]
    maybe: int | None
    mixed: int | str
    words: frozenset[str]
    place: Place
    listed: list[int]
    deep: tuple[str, list[int]]
    anything: Any
    thing: object


ORDERED = ["key", "text", "number", "word", "moment", "pair", "many"]
LOOKED_UP = ["maybe", "mixed", "words", "place"]
NEITHER = ["listed", "deep", "anything", "thing"]


@pytest.mark.parametrize("field", ORDERED)
def test_what_has_one_order_can_be_in_both_kinds_of_index(field: str) -> None:
    check_indexable("rows", Row, field, ordered=False)
    check_indexable("rows", Row, field, ordered=True)


@pytest.mark.parametrize("field", LOOKED_UP)
def test_what_has_no_order_can_be_looked_up(field: str) -> None:
    check_indexable("rows", Row, field, ordered=False)
    with pytest.raises(DeclarationError, match=f"over `{field}`, whose values have no place in one order"):
        check_indexable("rows", Row, field, ordered=True)


@pytest.mark.parametrize("field", NEITHER)
def test_what_may_hold_a_list_can_not(field: str) -> None:
    with pytest.raises(DeclarationError, match=f"over `{field}`, whose type lets in what cannot be looked up"):
        check_indexable("rows", Row, field, ordered=False)
