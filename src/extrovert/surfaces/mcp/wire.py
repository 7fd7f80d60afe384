"""What is asked of an engine about the context that it publishes, and what it answers: part of the control protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from extrovert.core.record import Record

__all__ = ["Compare", "Compared", "ListPublished", "LookUp", "LookedUp", "Published", "PublishedTool"]


class ListPublished(Record, tag="list_published"):
    """What may other programs look up?"""


class LookUp(Record, tag="look_up", omit_defaults=True):
    """Use the look-up `tool` with these arguments. They are `text` where they come from an address: there numbers and
    moments are text too."""

    tool: str
    arguments: dict[str, Any]
    text: bool = False


class Compare(Record, tag="compare"):
    """Do these look-ups give anything new, if the engine is not any more where it was `since`?"""

    looked: list[LookUp]
    since: int = 0


class PublishedTool(Record):
    """A look-up: its arguments' JSON schema, and the address of what it gives (a template); "" where it has none."""

    name: str
    description: str
    arguments: msgspec.Raw
    address: str = ""


class Published(Record, tag="published"):
    """All that app `name` publishes."""

    name: str
    tools: list[PublishedTool]


class LookedUp(Record, tag="looked_up", omit_defaults=True):
    """What was found, as it was at the offset `offset` and the engine's time `at`, and how many milliseconds before
    that the source of each stream on which it hangs was last heard (None: never). `error` says why nothing could be
    looked up."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    offset: int = 0
    at: datetime | None = None
    heard_ms_ago: dict[str, float | None] = {}
    error: str = ""


class Compared(Record, tag="compared"):
    """The engine is at `offset`; `prints` change when what is looked up does. None: it is where it was."""

    offset: int
    prints: list[str] | None = None
