"""Effects as they are declared: what is checked before one is ever intended."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from extrovert.core.declaring import hints
from extrovert.core.errors import DeclarationError
from extrovert.turns.declare import Backoff, Effect

__all__ = ["effect_of"]

FILLED = ("idempotency_key", "undoes", "outcome")
"""The parameters that the engine fills, where an effect has them."""


def effect_of(
    function: Callable[..., Awaitable[Any]], undo: Effect[Any] | None, options: Mapping[str, Any]
) -> Effect[Any]:
    """The effect of an `async def` function. Raises `DeclarationError` where it cannot be one."""
    name = function.__name__
    if not inspect.iscoroutinefunction(function):
        raise DeclarationError(f"Effect `{name}` must be an `async def`.")
    types, parameters = hints("Effect", name, function), inspect.signature(function).parameters
    named = [one for one in parameters if one not in FILLED]
    arguments = [types.get(one, Any) for one in named]
    takes = frozenset(FILLED).intersection(parameters)
    if options.get("idempotent") and "idempotency_key" not in takes:
        raise DeclarationError(f"Effect `{name}` is declared idempotent, but takes no `idempotency_key`.")
    if (by := options.get("order_by")) and by not in named:
        raise DeclarationError(f"Effect `{name}`: order_by= names `{by}`, which is none of its parameters.")
    _check_numbers(name, options)
    effect: Effect[Any] = Effect(
        name,
        function,
        parameters=named,
        arguments=tuple[tuple(arguments)] if arguments else tuple[()],  # pyright: ignore
        takes=takes,
        undo="" if undo is None else undo.name,
        **options,
    )
    if undo is not None and undo.arguments != effect.arguments:
        raise DeclarationError(
            f"Effect `{name}` is undone by `{undo.name}`, which takes other arguments; it is given the same ones."
        )
    return effect


def _check_numbers(name: str, options: Mapping[str, Any]) -> None:
    for option in ("max_tries", "concurrency", "per_second"):
        if (value := options.get(option)) is not None and value <= 0:
            raise DeclarationError(f"Effect `{name}`: {option}= must be above zero.")
    if options.get("horizon", timedelta(0)) < timedelta(0):
        raise DeclarationError(f"Effect `{name}`: horizon= must not be negative.")
    retry = options.get("retry") or Backoff()
    if not (0 <= retry.jitter <= 1 and timedelta(0) < retry.first <= retry.most):
        raise DeclarationError(f"Effect `{name}`: retry= needs 0 < first <= most, and a jitter from 0 to 1.")
