"""Guards: named conditions on live context, which can be kept in the log and looked at again by their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec

import msgspec

from extrovert.core.errors import TurnError
from extrovert.core.ids import canonical
from extrovert.core.log import GuardNote

__all__ = ["Condition", "Guard", "written"]

P = ParamSpec("P")


class Condition:
    """A guard with its arguments: something that holds in the live context, or does not."""

    def __init__(self, guard: Guard[...], args: bytes) -> None:
        self.guard = guard
        self.note = GuardNote(guard.name, msgspec.Raw(args))

    def holds(self) -> bool:
        """Whether it holds now; what it looks at is read as the reader that asks reads it."""
        return self.guard.holds(self.note.args)

    def __str__(self) -> str:
        return written(self.note)


class Guard(Generic[P]):
    """A pure function of live context that says whether something may be done. Made by `App.guard`.

    Called in a turn it gives a `Condition`; it is not looked at before the turn commits.
    """

    def __init__(self, name: str, function: Callable[P, bool], arguments: Any) -> None:
        self.name = name
        self.function = function
        self._decode = msgspec.json.Decoder(arguments).decode

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> Condition:
        if named:
            raise TurnError(f"Guard `{self.name}` was given named arguments; give them in order.")
        args = canonical(list(arguments))
        try:
            self._decode(args)
        except msgspec.ValidationError as error:
            raise TurnError(f"Guard `{self.name}` was given what it does not take: {error}.") from error
        return Condition(self, args)

    def holds(self, args: msgspec.Raw) -> bool:
        """Whether it holds now for these arguments, as JSON. Raises what the function raises."""
        function: Callable[..., bool] = self.function
        return bool(function(*self._decode(args)))


def written(note: GuardNote) -> str:
    """A condition as its call is written: `still_cancelled("F1")`."""
    return f"{note.guard}({bytes(note.args).decode()[1:-1]})"
