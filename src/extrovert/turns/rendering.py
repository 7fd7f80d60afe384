"""Rendering: facts as lines of text, always the same way, of which nothing that stands in a fact can break out.

A value is JSON, on one line. What could be taken for the end of a fence, for a token of a model's own (`<|im_end|>`),
or what is not seen or turns the direction of reading is written as its number, `\\u003c`, as JSON allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from extrovert.context.table import field_name
from extrovert.core.errors import DeclarationError, TurnError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.turns.prompt import Section
from extrovert.turns.provenance import Origin, Origins

__all__ = ["Block", "Item", "as_line", "block_of"]

UNSEEN = (
    "<\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""`<`, and controls, marks of direction, separators of lines, and what is as good as nothing to a reader. Joiners and
the two common variation selectors stay: Persian, Hindi and emoji are spelled with them."""

AS_OF = "as of"
"""The head of the column with the moments; no field can be called so."""

_ESCAPED = re.compile(f"[{UNSEEN}]")


class Item(NamedTuple):
    """One fact: its lines, and where it comes from (None: computed)."""

    lines: tuple[str, ...]
    origin: Origin | None


class Block(NamedTuple):
    """A section as text: what opens it, the head of its rows, its facts."""

    opens: str
    head: str
    items: tuple[Item, ...]

    def lines(self, kept: int) -> list[tuple[str, Item | None]]:
        """Its lines with the first `kept` of its facts, each with the fact that it belongs to."""
        found: list[tuple[str, Item | None]] = [(self.opens, None)]
        if self.head and kept:
            found.append((self.head, None))
        found += [(line, item) for item in self.items[:kept] for line in item.lines]
        left = len(self.items) - kept
        if left:
            found.append((f"… {left} {'more ' if kept else ''}left out", None))
        elif not self.items:
            found.append(("none", None))
        found.append(("</data>", None))
        return found


def block_of(section: Section, origins: Origins, who: str) -> Block:
    """The section as text. Raises `TurnError` for a field that there is not and a value that JSON cannot hold."""
    facts = section.facts
    kinds: set[Any] = {type(fact) for fact in facts}
    kind: Any = next(iter(kinds)) if len(kinds) == 1 else None
    where = f"Section `{section.name}` of a prompt of {who}"
    try:
        if kind is not None and issubclass(kind, msgspec.Struct):
            names = [field_name(where, cast(type[Record], kind), field) for field in section.fields] or list(
                kind.__struct_fields__
            )
            found = [origins.of(fact) for fact in facts]
            render = _table if section.several else _record
            return render(section, names, found)
        if section.fields and facts:
            raise TurnError(f"{where} names fields, but its facts are not all records of one type.")
        render = _fields if not section.several and kind is not None and issubclass(kind, Mapping) else _value
        return Block(_opens(section.name), "", tuple(render(fact, origins.of(fact)) for fact in facts))
    except DeclarationError as error:
        raise TurnError(str(error)) from error
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise TurnError(f"{where} has a value that JSON cannot hold: {error}.") from error


def _table(section: Section, names: Sequence[str], origins: Sequence[Origin | None]) -> Block:
    """Rows of one type: the names of the fields once, then a row a line, in the same order."""
    ages = section.ages and any(origin is not None and origin.as_of for origin in origins)
    head = as_line([*names, AS_OF] if ages else names)

    def line(row: Any, origin: Origin | None) -> str:
        values = [getattr(row, name) for name in names]
        return as_line([*values, (origin and origin.as_of) or None] if ages else values)

    items = tuple(Item((line(row, origin),), origin) for row, origin in zip(section.facts, origins, strict=True))
    return Block(_opens(section.name), head, items)


def _record(section: Section, names: Sequence[str], origins: Sequence[Origin | None]) -> Block:
    """One record: a field a line."""
    (record,), (origin,) = section.facts, origins
    as_of = origin.as_of if origin is not None and section.ages else ""
    lines = tuple(f"{name}: {as_line(getattr(record, name))}" for name in names)
    return Block(_opens(section.name, as_of), "", (Item(lines, origin),))


def _value(fact: Any, origin: Origin | None) -> Item:
    return Item((as_line(fact),), origin)


def _fields(fact: Any, origin: Origin | None) -> Item:
    """A mapping: a key a line, in the order of the keys."""
    named: dict[str, Any] = msgspec.json.decode(canonical(fact))
    return Item(tuple(f"{as_line(name)}: {as_line(named[name])}" for name in sorted(named)) or ("none",), origin)


def _opens(name: str, as_of: str = "") -> str:
    moment = f" as_of={as_line(as_of)}" if as_of else ""
    return f"<data name={as_line(name)}{moment}>"


def as_line(value: Any) -> str:
    """The one JSON text of a value, with what is not to be seen as it is written as numbers."""
    return _ESCAPED.sub(_number, canonical(value).decode())


def _number(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
