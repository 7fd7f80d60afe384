"""Agents, effects and policies as declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from inspect import cleandoc
from math import ceil, exp, log
from statistics import NormalDist
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, TypedDict, TypeVar

import msgspec

from extrovert.core.ids import canonical, chance
from extrovert.core.record import Record
from extrovert.core.time import span_us
from extrovert.turns.limits import Breaker, Limits
from extrovert.turns.permits import Permits
from extrovert.turns.recordings import Recorded

__all__ = [
    "Agent",
    "AgentOptions",
    "Asks",
    "Effect",
    "Model",
    "OnConflict",
    "Policy",
    "Price",
    "Stale",
    "Thinking",
    "WhenStale",
]

OnConflict = Literal["contended", "guarded", "drop", "hold"]
"""What becomes of a turn that the world has disturbed too often, or that has not come to its end by its deadline."""

Stale = Literal["wait", "refuse", "fallback"]
"""What becomes of a turn that reads what is too old: it waits, it ends, or another than its model answers."""

P = ParamSpec("P")
T = TypeVar("T")
_NORMAL = NormalDist()


class AgentOptions(TypedDict, total=False):
    """What else an agent declares: see `App.agent`."""

    concurrency: int
    rest: timedelta
    quiet: timedelta
    max_wait: timedelta
    priority: int
    deadline: timedelta
    on_conflict: OnConflict
    max_reruns: int
    max_refusals: int
    max_tries: int
    retry_after: timedelta
    limits: Limits
    fresh_within: timedelta
    stale: WhenStale
    shadow: bool
    when_tainted: Permits


class Price(Record):
    """What a model costs, in US dollars: a million tokens in and out (decimals as text), and each request."""

    input: str
    output: str
    request: str = "0"

    def nano_usd(self, input_tokens: int, output_tokens: int) -> int:
        """The price of one request in billionths of a dollar, rounded up."""
        return _nano_usd(self, input_tokens, output_tokens)


FREE = Price(input="0", output="0")
LOCAL_TOKENS = 512
"""How long an answer of a model on this machine may be, where nobody says otherwise."""
LOCAL_SETTINGS: dict[str, Any] = {"temperature": 0}
"""It takes the likeliest word then, so that the same question is answered alike."""


@lru_cache(1_000)
def _nano_usd(price: Price, input_tokens: int, output_tokens: int) -> int:
    tokens = input_tokens * Decimal(price.input) + output_tokens * Decimal(price.output)
    return ceil(tokens * 1000 + Decimal(price.request) * 1_000_000_000)


class Model:
    """A model under a name of the app's own. Made by `App.model`.

    `of` is what answers: a name that Pydantic AI knows, a policy as `policy:NAME`, or a model that runs on this machine
    as `local` or `local:FILE`, of which the engine knows the `weights` when it starts; or it names the `instance` of a
    Pydantic AI model that does. With `recorded` its answers are played. `fallback` is the model or policy that answers
    in its place where it may not be asked.
    """

    def __init__(
        self,
        name: str,
        of: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        settings: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        timeout: timedelta = timedelta(seconds=60),
        price: Price | None = None,
        limits: Limits | None = None,
        fallback: Model | Policy[Any] | None = None,
        breaker: Breaker | None = None,
        instance: Any = None,
        recorded: Recorded | None = None,
    ) -> None:
        self.name = name
        self.of = of
        self.instance = instance
        self.recorded = recorded
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.settings = {**(LOCAL_SETTINGS if self.local else {}), **(settings or {})}
        self.max_tokens = LOCAL_TOKENS if self.local and max_tokens is None else max_tokens
        self.timeout_s = timeout.total_seconds()
        self.price = FREE if self.local and price is None else price
        self.limits = limits
        self.fallback = fallback
        self.breaker = breaker
        self.weights = ""

    @property
    def remote(self) -> bool:
        """Whether what answers is a model, and no policy."""
        return not self.of.startswith("policy:")

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, from a file of weights."""
        return self.of == "local" or self.of.startswith("local:")

    @property
    def prompted(self) -> bool:
        """Whether what answers, or may answer in its place, is to be told the agent's instructions."""
        return self.remote or (isinstance(self.fallback, Model) and self.fallback.prompted)

    @property
    def parameters(self) -> str:
        """Everything of it that an answer depends on."""
        of = f"local:{self.weights}" if self.weights else self.of
        return canonical([of, self.base_url, self.settings, self.max_tokens]).decode()


class Thinking(Record):
    """How long a policy thinks, as a model would: log-normal, by its median and the sigma of the logarithm.

    The time is a function of who asks what, never of the order of draws.
    """

    median: timedelta
    sigma: float = 0.5

    def takes_us(self, *who_asks_what: object) -> int:
        """Microseconds of thought about exactly this."""
        spread = self.sigma * _NORMAL.inv_cdf(chance("thinking", *who_asks_what))
        return round(exp(log(self.median.total_seconds()) + spread) * 1_000_000)


class Policy(Generic[T]):
    """A written rule that answers asks in a model's place: `function(facts) -> answer`, pure. Made by `App.policy`.

    A function with a second parameter is also given the refusals so far.
    """

    def __init__(
        self, name: str, function: Callable[..., T], *, facts: Any, sees_refusals: bool, thinks: Thinking | None
    ) -> None:
        self.name = name
        self.function = function
        self.facts = facts
        self.sees_refusals = sees_refusals
        self.thinks = thinks

    def __call__(self, *facts: Any) -> T:
        return self.function(*facts)


class Asks(NamedTuple):
    """Whom an agent asks, by name; whether that is a model, and its parameters as they count for an answer."""

    model: str
    prompted: bool = False
    parameters: str = ""


WhenStale = Literal["wait", "refuse"] | Policy[Any] | Model


class Backoff(Record):
    """How long to wait before a try: `first`, then twice as long each time, at most `most`.

    Of that, a part of up to `jitter` is left off by chance, which is a function of who tries what for which time.
    """

    first: timedelta = timedelta(seconds=1)
    most: timedelta = timedelta(minutes=5)
    jitter: float = 0.5

    def wait_us(self, tries: int, *who_tries_what: object) -> int:
        """Microseconds to wait after so many tries."""
        longest = min(span_us(self.first) * 2 ** min(tries - 1, 40), span_us(self.most))
        return round(longest * (1 - self.jitter * chance("backoff", *who_tries_what, tries)))


class Effect(Generic[P]):
    """An act on the outside world, performed after a decision is durable. Made by `App.effect`.

    It is safe to perform twice where `idempotent` (the target drops an idempotency key that it has seen), or can be
    looked up by `reconcile` (`key -> outcome, or None where it did not happen`). With neither it is performed at most
    once, and is shown as unknown where a crash leaves it open. `takes` are the parameters that the engine fills.
    """

    def __init__(
        self,
        name: str,
        function: Callable[P, Awaitable[Any]],
        *,
        parameters: Sequence[str],
        arguments: Any,
        takes: frozenset[str],
        idempotent: bool = False,
        reconcile: Callable[[str], Awaitable[Any]] | None = None,
        max_tries: int = 5,
        retry: Backoff | None = None,
        concurrency: int | None = None,
        per_second: float | None = None,
        in_order: bool = True,
        order_by: str = "",
        undo: str = "",
        horizon: timedelta = timedelta(days=1),
    ) -> None:
        self.name = name
        self.function = function
        self.parameters = parameters
        self.arguments = arguments
        self.takes = takes
        self.idempotent = idempotent
        self.reconcile = reconcile
        self.max_tries = max_tries
        self.retry = retry or Backoff()
        self.concurrency = concurrency
        self.every_us = 0 if per_second is None else round(1_000_000 / per_second)
        self.in_order = in_order
        self.order_by = order_by
        self.undo = undo
        self.horizon_us = span_us(horizon)

    def line_of(self, arguments: Sequence[Any]) -> str:
        """The line in which these arguments stand, beside that of the agent's key; "" for none."""
        if not self.order_by:
            return ""
        place = self.parameters.index(self.order_by)
        value = arguments[place] if place < len(arguments) else None
        return f"{self.order_by}={canonical(value).decode()}"


class Agent(Generic[T]):
    """A function that wakes on changes, one turn at a time per key. Made by `App.agent`.

    Of what may be read only up to an age, `fresh_us`, and of what happens else, `stale`, see `App.agent`.

    `source` is stream, table or view, and `on` its name. `declines_none` where the function's parameter does not
    accept None: it is then not woken by what went away. `old` reads the value that the last ended turn of the key saw,
    where the function takes that too. What a `shadow` decides is kept, and not done. `when_tainted` is what it may do
    after text from outside; what it `keeps` of a conversation it may always write.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Coroutine[Any, Any, None]],
        *,
        source: str,
        on: str,
        declines_none: bool,
        model: str,
        when: Callable[[Any], bool] | None = None,
        order: Callable[[Any], Any] | None = None,
        concurrency: int = 100,
        rest: timedelta = timedelta(0),
        quiet: timedelta = timedelta(0),
        max_wait: timedelta | None = None,
        priority: int = 0,
        deadline: timedelta | None = None,
        on_conflict: OnConflict = "contended",
        max_reruns: int = 20,
        max_refusals: int = 3,
        max_tries: int = 5,
        retry_after: timedelta = timedelta(seconds=1),
        shadow: bool = False,
        prompted: bool = False,
        parameters: str = "",
        limits: Limits | None = None,
        fresh_within: timedelta | None = None,
        stale: Stale = "wait",
        stale_fallback: Asks | None = None,
        old: msgspec.json.Decoder[Any] | None = None,
        when_tainted: Permits | None = None,
    ) -> None:
        self.name, self.function, self.old = name, function, old
        self.source, self.on = source, on
        self.declines_none = declines_none
        self.model = model
        self.when = when
        self.order = order
        self.concurrency = concurrency
        self.rest_us = span_us(rest)
        self.quiet_us = span_us(quiet)
        self.max_wait_us = None if max_wait is None else span_us(max_wait)
        self.priority = priority
        self.deadline_us = None if deadline is None else span_us(deadline)
        self.on_conflict: OnConflict = on_conflict
        self.max_reruns = max_reruns
        self.max_refusals = max_refusals
        self.max_tries = max_tries
        self.retry_after = retry_after
        self.shadow = shadow
        self.instructions = cleandoc(function.__doc__ or "")
        self.prompted = prompted
        self.parameters = parameters
        self.limits = limits
        self.fresh_us = None if fresh_within is None else span_us(fresh_within)
        self.stale: Stale = stale
        self.stale_fallback = stale_fallback or Asks("")
        self.when_tainted = when_tainted
        self.keeps: tuple[Any, ...] = ()

    def old_value(self, raw: bytes | None) -> Any:
        """What was kept as `raw` for the function's third parameter; None where nothing was, or another type's."""
        if self.old is None or raw is None:
            return None
        try:
            return self.old.decode(raw)
        except msgspec.DecodeError:
            return None  # kept by an earlier version of the app, whose values were others

    def begin(self, turn: Any, value: Any) -> Coroutine[Any, Any, None]:
        """The agent function at its start."""
        return self.function(turn, value) if self.old is None else self.function(turn, value, turn.old)
