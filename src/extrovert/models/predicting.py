"""Predicting: learners as answerers. They answer at once, with what they have learnt when they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin

import msgspec

from extrovert.context.learner import Learner, LearnerState
from extrovert.core.errors import PermanentError
from extrovert.core.ids import canonical

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.turns.request import Request

__all__ = ["LearnerModel"]


class LearnerModel:
    """Answers requests by a learner as it is in one live context, which `over` gives it."""

    def __init__(self, learner: Learner[Any], state: LearnerState | None = None) -> None:
        self.learner = learner
        self._state = state

    def over(self, context: LiveContext) -> LearnerModel:
        """The same, over a live context."""
        return LearnerModel(self.learner, cast("LearnerState", context.operators[self.learner.name]))

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        """It answers at once."""
        return 0

    def answer(self, request: Request) -> msgspec.Raw:
        """What the learner says, as the wanted type. Raises `PermanentError` where that is nothing of the kind."""
        state, where = self._state, f"Learner `{self.learner.name}`"
        assert state is not None
        try:
            said = _said(state.model, request.output, self.learner.asked_about(request.facts))
        except Exception as error:
            raise PermanentError(
                f"{where}, having learnt from {state.learnt:,} events, could not say what it was asked: "
                f"{type(error).__name__}: {error}"
            ) from error
        answer = msgspec.Raw(canonical(said))
        try:
            request.decode(answer)
        except msgspec.ValidationError as error:
            why = f"{where} said {bytes(answer).decode()}, which is not the wanted type: {error}."
            if said is None:
                why = f"{where} has not learnt enough to say anything. Allow for that: output=… | None."
            raise PermanentError(why) from error
        return answer


def _said(model: Any, output: Any, features: Any) -> Any:
    """The answer of the kind that is wanted: by label its probability, one number, or a label."""
    wanted = get_args(output) if get_origin(output) in (UnionType, Union) else (output,)
    able = _last_step(model)
    if hasattr(able, "score_one"):
        return _number(model.score_one(features))
    if any(get_origin(one) is dict for one in wanted):
        return {_name(label): _number(one) for label, one in _chances(model, features).items()} or None
    if float in wanted and hasattr(able, "predict_proba_one"):
        chances = _chances(model, features)
        if not chances.keys() <= {True, False}:
            labels = ", ".join(sorted(map(_name, chances)))
            raise ValueError(f"a float is the chance of True, and its labels are {labels}: ask for one, or for a dict")
        return _number(chances.get(True, 0.0)) if chances else None
    said = _plain(model.predict_one(features))
    return _number(said) if isinstance(said, float) else said


def _last_step(model: Any) -> Any:
    """What a model is: of a pipeline, its last step."""
    while isinstance(steps := getattr(model, "steps", None), Mapping) and steps:
        model = list(cast("Mapping[str, Any]", steps).values())[-1]
    return model


def _chances(model: Any, features: Any) -> dict[Any, float]:
    return {_plain(label): chance for label, chance in model.predict_proba_one(features).items()}


def _number(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"it says {number}")
    return number


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if type(value).__module__ == "numpy" else value


def _name(label: Any) -> str:
    """A label as the key of an object in JSON."""
    return label if isinstance(label, str) else canonical(label).decode()
