"""Answering: what answers for a model, as it is declared."""

from __future__ import annotations

from pathlib import Path

from extrovert.models.local import LocalModel
from extrovert.models.local_process import LocalProcess
from extrovert.models.playing import RecordedModel
from extrovert.models.remote import RemoteModel
from extrovert.turns.declare import Model

__all__ = ["answering"]


def answering(model: Model, processes: dict[Path, LocalProcess]) -> RemoteModel | LocalModel | RecordedModel:
    """What answers for this model; `processes` are those of the engine. Raises `MissingExtra` where it cannot."""
    if model.recorded is None:
        return _live(model, processes)
    return RecordedModel(model, _live(model, processes) if model.recorded.on_miss == "ask" else None)


def _live(model: Model, processes: dict[Path, LocalProcess]) -> RemoteModel | LocalModel:
    return LocalModel(model, processes) if model.local else RemoteModel(model)
