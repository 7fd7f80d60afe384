"""Answering: what answers for a model, as it is declared."""

from __future__ import annotations

from extrovert.models.playing import RecordedModel
from extrovert.models.remote import RemoteModel
from extrovert.turns.declare import Model

__all__ = ["answering"]


def answering(model: Model) -> RemoteModel | RecordedModel:
    """What answers for this model. Raises `MissingExtra` where it cannot."""
    if model.recorded is None:
        return RemoteModel(model)
    return RecordedModel(model, RemoteModel(model) if model.recorded.on_miss == "ask" else None)
