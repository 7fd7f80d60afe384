"""Permits: what an agent may do in a turn that has read text from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import DeclarationError
from extrovert.core.untrusted import is_marked

if TYPE_CHECKING:
    from extrovert.turns.declare import Agent, Effect

__all__ = ["Permits", "TrustedField", "check_permits", "name_of"]

TrustedField = tuple[type[Any], str]
"""A field of a record: the values that it has in rows and events that a turn has read."""


class Permits:
    """What an agent may do once it has read text from outside, which may hold instructions: nothing but this.

    It may perform `effects`, write to the tables `writes`, emit to the streams `emits`, and ask the functions `calls`
    for something (`turn.call`) with arguments of the model's making. What is in `approve` waits for a person (`who`,
    as for `turn.approval`), who is shown exactly what is to be done. `trusted` binds parameters of effects: each must
    be the value that the field has in a row or event that the turn had read before a model could be swayed (a list: of
    such values alone), `{send_reply: {"address": Customer.email}}`. With `undo` it may undo decisions.
    """

    def __init__(
        self,
        *,
        effects: Sequence[Effect[...]] = (),
        writes: Sequence[Table[Any, Any]] = (),
        emits: Sequence[Stream[Any]] = (),
        approve: Sequence[Effect[...] | Table[Any, Any] | Stream[Any]] = (),
        calls: Sequence[Callable[..., Awaitable[Any]] | str] = (),
        trusted: Mapping[Effect[...], Mapping[str, Any]] | None = None,
        undo: bool = False,
        who: str = "",
    ) -> None:
        self.effects, self.writes, self.emits, self.approve = (
            tuple(effects),
            tuple(writes),
            tuple(emits),
            tuple(approve),
        )
        self.calls = frozenset(map(name_of, calls))
        self.undo = undo
        self.who = who
        self.trusted = {
            effect.name: {parameter: _field(effect, parameter, field) for parameter, field in fields.items()}
            for effect, fields in (trusted or {}).items()
        }

    def permits(self, act: Effect[...] | Table[Any, Any] | Stream[Any]) -> bool:
        """Whether this may be done, by itself or when a person approves of it."""
        return any(one is act for one in (*self.effects, *self.writes, *self.emits)) or self.waits(act)

    def waits(self, act: Effect[...] | Table[Any, Any] | Stream[Any]) -> bool:
        """Whether a person is to approve of it."""
        return any(one is act for one in self.approve)


def name_of(function: Callable[..., Any] | str) -> str:
    """The name of a function, as it is asked under."""
    return function if isinstance(function, str) else f"{function.__module__}.{function.__qualname__}"


def _field(effect: Effect[...], parameter: str, field: Any) -> TrustedField:
    where = f"Permits: trusted= of effect `{effect.name}`"
    if parameter not in effect.parameters:
        known = ", ".join(effect.parameters)
        raise DeclarationError(f"{where} names `{parameter}`, which is none of its parameters: {known}.")
    record, name = getattr(field, "__objclass__", None), getattr(field, "__name__", "")
    if record is None or name not in getattr(record, "__struct_fields__", ()):
        raise DeclarationError(f"{where} takes a field of a record, such as Customer.email, and not {field!r}.")
    if is_marked(record, name):
        raise DeclarationError(f"{where}: `{record.__name__}.{name}` is itself text from outside, declared Untrusted.")
    return record, name


def check_permits(
    agents: Iterable[Agent[Any]], effects: Mapping[str, Any], tables: Mapping[str, Any], streams: Mapping[str, Any]
) -> None:
    """Raises `DeclarationError` where what an agent is permitted is nothing that its app declares."""
    for agent in agents:
        if agent.when_tainted is not None:
            _check(f"Agent `{agent.name}`: when_tainted=", agent.when_tainted, effects, tables, streams)


def _check(
    where: str, permits: Permits, effects: Mapping[str, Any], tables: Mapping[str, Any], streams: Mapping[str, Any]
) -> None:
    every = (effects.values(), tables.values(), streams.values())
    named = ("effects", every[:1]), ("writes", every[1:2]), ("emits", every[2:]), ("approve", every)
    for option, kinds in named:
        for one in getattr(permits, option):
            if not any(one is other for kind in kinds for other in kind):
                name = getattr(one, "name", repr(one))
                raise DeclarationError(
                    f"{where} has `{name}` among {option}=, where it does not belong: effects= are effects, writes= "
                    f"tables, emits= streams, approve= any of these, all of this app."
                )
    acts = {one.name for one in (*permits.effects, *permits.approve)}
    for effect in permits.trusted:
        if effect not in acts:
            raise DeclarationError(
                f"{where} says in trusted= what effect `{effect}` is given, but does not permit it: add it to effects= "
                f"or approve=."
            )
