"""Candidates: another way in which an agent might decide, to be compared with how it did."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.engine.calls import Answerer
from extrovert.engine.declared import Declared
from extrovert.models.answering import answering
from extrovert.models.predicting import LearnerModel
from extrovert.models.weights import weigh
from extrovert.turns.declare import Agent, Model

__all__ = ["Candidate", "candidate", "named"]


class Candidate(msgspec.Struct, frozen=True):
    """An agent under the `name` of a version, and what answers its asks, also where what it reads is too old.

    With `changed` it asks another model, or by another prompt: then an answer counts only for the question to which it
    was given, also in a turn that was guarded.
    """

    name: str
    agent: Agent[Any]
    answerer: Answerer | None
    changed: bool = False
    stale_answerer: Answerer | None = None
    learners: Mapping[str, Answerer] = {}

    def answers(self, model: str) -> Answerer | None:
        """What answers under this name."""
        if model in self.learners:
            return self.learners[model]
        return self.answerer if model == self.agent.model else self.stale_answerer


def named(declared: Declared, agent: str) -> Agent[Any]:
    """The agent of this name. Raises `DeclarationError` where there is none."""
    for one in declared.agents:
        if one.name == agent:
            return one
    known = ", ".join(f"`{one.name}`" for one in declared.agents) or "none"
    raise DeclarationError(f"App `{declared.name}` has no agent `{agent}`. It has: {known}.")


def candidate(
    declared: Declared, agent: str, *, model: str = "", policy: str = "", prompt: str | None = None, seed: int = 0
) -> Candidate:
    """The agent as it is declared, or with another model, a policy or other instructions (`prompt`) in their place.

    `model` is one that the app declares, a learner of it as "learner:NAME", or any with its provider, such as
    "openai:gpt-5-mini". Raises `DeclarationError` for a model, policy or agent that there is not, and for a prompt that
    nobody would read.
    """
    answerers = declared.answerers(seed)
    found = copy(named(declared, agent))
    name = "as it is"
    if policy:
        name = f"policy {policy}"
        if f"policy:{policy}" not in answerers:
            raise DeclarationError(f"App `{declared.name}` has no policy `{policy}`. {_known(answerers, 'policy:')}")
        found.model, found.prompted, found.parameters = f"policy:{policy}", False, ""
    elif model.startswith("learner:"):
        name = model.replace(":", " ")
        by = answerers.get(model)
        if not isinstance(by, LearnerModel):
            raise DeclarationError(f"App `{declared.name}` has no {name}. {_known(answerers, 'learner:')}")
        found.model, found.prompted, found.parameters = model, False, by.learner.parameters
    elif model:
        name = f"model {model}"
        known = declared.models.get(f"model:{model}") or declared.models.get(model)
        if known is None and ((":" not in model and model != "local") or model.startswith(("policy:", "model:"))):
            raise DeclarationError(
                f"App `{declared.name}` has no model `{model}`. {_known(answerers, 'model:')} "
                f'Any other is named with its provider, such as "openai:gpt-5-mini".'
            )
        if known is None:
            known = Model(model, model)
            weigh({model: known}, ())
            answerers[model] = answering(known, {})
        found.model = f"model:{model}" if f"model:{model}" in answerers else model
        found.prompted, found.parameters = known.prompted, known.parameters
    if prompt is not None:
        name = "prompt" if name == "as it is" else f"{name}, prompt"
        if not found.prompted:
            raise DeclarationError(
                f"Agent `{agent}` asks no model that is given instructions, so that a prompt would change nothing."
            )
        found.instructions = prompt.strip()
    changed = bool(policy or model or prompt is not None)
    learners = {one: by for one, by in answerers.items() if one.startswith("learner:")}
    stale = answerers.get(found.stale_fallback.model)
    return Candidate(name, found, answerers.get(found.model), changed, stale, learners)


def _known(answerers: dict[str, Answerer], kind: str) -> str:
    known = ", ".join(f"`{one.removeprefix(kind)}`" for one in answerers if one.startswith(kind))
    return f"It has: {known}." if known else "It has none."
