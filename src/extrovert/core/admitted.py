"""The log's entries about asks that have limits: that one is sent, and that it came to nothing."""

from __future__ import annotations

from extrovert.core.record import Record

__all__ = ["Admitted", "Unanswered"]


class Admitted(Record, omit_defaults=True, tag="admitted", tag_field="kind"):
    """An ask that has limits is sent: this is durable before its request leaves.

    `model` answers it; where that is a fallback, `why` says why. It counts in `accounts` (`model:NAME`, `agent:NAME`)
    with the most that it can take, `tokens` and `cost_nano_usd`, until it is known what it took. `waited_for` names the
    limit that it waited for last.
    """

    turn: str
    hash: str
    occurrence: int
    model: str
    accounts: list[str]
    tokens: int = 0
    cost_nano_usd: int = 0
    why: str = ""
    waited_for: str = ""


class Unanswered(Record, omit_defaults=True, tag="unanswered", tag_field="kind"):
    """An ask that was admitted ended with an error: it is `free` where nothing was charged for it, for sure.

    It counts for the breaker of its model where it `breaks`; until `until_us` the model wants not to be asked.
    """

    turn: str
    hash: str
    occurrence: int
    free: bool = False
    breaks: bool = False
    until_us: int | None = None
