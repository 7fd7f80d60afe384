"""Nodes: what a snapshot holds of a view, key by key: its value, or why it has none, and what was read for it.

A value is kept where its type, as the view's function is annotated, gives back the same value from JSON. What is not
kept is evaluated anew when it is restored: a view is pure, so that gives what it was, and its version is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

import msgspec

from extrovert.context.batches import batches
from extrovert.context.selectors import SavedRead, Selectors
from extrovert.context.view import Node
from extrovert.core.ports import SavedPlace, SavedRow

if TYPE_CHECKING:
    from extrovert.context.reads import ReadSet
    from extrovert.context.view import View, ViewState

__all__ = ["place_of", "restore", "take", "value_type"]

V = TypeVar("V")

_State = tuple[Any, int, str | None, "ReadSet"]


class _Saved(msgspec.Struct, Generic[V], array_like=True):
    """A key of a view; without `reads` or, where there is one, without its `value`, it is to be evaluated anew."""

    error: str | None
    reads: list[SavedRead] | None
    value: V | msgspec.UnsetType = msgspec.UNSET


def value_type(view: View[Any, Any]) -> Any:
    """The type of a view's values as annotated; None where it is not, or cannot be told here."""
    if view.makes is not None:
        return dict[view.makes.key_type, view.makes.record]
    try:
        return get_type_hints(view.function).get("return")
    except Exception:  # names that only a type checker knows, or that are gone
        return None


def place_of(view: ViewState) -> str:
    """Its place in a snapshot."""
    return f"view {view.name}"


def take(view: ViewState, selectors: Selectors, *, whole: bool) -> SavedPlace:
    """What has changed since the last call (with `whole`: all), to be saved."""
    written = view.take_written()
    whole = whole or written is None
    nodes, values, versions, errors = view.nodes, view.values, view.versions, view.quarantine
    keys = nodes if written is None or whole else [key for key in written if key in nodes]
    gone = [] if written is None or whole else [key for key in written if key not in nodes]
    found = {key: (values.get(key), versions.get(key, 0), errors.get(key), nodes[key].reads) for key in keys}
    return SavedPlace(place_of(view), whole, gone, _encoded(found, selectors, value_type(view.declared)))


def _encoded(found: Mapping[Any, _State], selectors: Selectors, kind: Any) -> Iterator[SavedRow]:
    encode = msgspec.json.Encoder().encode
    decoder = _decoder(kind)
    for key, (value, version, error, reads) in found.items():
        saved = [error, selectors.saved(reads)]
        if value is not None and decoder is not None:
            saved += _kept(value, decoder)
        yield key, version, False, encode(saved)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any] | None:
    try:
        return None if kind is None else msgspec.json.Decoder(kind)
    except (TypeError, ValueError, NameError):  # no type that JSON is decoded into
        return None


def _kept(value: Any, decoder: msgspec.json.Decoder[Any]) -> list[Any]:
    """The value as JSON, if that gives the same value back."""
    try:
        raw = msgspec.json.encode(value)
        again = decoder.decode(raw)
        if again == value and msgspec.json.encode(again) == raw:
            return [msgspec.Raw(raw)]
    except Exception:  # JSON does not know it, or it cannot be compared
        return []
    return []


# ---- taking up


def restore(view: ViewState, rows: Iterator[SavedRow], selectors: Selectors, *, current: bool) -> dict[Any, int]:
    """Takes up what was saved of a view over rows that are there; where it is not `current`, all is evaluated anew.

    Returns the versions of the values that are evaluated anew and that there is nothing to compare with.
    """
    decoder = _decoder(value_type(view.declared))
    kind = value_type(view.declared) if current and decoder is not None else msgspec.Raw
    anew: dict[Any, int] = {}
    for keys, versions, _, cells in batches(rows, _Saved[kind]):
        for key, version, cell in zip(keys, versions, cells, strict=True):
            node = view.nodes[key] = Node(view, key)
            if cell.error is not None:
                view.quarantine[key] = cell.error
            value = cell.value if current else _old(cell.value, decoder)
            if version and value is msgspec.UNSET:
                anew[key] = version
            elif version:
                view.values[key] = value
                view.versions[key] = version
            reads = selectors.restored(cell.reads) if current and cell.reads is not None else None
            if reads is None or key in anew:
                view.context.stale_nodes[node] = None
                continue
            node.reads = reads
            for of, selector in reads:
                of.watch(selector, node)
                view.follow(of, 1)
    return anew


def _old(raw: Any, decoder: msgspec.json.Decoder[Any] | None) -> Any:
    """The value that another edition of the view had, if this one's type lets it in."""
    try:
        return msgspec.UNSET if raw is msgspec.UNSET or decoder is None else decoder.decode(raw)
    except msgspec.DecodeError:
        return msgspec.UNSET
