"""Waits: what a turn asks of the clock, of a stream and of a person, remembered like any other answer."""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.record import Record

__all__ = ["Approval", "ApprovalAsked", "Awaited", "Sleep"]


class Sleep(Record):
    """A wait for the moment `until_us`; its answer is null."""

    until_us: int


class Awaited(Record, omit_defaults=True):
    """A wait for the next event of `stream`, of the key `key` (null: of any). Its answer is that event, or null where
    none came until `until_us`.

    With `to` an event is sent to that stream first, as a question to whoever listens there: `event`, under `event_key`.
    """

    stream: str
    key: Any = None
    until_us: int | None = None
    to: str = ""
    event_key: Any = None
    event: msgspec.Raw = msgspec.Raw(b"null")


class ApprovalAsked(Record, omit_defaults=True):
    """A wait for a person: `who` is to say whether `what` may be done. Where nobody has answered when it is
    `until_us`, the answer is `otherwise`."""

    what: msgspec.Raw
    who: str = ""
    until_us: int | None = None
    otherwise: bool = False


class Approval(Record, omit_defaults=True):
    """A person's answer: whether it is `granted`, `by` whom ("" where time ran out), and what they said to it."""

    granted: bool
    by: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        return self.granted
