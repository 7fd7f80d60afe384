"""What goes together among the options of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

from extrovert.core.errors import DeclarationError
from extrovert.turns.declare import Model, OnConflict
from extrovert.turns.limits import check_agent

__all__ = ["check_options"]


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
    for option in ("rest", "quiet", "max_wait", "deadline", "retry_after"):
        if option in options and options[option] < timedelta(0):
            raise DeclarationError(f"Agent `{name}`: {option}= must not be negative.")
