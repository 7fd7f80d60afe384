"""Tools: what a model may call while it is asked, as functions that run within the turn.

So what a tool reads is tracked, and what it stages waits for the commit, like everything else that a turn does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from inspect import Parameter, cleandoc
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from extrovert.core.declaring import hints
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.schema import wanted
from extrovert.turns.declare import Effect

if TYPE_CHECKING:
    from extrovert.turns.turn import Turn

__all__ = ["ANSWER", "Tool", "specified", "tool_of"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ANSWER = "answer"
"""The name under which models that know nothing but tools give their answer."""
STAGED = "It will be done if the decision is committed."
_MISSING = Parameter.empty


class Tool:
    """What a model may call: `run(turn, arguments) -> result`, where the result may have to be awaited.

    `arguments` is a struct of its parameters, in order, of which the model is given the schema. The result is what
    JSON can hold. `run` raises `Refuse` to tell the model why not.
    """

    def __init__(
        self,
        name: str,
        description: str,
        arguments: type[msgspec.Struct],
        run: Callable[[Turn, tuple[Any, ...]], Any],
    ) -> None:
        if NAME.fullmatch(name) is None:
            raise DeclarationError(f"Tool `{name}`: a name has letters, digits, _ and -, 64 at most.")
        if name == ANSWER:
            raise DeclarationError(f"Tool `{name}`: models give their answer under this name. Rename it.")
        self.name = name
        self.description = description
        self.arguments = arguments
        self.run = run

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What a model is told of it: name, description, and the JSON schema of its parameters."""
        return {"name": self.name, "description": self.description, "parameters": _schema(self.arguments)}


class _Shape(NamedTuple):
    """What is read off a function: its description, its parameters, and whether it takes the turn first."""

    description: str
    arguments: type[msgspec.Struct]
    takes_turn: bool


def tool_of(given: Any) -> Tool:
    """A tool of a function, an effect, or what can be looked up. Raises `DeclarationError` where there can be none."""
    from extrovert.turns.lookups import LOOKED, lookup_of

    if isinstance(given, Tool):
        return given
    if isinstance(given, Effect):
        return _of_effect(given)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(given, LOOKED):
        return lookup_of(given)  # pyright: ignore[reportUnknownArgumentType]
    if not inspect.isfunction(given):
        raise DeclarationError(
            f"A tool is a function, an effect, a table, an index, a range index, a view, a window or a search of the "
            f"app, not {given!r}."
        )
    shape = _shape(given)

    def run(turn: Turn, arguments: tuple[Any, ...]) -> Any:
        return given(turn, *arguments) if shape.takes_turn else given(*arguments)

    return Tool(given.__name__, shape.description, shape.arguments, run)


def specified(tools: Mapping[str, Tool]) -> str:
    """What a model is told of these tools, as one JSON text; "" for none."""
    return canonical([tool.spec for tool in tools.values()]).decode() if tools else ""


def _of_effect(effect: Effect[...]) -> Tool:
    types: Sequence[Any] = getattr(effect.arguments, "__args__", ())
    fields = list(zip(effect.parameters, types, strict=True))
    arguments = msgspec.defstruct(effect.name, fields, frozen=True)

    def run(turn: Turn, arguments: tuple[Any, ...]) -> str:
        turn.effect(effect, *arguments)
        return STAGED

    return Tool(effect.name, cleandoc(effect.function.__doc__ or ""), arguments, run)


@lru_cache(1_000)
def _schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    return wanted(arguments, "")


_shapes: dict[Any, _Shape] = {}
"""The shapes of functions by their code: those within an agent are made anew in each attempt."""


def _shape(function: Any) -> _Shape:
    found = _shapes.get(function.__code__)
    if found is None:
        found = _shapes[function.__code__] = _read_off(function)
    return found


def _read_off(function: Callable[..., Any]) -> _Shape:
    from extrovert.turns.turn import Turn

    name = function.__name__
    types = hints("Tool", name, function)
    parameters = list(inspect.signature(function).parameters.values())
    takes_turn = bool(parameters) and types.get(parameters[0].name) is Turn
    fields: list[Any] = []
    for one in parameters[1:] if takes_turn else parameters:
        if one.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD, Parameter.KEYWORD_ONLY):
            raise DeclarationError(f"Tool `{name}`: its parameters are given in order; `{one.name}` cannot be.")
        if one.name not in types:
            raise DeclarationError(f"Tool `{name}`: parameter `{one.name}` has no type, which a model has to be told.")
        fields.append((one.name, types[one.name], *(() if one.default is _MISSING else (one.default,))))
    try:
        arguments = msgspec.defstruct(name, fields, frozen=True)
        _schema(arguments)
    except TypeError as error:
        raise DeclarationError(f"Tool `{name}` takes what no JSON can give it: {error}.") from error
    return _Shape(cleandoc(function.__doc__ or ""), arguments, takes_turn)
