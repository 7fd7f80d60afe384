"""Telling: what is asked, as the log is to hold it. What models are told beside it is logged once, before the first ask
that refers to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from extrovert.core.asked import is_prompt, shortened
from extrovert.core.ids import canonical
from extrovert.core.log import AskSent, Told
from extrovert.engine.shard import Shard
from extrovert.models.keys import without_keys
from extrovert.turns.asking import sent
from extrovert.turns.request import Question
from extrovert.turns.running import Running

__all__ = ["clean", "tell"]


def tell(shard: Shard, turn: Running, questions: Iterable[Question]) -> list[AskSent]:
    """The questions of a turn as they are to be logged. What they refer to and the log does not have is logged here."""
    asks: list[AskSent] = []
    for question in questions:
        asks.append(sent(question))
        told = question.request.told
        if told is not None and told.told not in shard.fold.told:
            _log(shard, clean(told))
    return shortened(asks, turn.prompts) if [one for one in asks if is_prompt(one)] else asks


def _log(shard: Shard, told: Told) -> None:
    shard.log(told, lambda _offset: shard.fold.told.add(told.told))


def clean(told: Told) -> Told:
    """The entry without what the environment has that nobody is to see."""
    parameters = _clean_texts(msgspec.json.decode(told.parameters))
    return told.but(instructions=without_keys(told.instructions), parameters=msgspec.Raw(canonical(parameters)))


def _clean_texts(value: Any) -> Any:
    match value:
        case str():
            return without_keys(value)
        case list():
            return list(map(_clean_texts, cast(list[Any], value)))
        case dict():
            return {without_keys(name): _clean_texts(one) for name, one in cast(dict[str, Any], value).items()}
        case _:
            return value
