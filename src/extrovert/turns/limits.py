"""Limits: how much an agent or a model may take, and the most that one ask can take of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import span_us
from extrovert.core.typed import typed

if TYPE_CHECKING:
    from extrovert.turns.declare import Model
    from extrovert.turns.request import Request

__all__ = ["HOUR_US", "MINUTE_US", "Breaker", "Limits", "Need", "check_agent", "check_model", "worst_case"]

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
    told = len(request.asked_json) + len(request.instructions.encode()) + _schema_bytes(request.output)
    told += len(request.tools.encode()) + MESSAGE_TOKENS * sum(1 + len(one.results) for one in request.exchange)
    told += sum(len(bytes(one.answer)) + len(one.reason.encode()) + 2 * MESSAGE_TOKENS for one in request.refusals)
    prompt, answer = told + MESSAGE_TOKENS + FRAME_TOKENS, model.max_tokens or 0
    if not model.remote:
        prompt = 0
    return Need(prompt + answer, 0 if model.price is None else model.price.nano_usd(prompt, answer))


@cache
def _schema_bytes(output: Any) -> int:
    return len(canonical(typed(output).schema))


def check_model(model: Model) -> None:
    """Raises `DeclarationError` where a model's limits, breaker or fallback cannot be kept to."""
    who, limits, breaker = f"Model `{model.name}`", model.limits, model.breaker
    if limits is not None:
        _check(who, limits, model)
    if breaker is not None and (breaker.failures < 1 or min(breaker.within_us, breaker.open_us) <= 0):
        raise DeclarationError(f"{who}: a breaker takes at least 1 failure, within= and open_for= more than nothing.")


def check_agent(name: str, limits: Limits, model: Model | None) -> None:
    """Raises `DeclarationError` where an agent's limits cannot be kept to; `model` is what it asks, if declared."""
    _check(f"Agent `{name}`", limits, model)


def _check(who: str, limits: Limits, model: Model | None) -> None:
    wrong = _wrong(limits)
    if wrong:
        raise DeclarationError(f"{who}: {wrong}.")
    if limits.over == "fallback" and (model is None or model.fallback is None):
        raise DeclarationError(f'{who}: over="fallback" needs a model with a fallback: app.model(…, fallback=…).')
    one: Any = model
    while one is not None:
        lacks = [] if getattr(one, "max_tokens", None) is not None else ["max_tokens="]
        if limits.usd_per_hour is not None and getattr(one, "price", None) is None:
            lacks.append("price=")
        counts = limits.tokens_per_minute is not None or limits.usd_per_hour is not None
        if counts and lacks and getattr(one, "remote", False):
            raise DeclarationError(
                f"{who}: a limit of tokens or money needs to know the most that an answer takes. Give model "
                f"`{one.name}` {' and '.join(lacks)}."
            )
        one = getattr(one, "fallback", None) if who.startswith("Agent") else None
    if model is None and (limits.tokens_per_minute is not None or limits.usd_per_hour is not None):
        raise DeclarationError(
            f"{who}: a limit of tokens or money needs a model that is declared: app.model(…, max_tokens=…, price=…)."
        )


def _wrong(limits: Limits) -> str:
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
    if money is not None and money < 1:
        return f"usd_per_hour= must be more than nothing, not {limits.usd_per_hour}"
    return ""
