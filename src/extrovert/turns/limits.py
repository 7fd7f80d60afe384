"""Limits: how much an agent or a model may take, and the most that one ask can take of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import span_us

if TYPE_CHECKING:
    from extrovert.turns.declare import Model
    from extrovert.turns.request import Request

__all__ = ["HOUR_US", "MINUTE_US", "Breaker", "Limits", "Need", "wrong_limits", "worst_case"]

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US

FRAME_TOKENS = 256
"""What a provider may put around a prompt and a schema, and `MESSAGE_TOKENS` around each message."""
MESSAGE_TOKENS = 64

Over = Literal["wait", "fallback"]


class Limits(Record):
    """The most that asks may take: `calls` at a time, and in any minute or hour, however it is laid.

    An ask counts when it is sent, with the most tokens and dollars that it can take until its answer tells what it
    took. `usd_per_hour` may be a decimal as text. An ask for which there is no room waits its turn, or with
    `over="fallback"` goes to the fallback of its model.
    """

    calls: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    usd_per_hour: str | float | None = None
    over: Over = "wait"

    @property
    def nano_usd_per_hour(self) -> int | None:
        """The money an hour in billionths of a dollar."""
        return None if self.usd_per_hour is None else int(Decimal(str(self.usd_per_hour)) * 1_000_000_000)


class Breaker(Record):
    """Stops asking a model that has failed `failures` times `within` a span: for `open_for`, then one ask tries it.

    An answer that took longer than `slow` counts as a failure too.
    """

    failures: int = 5
    within: timedelta = timedelta(minutes=1)
    open_for: timedelta = timedelta(seconds=30)
    slow: timedelta | None = None

    @property
    def within_us(self) -> int:
        return span_us(self.within)

    @property
    def open_us(self) -> int:
        return span_us(self.open_for)

    @property
    def slow_us(self) -> int | None:
        return None if self.slow is None else span_us(self.slow)


class Need(NamedTuple):
    """The most that an ask can take."""

    tokens: int = 0
    nano_usd: int = 0


def worst_case(model: Model, request: Request) -> Need:
    """The most tokens and money that `model` can take to answer: each token of a prompt is at least one of its bytes.

    Of a model without `max_tokens` the answer is not counted, without a `price` no money.
    """
    told = len(request.about_json) + len(request.instructions.encode()) + _schema_bytes(request.output)
    told += sum(len(bytes(one.answer)) + len(one.reason.encode()) + 2 * MESSAGE_TOKENS for one in request.refusals)
    prompt, answer = told + MESSAGE_TOKENS + FRAME_TOKENS, model.max_tokens or 0
    if not model.remote:
        prompt = 0
    return Need(prompt + answer, 0 if model.price is None else model.price.nano_usd(prompt, answer))


@cache
def _schema_bytes(output: Any) -> int:
    return len(canonical(msgspec.json.schema(output)))


def wrong_limits(limits: Limits) -> str:
    """What is wrong with limits; "" where nothing is."""
    for name in ("calls", "requests_per_minute", "tokens_per_minute"):
        value = getattr(limits, name)
        if value is not None and value < 1:
            return f"{name}= must be at least 1, not {value}"
    if limits.over not in ("wait", "fallback"):
        return f'over= is "wait" or "fallback", not {limits.over!r}'
    try:
        money = limits.nano_usd_per_hour
    except ArithmeticError:
        return f"usd_per_hour= is a number of dollars, not {limits.usd_per_hour!r}"
    return (
        f"usd_per_hour= must be more than nothing, not {limits.usd_per_hour}" if money is not None and money < 1 else ""
    )
