"""Errors, by who must act. Each says what, where and what to do, and keeps its fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

__all__ = [
    "AlreadyRunning",
    "BeforeHistory",
    "CorruptionError",
    "DeclarationError",
    "ExtrovertError",
    "GuardFailed",
    "InputError",
    "MissingExtra",
    "MissingRow",
    "PermanentError",
    "Refuse",
    "TransientError",
    "TurnError",
]


class ExtrovertError(Exception):
    """The root of all errors that Extrovert raises itself."""


class DeclarationError(ExtrovertError):
    """The app is declared wrongly: the developer mends it, at start-up."""


class MissingExtra(ExtrovertError):
    """An optional part is not installed; the message names the command that installs it: that of the extra, unless
    another `command` is given."""

    def __init__(self, what: str, extra: str, command: str = "") -> None:
        command = command or f'pip install "extrovert[{extra}]"'
        super().__init__(f"{what} is not installed. Install it with: {command}")
        self.extra = extra


class AlreadyRunning(ExtrovertError):
    """Another engine owns the data directory."""


class InputError(ExtrovertError):
    """One record from outside is bad: it goes to the dead letters with this as its cause."""

    def __init__(self, stream: str, cause: str) -> None:
        super().__init__(cause)
        self.stream = stream
        self.cause = cause


class MissingRow(ExtrovertError, LookupError):
    """A row was read by key and is not there."""

    def __init__(self, kind: str, name: str, key: Any, reader: str) -> None:
        super().__init__(
            f"{kind} `{name}` has no row `{key}` (read by {reader}). Use `{name}.get({key!r})` if it may be absent."
        )
        self.name = name
        self.key = key
        self.reader = reader


class BeforeHistory(ExtrovertError, LookupError):
    """A row was read as of a time that lies before the history that its table keeps."""

    def __init__(self, table: str, key: Any, at: datetime, kept: timedelta) -> None:
        super().__init__(
            f"`{table}.as_of({key!r}, {at.isoformat()})` is before the history that table `{table}` keeps: {kept} back "
            f"from its newest event time. Keep more with history=, or catch BeforeHistory where that is an answer."
        )
        self.table = table
        self.key = key
        self.at = at
        self.kept = kept


class TurnError(ExtrovertError):
    """An agent function did something that a turn cannot do; the developer mends it."""


class Refuse(ExtrovertError):
    """Raised by an agent function: the latest answer is not acceptable, and the reason goes back to who gave it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GuardFailed(Refuse):
    """A guard does not hold at the commit: whoever answered is told, or the attempt fails where nobody was asked."""


class TransientError(ExtrovertError):
    """It may work later: tried again after `retry_after_s`, or after the usual backoff where that is None.

    It is `free` where nothing was charged for it, for sure.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, free: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.free = free


class PermanentError(ExtrovertError):
    """It will never work: not tried again. It is `free` where nothing was charged for it, for sure."""

    def __init__(self, message: str, *, free: bool = False) -> None:
        super().__init__(message)
        self.free = free


class CorruptionError(ExtrovertError):
    """What is stored contradicts itself: the engine stops rather than go on from it."""
