"""Telling: what models are told beside what they are asked is logged once, before the first ask that refers to it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from extrovert.core.log import Told
from extrovert.engine.shard import Shard
from extrovert.models.keys import without_keys
from extrovert.turns.request import Question

__all__ = ["tell"]


def tell(shard: Shard, questions: Iterable[Question]) -> None:
    """Logs what these questions refer to and the log does not have."""
    for question in questions:
        told = question.request.told
        if told is not None and told.told not in shard.fold.told:
            _log(shard, _clean(told))


def _log(shard: Shard, told: Told) -> None:
    shard.log(told, lambda _offset: shard.fold.told.add(told.told))


def _clean(told: Told) -> Told:
    """The entry without what the environment has that nobody is to see."""
    return told.but(
        instructions=without_keys(told.instructions),
        parameters=msgspec.Raw(without_keys(bytes(told.parameters).decode()).encode()),
    )
