"""Declarations of turns: agents, policies, models, effects and guards, beside what makes up the live context."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from extrovert.context.declarations import Declarations
from extrovert.context.index import Index
from extrovert.context.learner import Learner
from extrovert.context.range_index import RangeIndex
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.declaring import accepts_none, add, decoder_of_old, hints
from extrovert.core.errors import DeclarationError
from extrovert.core.record import Record
from extrovert.turns.declare import Agent, AgentOptions, Backoff, Effect, Model, Policy, Price, Thinking
from extrovert.turns.effects import effect_of
from extrovert.turns.guards import Guard
from extrovert.turns.invalidated import INVALIDATIONS, DecisionInvalidated, checked_horizon, invalidations
from extrovert.turns.limits import Breaker, Limits, check_model
from extrovert.turns.lookups import LOOKED, Looked, Lookup, lookup_of
from extrovert.turns.options import AnyModel, asked_as, check_options, of_what, when_stale
from extrovert.turns.outcome import Outcome
from extrovert.turns.recordings import Recorded
from extrovert.turns.turn import Turn

__all__ = ["TurnDeclarations"]

R = TypeVar("R", bound=Record)
T = TypeVar("T")
V = TypeVar("V")
P = ParamSpec("P")
AgentFunction = (
    Callable[[Turn, V], Coroutine[Any, Any, None]] | Callable[[Turn, V, V | None], Coroutine[Any, Any, None]]
)


class TurnDeclarations(Declarations):
    """What an app declares of turns. `App` is one of these, with sources."""

    name: str

    def __init__(self) -> None:
        super().__init__()
        self._agents: dict[str, Agent[Any]] = {}
        self._policies: dict[str, Policy[Any]] = {}
        self._models: dict[str, Model] = {}
        self._effects: dict[str, Effect[Any]] = {}
        self._guards: dict[str, Guard[Any]] = {}
        self._outcomes: dict[str, str] = {}
        self._published: dict[str, Lookup] = {}
        self._horizon_us: int | None = None

    @overload
    def agent(
        self,
        *,
        wakes_on: View[Any, V] | Stream[V],
        model: Policy[Any] | Model | Learner[Any] | str | None = None,
        when: Callable[[V], bool] | None = None,
        order: Callable[[V], Any] | None = None,
        **options: Unpack[AgentOptions],
    ) -> Callable[[AgentFunction[V]], Agent[V]]: ...
    @overload
    def agent(
        self,
        *,
        wakes_on: Table[Any, R],
        model: Policy[Any] | Model | Learner[Any] | str | None = None,
        when: Callable[[R], bool] | None = None,
        order: Callable[[R], Any] | None = None,
        **options: Unpack[AgentOptions],
    ) -> Callable[[AgentFunction[R]], Agent[R]]: ...
    def agent(self, *, wakes_on: Any, model: Any = None, **options: Any) -> Any:
        """Declares an agent: the decorated `async def name(turn, value)` runs when what it wakes on changes.

        `value` is the view's value, the row, or the latest event (`turn.events` has all that came). A parameter that
        accepts None is also told when it went away. A function with a third, `(turn, value, old)`, is given what the
        last ended turn of the key saw. `model` answers its asks. `when` limits wakes to values for which
        it is true; `order(value)` is the order of admission, smallest first, then by age; an agent of higher `priority`
        comes first. `concurrency` is how many turns may run at a time (100), without those that wait for the clock, an
        event or a person, and `rest` how long a key is left alone after a turn of its own. With `quiet` a turn begins
        when nothing has changed for so long, or `max_wait` after the first change.

        A turn that would ask anew more than `max_reruns` times (20) because the world changed, or that has not come to
        its end `deadline` after its wake, does as `on_conflict` says: it ends as "contended", with a dead letter; it
        is given up ("drop"); it waits for a person, who lets it go on or gives it up ("hold"); or it is "guarded": the
        call in flight ends, its answer is taken for whatever is asked now, and what comes of that is committed if its
        guards hold. A turn whose answers are refused `max_refusals` times (3), or that fails `max_tries` times (5, each
        time after twice the wait, from `retry_after`, a second), goes to the dead letters.

        With `fresh_within` the sources of all that a turn reads must have been heard within that time when it asks and
        when it commits. Else it does as `stale` says: it waits until they are heard ("wait"), it ends ("refuse"), or a
        policy or model given there answers in the place of its own.

        A `shadow` wakes, asks and decides, but what it decides is only kept: it writes, emits and performs nothing.

        A turn that has read text from outside, a field that is declared `Untrusted`, may do what `when_tainted` permits
        and nothing else; without it, if it asks a model, only write to such fields. See `docs/untrusted.md`.
        """
        kinds: dict[type, str] = {View: "view", Table: "table", Stream: "stream"}
        source = next((word for kind, word in kinds.items() if isinstance(wakes_on, kind)), None)
        if source is None:
            raise DeclarationError(f"An agent wakes on a view, a table or a stream, not on {wakes_on!r}.")

        def declare(function: Callable[..., Coroutine[Any, Any, None]]) -> Agent[Any]:
            name = function.__name__
            if not inspect.iscoroutinefunction(function):
                raise DeclarationError(f"Agent `{name}` must be an `async def` with the parameters (turn, value).")
            check_options(name, options, model if isinstance(model, Model) else None)
            agent: Agent[Any] = Agent(
                name,
                function,
                source=source,
                on=wakes_on.name,
                declines_none=source == "stream" or not accepts_none(name, function),
                old=decoder_of_old(name, source, function),
                model=asked_as(model) if model else "",
                prompted=model.prompted if isinstance(model, Model) else isinstance(model, str),
                parameters=model.parameters if isinstance(model, Model | Learner) else "",
                **when_stale(name, options),
            )
            return add(self._agents, "agent", name, agent)

        return declare

    @overload
    def policy(self, function: Callable[..., T]) -> Policy[T]: ...
    @overload
    def policy(self, *, thinks: Thinking | None = None) -> Callable[[Callable[..., T]], Policy[T]]: ...
    def policy(self, function: Any = None, *, thinks: Thinking | None = None) -> Any:
        """Declares a policy: a written rule, `facts -> answer`, that answers asks in a model's place.

        `thinks` lets it take its time, as a model would.
        """

        def declare(function: Callable[..., T]) -> Policy[T]:
            name = function.__name__
            parameters = list(inspect.signature(function).parameters)
            if not 1 <= len(parameters) <= 2:
                raise DeclarationError(f"Policy `{name}` must take (facts) or (facts, refusals).")
            facts = hints("Policy", name, function).get(parameters[0])
            policy = Policy(
                name,
                function,
                facts=facts if isinstance(facts, type) and facts is not Any else None,  # Any is a class since 3.11
                sees_refusals=len(parameters) == 2,
                thinks=thinks,
            )
            return add(self._policies, "policy", name, policy)

        return declare if function is None else declare(function)

    def guard(self, function: Callable[P, bool]) -> Guard[P]:
        """Declares a guard: a pure function of live context that says whether something may be done.

        Called in a turn it gives a condition, for `turn.require`, `turn.put(…, guard=…)` and `turn.effect(…).guard(…)`.
        """
        name = function.__name__
        types = hints("Guard", name, function)
        arguments = [types.get(one, Any) for one in inspect.signature(function).parameters]
        guard = Guard(name, function, tuple[tuple(arguments)] if arguments else tuple[()])  # pyright: ignore
        return add(self._guards, "guard", name, guard)

    @overload
    def effect(self, function: Callable[P, Awaitable[Any]]) -> Effect[P]: ...
    @overload
    def effect(
        self,
        *,
        idempotent: bool = False,
        reconcile: Callable[[str], Awaitable[Any]] | None = None,
        max_tries: int = 5,
        retry: Backoff | None = None,
        concurrency: int | None = None,
        per_second: float | None = None,
        in_order: bool = True,
        order_by: str = "",
        undo: Effect[...] | None = None,
        horizon: timedelta = timedelta(days=1),
    ) -> Callable[[Callable[P, Awaitable[Any]]], Effect[P]]: ...
    def effect(self, function: Any = None, *, undo: Effect[...] | None = None, **options: Any) -> Any:
        """Declares an effect: an `async def` that acts on the outside world.

        A parameter `idempotency_key` is given the key under which this act is known. `idempotent` says that the target
        acts once per key; `reconcile(key)` looks up what came of it, or None where it did not happen and will not. With
        neither, it is never repeated when its outcome is unknown.

        It is tried at most `max_tries` times, after waits by `retry`; at most `concurrency` are performed at a time,
        and `per_second` are begun. With `in_order` it is a step: the effects of an agent and key are performed one
        after the other; if one comes to a bad end, later ones of its decision are withdrawn and earlier ones undone.
        `order_by` names a parameter: effects with the same value of it keep the order of their decisions.

        `undo` is the effect that takes it back: it takes the same arguments, and may have the parameters `undoes` (the
        key of what it takes back) and `outcome` (what that returned). `horizon` is how long after its end an effect can
        be undone, and its `once` key counts.
        """

        def declare(function: Callable[..., Awaitable[Any]]) -> Effect[Any]:
            effect = effect_of(function, undo, options)
            return add(self._effects, "effect", effect.name, effect)

        return declare if function is None else declare(function)

    def outcomes(self, effect: Effect[...]) -> Stream[Outcome]:
        """The stream of what came of an effect: an event for each that settled, failed, was withdrawn, or is unknown.

        Its key is that of the agent that intended it. A stream of this effect is declared once.
        """
        name = f"{effect.name}-outcomes"
        if name not in self._streams:
            stream: Stream[Outcome] = Stream(name, Outcome, "about", made_by=f"effect `{effect.name}`")
            add(self._streams, "stream", name, stream)
            self._outcomes[effect.name] = name
        return self._streams[name]

    def invalidations(self, *, horizon: timedelta) -> Stream[DecisionInvalidated]:
        """The stream of decisions that had read what was not true then, as late or corrected rows have shown since.

        What a decision has read of tables that keep history is remembered for the `horizon`, which they have to reach.
        The key of an event is that of the agent that decided. See `docs/corrections.md`.
        """
        self._horizon_us = checked_horizon(self.name, horizon, self._horizon_us)
        if INVALIDATIONS not in self._streams:
            add(self._streams, "stream", INVALIDATIONS, invalidations())
        return self._streams[INVALIDATIONS]

    def model(
        self,
        name: str,
        of: str | Policy[Any] | AnyModel | Recorded,
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
    ) -> Model:
        """Declares a model that agents name: `of` is a name that Pydantic AI knows, such as "openai:gpt-5-mini", or
        "local" or "local:FILE.gguf" for one that runs on this machine.

        `base_url` is the address of any service that speaks the provider's protocol, `api_key_env` the environment
        variable that holds its key (else the provider's own). `settings` are Pydantic AI's (temperature and so on),
        `max_tokens` bounds an answer, `timeout` a request, `price` is what it costs. `of` may be a policy, which then
        answers in the model's place, or any model object of Pydantic AI: a double such as `TestModel()`, or one that is
        set up in code; or `Recorded(path, of)`, answers out of a file.

        `limits` are for all its asks together, and `breaker` says when it is not asked for a while. `fallback`, another
        model or a policy, then answers in its place where the limits say so, and while the breaker is open; without
        one, asks wait.
        """
        declared = Model(
            name,
            of_what(of),
            base_url=base_url,
            api_key_env=api_key_env,
            settings=settings,
            max_tokens=max_tokens,
            timeout=timeout,
            price=price,
            limits=limits,
            fallback=fallback,
            breaker=breaker,
            instance=of if isinstance(of, AnyModel) else None,
            recorded=of if isinstance(of, Recorded) else None,
        )
        check_model(declared)
        return add(self._models, "model", name, declared)

    def publish(self, *of: Looked) -> None:
        """Lets other programs look up these tables, indexes, range indexes, views, windows and searches, over MCP.

        What is not published they cannot read; they can never write.
        """
        for one in of:
            if not isinstance(one, LOOKED):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise DeclarationError(
                    f"App `{self.name}` can publish tables, indexes, range indexes, views, windows and searches, not "
                    f"{one!r}."
                )
            lookup = lookup_of(one)
            if not self._has(one):
                raise DeclarationError(f"App `{self.name}` publishes `{one.name}`, which another app has declared.")
            add(self._published, "published tool", lookup.name, lookup)

    def _has(self, of: Looked) -> bool:
        """Whether this app has declared it."""
        if isinstance(of, Index | RangeIndex):
            table = self._tables.get(of.table)
            return table is not None and of in table.indexes
        return any(known.get(of.name) is of for known in (self._tables, self._views, self._operators))

    def _known_models(self) -> dict[str, Model]:
        """All models that agents name, by the name under which they are asked."""
        models = {f"model:{name}": model for name, model in self._models.items()}
        named = [(f"Agent `{agent.name}` asks", agent.model) for agent in self._agents.values()]
        named += [(f"Agent `{one.name}` falls back on", one.stale_fallback.model) for one in self._agents.values()]
        named += [(f"Model `{model.name}` is", model.of) for model in self._models.values()]
        fallbacks = ((model, model.fallback) for model in self._models.values() if model.fallback is not None)
        named += [(f"Model `{model.name}` has the fallback", asked_as(fallback)) for model, fallback in fallbacks]
        for who, name in named:
            kind, _, rest = name.partition(":")
            if name == "local":
                rest = name
            if not name or name in models or (kind == "policy" and rest in self._policies):
                continue
            if kind == "learner" and isinstance(self._operators.get(rest), Learner) and who.startswith("Agent"):
                continue
            if kind in ("policy", "model", "learner") or not rest:
                raise DeclarationError(
                    f"{who} model `{name}`, which is not known. Give a policy or model of this app (an agent also a "
                    f'learner), or a name with its provider, such as "openai:gpt-5-mini".'
                )
            if who.endswith("is"):
                continue
            models[name] = Model(name, name)
        return models
