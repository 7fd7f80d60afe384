"""The options of an agent: what goes together among them, and what they say in its terms."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any, Protocol, cast, get_args, runtime_checkable

from extrovert.context.learner import Learner
from extrovert.core.errors import DeclarationError
from extrovert.turns.declare import Asks, Model, OnConflict, Policy
from extrovert.turns.limits import check_agent
from extrovert.turns.permits import Permits
from extrovert.turns.recordings import Recorded

__all__ = ["AnyModel", "asked_as", "check_options", "of_what", "when_stale"]


@runtime_checkable
class AnyModel(Protocol):
    """A model object of Pydantic AI."""

    @property
    def model_name(self) -> str: ...

    @property
    def system(self) -> str: ...

    def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Awaitable[Any]: ...


def of_what(of: str | Policy[Any] | AnyModel | Recorded) -> str:
    """The name of what answers for a model."""
    if isinstance(of, Recorded):
        return of.of
    return f"{of.system}:{of.model_name}" if isinstance(of, AnyModel) else asked_as(of)


def asked_as(model: Policy[Any] | Model | Learner[Any] | str) -> str:
    """The name under which a model, policy or learner is asked."""
    if isinstance(model, str):
        return model
    if isinstance(model, Learner):
        return model.asked_as
    return f"{'policy' if isinstance(model, Policy) else 'model'}:{model.name}"


def check_options(name: str, options: Mapping[str, Any], model: Model | None) -> None:
    """Raises `DeclarationError` for options that do not go together, or not with the `model` where that is declared."""
    if "limits" in options:
        check_agent(name, options["limits"], model)
    if "max_wait" in options and "quiet" not in options:
        raise DeclarationError(
            f"Agent `{name}`: max_wait= is the longest that quiet= may hold a turn up; give quiet= too."
        )
    conflicts = get_args(OnConflict)
    if options.get("on_conflict", "contended") not in conflicts:
        raise DeclarationError(f"Agent `{name}`: on_conflict= is one of {', '.join(conflicts)}.")
    if options.get("shadow") and options.get("on_conflict") == "hold":
        raise DeclarationError(f"Agent `{name}` is a shadow, for which no person is asked: on_conflict= is not hold.")
    if not isinstance(options.get("when_tainted"), Permits | None):
        raise DeclarationError(
            f"Agent `{name}`: when_tainted= is what it may do then: Permits(effects=[…], writes=[…])."
        )
    for option in ("rest", "quiet", "max_wait", "deadline", "retry_after", "fresh_within"):
        if option in options and options[option] < timedelta(0):
            raise DeclarationError(f"Agent `{name}`: {option}= must not be negative.")


def when_stale(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with what `stale=` says in the agent's terms. Raises `DeclarationError` where it says nothing."""
    stale = options.get("stale", "wait")
    if stale in ("wait", "refuse"):
        return dict(options)
    if not isinstance(stale, Policy | Model):
        raise DeclarationError(
            f'Agent `{name}`: stale= is "wait", "refuse", or a policy or model that answers instead.'
        )
    model = cast("Policy[Any] | Model", stale)
    prompted, parameters = (model.prompted, model.parameters) if isinstance(model, Model) else (False, "")
    return {**options, "stale": "fallback", "stale_fallback": Asks(asked_as(model), prompted, parameters)}
