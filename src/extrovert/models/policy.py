"""Policies as answerers: a written rule that answers asks in a model's place, after a while of thought."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.errors import PermanentError
from extrovert.core.ids import canonical
from extrovert.turns.declare import Policy
from extrovert.turns.request import Request

__all__ = ["PolicyModel"]


class PolicyModel:
    """Answers requests by a policy. Both the answer and the time it takes are functions of who asks what."""

    def __init__(self, policy: Policy[Any], seed: int) -> None:
        self.policy = policy
        self.seed = seed

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        """Microseconds of thought about this request."""
        thinks = self.policy.thinks
        return 0 if thinks is None else thinks.takes_us(self.seed, agent, key, request_hash, occurrence)

    def answer(self, request: Request) -> msgspec.Raw:
        """The policy's answer. Raises `PermanentError` where it was asked about something else than it judges."""
        facts, about = self.policy.facts, request.facts
        if facts is not None and not isinstance(about, facts):
            hint = "" if request.prompt is None else " Give it facts beside the prompt's text: Prompt(…, facts=…)."
            raise PermanentError(
                f"Policy `{self.policy.name}` judges {facts.__name__}, but was asked about a "
                f"{type(about).__name__}.{hint}"
            )
        arguments = (about, request.refusals) if self.policy.sees_refusals else (about,)
        return msgspec.Raw(canonical(self.policy.function(*arguments)))
