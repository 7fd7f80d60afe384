"""Records with every type that a field can have."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, field

from extrovert import Record

__all__ = ["Everything", "Place", "Status", "Tree"]


class Status(Enum):
    OPEN = "open"
    SHUT = "shut"


class Place(Record):
    city: str
    at: datetime | None = None


class Tree(Record):
    name: str
    under: list[Tree] = []


class Everything(Record, rename={"renamed": "re-named"}):
    id: str
    whole: Annotated[int, Meta(ge=0)] = 0
    real: float = 0.0
    yes: bool = False
    moment: datetime | None = None
    day: date | None = None
    hour: time | None = None
    span: timedelta | None = None
    exact: Decimal | None = None
    raw: bytes | None = None
    uuid: UUID | None = None
    word: Literal["a", "b"] = "a"
    status: Status = Status.OPEN
    maybe: int | None = None
    place: Place | None = None
    tags: list[str] = []
    places: tuple[Place, ...] = ()
    table: dict[str, int] = {}
    either: int | str = 0
    tree: Tree | None = None
    anything: Any = None
    renamed: int = field(default=0)
