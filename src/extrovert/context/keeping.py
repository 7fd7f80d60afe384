"""Keeping: what a snapshot holds of a table beside its rows, history and due times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.context.history import Version

if TYPE_CHECKING:
    from extrovert.context.table import TableState

__all__ = ["load", "save"]


class SavedHistory(msgspec.Struct):
    """The history of a table, as a snapshot holds it."""

    newest_us: int | None
    versions: list[tuple[Any, list[tuple[int, int, msgspec.Raw]]]]


class Saved(msgspec.Struct):
    """What a snapshot holds of a table's time: its history, and when its rows are due to go."""

    history: SavedHistory | None = None
    due_us: list[tuple[Any, int]] = []


def save(table: TableState) -> msgspec.Raw:
    """What a snapshot has to hold beside the rows."""
    encode = msgspec.json.Encoder().encode
    saved = Saved()
    history = table.history
    if history is not None:
        saved.history = SavedHistory(
            history.newest_us,
            [
                (key, [(at_us, offset, msgspec.Raw(encode(row))) for at_us, offset, row in versions])
                for key, versions in history.versions.items()
            ],
        )
    if table.lifetime is not None:
        saved.due_us = list(table.lifetime.due_us.items())
    return msgspec.Raw(encode(saved))


def load(table: TableState, raw: bytes) -> None:
    """Takes up what `save` gave, when the rows are there."""
    saved = msgspec.json.decode(raw, type=Saved)
    if table.history is not None and saved.history is not None:
        decode = msgspec.json.Decoder(table.declared.record | None).decode
        versions: dict[Any, list[Version]] = {
            key: [(at_us, offset, decode(row)) for at_us, offset, row in of_key]
            for key, of_key in saved.history.versions
        }
        table.history.load(versions, saved.history.newest_us)
    if table.lifetime is not None:
        table.lifetime.load(dict(saved.due_us))
