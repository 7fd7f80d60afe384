"""The app: where a user declares streams, tables, views, agents, policies and effects."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, ParamSpec, TypeVar, overload

from typing_extensions import TypeForm

from extrovert.context.operator import DeclaredOperator
from extrovert.context.search import Search, text_fields
from extrovert.context.stream import Stream
from extrovert.context.table import Fold, Table, field_name
from extrovert.context.view import View
from extrovert.core.declaring import accepts_none, add, check_key, hints, records
from extrovert.core.errors import DeclarationError
from extrovert.core.ports import Embedder, TimedSource
from extrovert.core.record import Record
from extrovert.turns.declare import Agent, Effect, Policy, Thinking
from extrovert.turns.turn import Turn

if TYPE_CHECKING:
    from extrovert.engine.declared import Declared
    from extrovert.engine.loop import Engine

__all__ = ["App"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)
T = TypeVar("T")
V = TypeVar("V")
P = ParamSpec("P")
AgentFunction = Callable[[Turn, V], Coroutine[Any, Any, None]]


class App:
    """A named set of declarations. It holds no state: an engine runs it on a store.

    What is wrong with a declaration is a `DeclarationError`, here or when the app is started, never later.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._streams: dict[str, Stream[Any]] = {}
        self._tables: dict[str, Table[Any, Any]] = {}
        self._views: dict[str, View[Any, Any]] = {}
        self._agents: dict[str, Agent[Any]] = {}
        self._policies: dict[str, Policy[Any]] = {}
        self._effects: dict[str, Effect[Any]] = {}
        self._sources: dict[str, TimedSource] = {}
        self._operators: dict[str, DeclaredOperator] = {}

    # ---- context

    def stream(self, name: str, event: TypeForm[T], *, key: Any) -> Stream[T]:
        """Declares a stream of `event` records (or a union of tagged ones); `key` is the field that they share."""
        for record in records(f"Stream `{name}`", event):
            check_key(f"Stream `{name}`", record, field_name(f"Stream `{name}`", record, key))
        stream: Stream[T] = Stream(name, event, key if isinstance(key, str) else key.__name__)
        return add(self._streams, "stream", name, stream)

    @overload
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: LiteralString,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
    ) -> Table[Any, R]: ...
    @overload
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: K,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
    ) -> Table[K, R]: ...
    def table(
        self,
        name: str,
        record: type[R],
        *,
        key: Any,
        source: Stream[Any] | None = None,
        fold: Fold | None = None,
        turns_own: Iterable[Any] = (),
    ) -> Table[Any, R]:
        """Declares a table of `record` rows by `key` (a field, as `Flight.flight_id` or by name).

        `source` is the stream that writes it: the latest event per key is the row, or what `fold(row | None, event)`
        returns. Without one, turns write it, and the stream of its own name can fill it; a row that a turn has written
        is then no longer taken from outside. `turns_own` names the fields of a sourced table that turns write and its
        source does not.
        """
        where = f"Table `{name}`"
        key_name = field_name(where, record, key)
        check_key(where, record, key_name)
        owned = frozenset(field_name(where, record, field) for field in turns_own)
        if key_name in owned:
            raise DeclarationError(f"{where}: turns cannot own its key, `{key_name}`.")
        if fold is None and source is not None and source.event is not record:
            raise DeclarationError(
                f"{where} holds {record.__name__}, but its source `{source.name}` does not; say how with fold="
            )
        if fold is None and source is not None and source.key != key_name:
            raise DeclarationError(
                f"{where} is keyed by `{key_name}`, but its source `{source.name}` by `{source.key}`; one event is one "
                f"row, so give both the same key, or say with fold= which row an event makes."
            )
        if source is None:
            source = self.stream(name, record, key=key_name)
            fed = bool(owned)
        else:
            fed = True
        table: Table[Any, R] = Table(name, record, key_name, stream=source.name, fed=fed, fold=fold, turns_own=owned)
        return add(self._tables, "table", name, table)

    def view(self, *, over: Table[K, R]) -> Callable[[Callable[[R], V | None]], View[K, V]]:
        """Declares a view: the decorated function of one row of `over`, and of what it looks up, kept current.

        It is pure: no clock (use `before(t)`), no randomness, no I/O. None is no value.
        """

        def declare(function: Callable[[R], V | None]) -> View[K, V]:
            name = function.__name__
            return add(self._views, "view", name, View[K, V](name, over.name, function))

        return declare

    def search(self, name: str, *, over: Table[K, R], text: Any, embedder: Embedder | None = None) -> Search[K, R]:
        """Declares a search over a table's rows: `text` is the field or fields that hold what they say.

        With an `embedder`, such as `WordLlama()`, rows are found by what they mean as well as by their words.
        """
        search = Search(name, over, text_fields(f"Search `{name}`", over.record, text), embedder)
        return add(self._operators, "search", name, search)

    def source(self, source: TimedSource) -> None:
        """Declares a source that feeds streams of this app."""
        add(self._sources, "source", source.name, source)

    # ---- agents

    @overload
    def agent(
        self,
        *,
        wakes_on: View[Any, V] | Stream[V],
        model: Policy[Any] | str | None = None,
        when: Callable[[V], bool] | None = None,
        order: Callable[[V], Any] | None = None,
        concurrency: int = 100,
        rest: timedelta = timedelta(0),
        max_reruns: int = 20,
        max_refusals: int = 3,
        max_tries: int = 5,
        retry_after: timedelta = timedelta(seconds=1),
    ) -> Callable[[AgentFunction[V]], Agent[V]]: ...
    @overload
    def agent(
        self,
        *,
        wakes_on: Table[Any, R],
        model: Policy[Any] | str | None = None,
        when: Callable[[R], bool] | None = None,
        order: Callable[[R], Any] | None = None,
        concurrency: int = 100,
        rest: timedelta = timedelta(0),
        max_reruns: int = 20,
        max_refusals: int = 3,
        max_tries: int = 5,
        retry_after: timedelta = timedelta(seconds=1),
    ) -> Callable[[AgentFunction[R]], Agent[R]]: ...
    def agent(self, *, wakes_on: Any, model: Any = None, **options: Any) -> Any:
        """Declares an agent: the decorated `async def name(turn, value)` runs when what it wakes on changes.

        `value` is the view's value, the row, or the latest event (`turn.events` has all that came). A parameter that
        accepts None is also told when it went away. `model` answers its asks. `when` limits wakes to values for which
        it is true; `order(value)` is the order of admission, smallest first, then by age; `concurrency` is how many
        turns may run at a time, and `rest` how long a key is left alone after a turn of its own.

        A turn that has to ask anew more than `max_reruns` times because the world changed ends as contended; one whose
        answers are refused `max_refusals` times, or that fails `max_tries` times (each time after twice the wait, from
        `retry_after`), goes to the dead letters.
        """
        kinds: dict[Any, str] = {View: "view", Table: "table", Stream: "stream"}
        source = kinds.get(wakes_on.__class__)
        if source is None:
            raise DeclarationError(f"An agent wakes on a view, a table or a stream, not on {wakes_on!r}.")

        def declare(function: Callable[..., Coroutine[Any, Any, None]]) -> Agent[Any]:
            name = function.__name__
            if not inspect.iscoroutinefunction(function):
                raise DeclarationError(f"Agent `{name}` must be an `async def` with the parameters (turn, value).")
            agent: Agent[Any] = Agent(
                name,
                function,
                source=source,
                on=wakes_on.name,
                declines_none=source == "stream" or not accepts_none(name, function),
                model=f"policy:{model.name}" if isinstance(model, Policy) else (model or ""),
                **options,
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
                facts=facts if isinstance(facts, type) else None,
                sees_refusals=len(parameters) == 2,
                thinks=thinks,
            )
            return add(self._policies, "policy", name, policy)

        return declare if function is None else declare(function)

    @overload
    def effect(self, function: Callable[P, Awaitable[Any]]) -> Effect[P]: ...
    @overload
    def effect(
        self,
        *,
        idempotent: bool = False,
        reconcile: Callable[[str], Awaitable[Any]] | None = None,
        max_tries: int = 5,
    ) -> Callable[[Callable[P, Awaitable[Any]]], Effect[P]]: ...
    def effect(
        self,
        function: Any = None,
        *,
        idempotent: bool = False,
        reconcile: Callable[[str], Awaitable[Any]] | None = None,
        max_tries: int = 5,
    ) -> Any:
        """Declares an effect: an `async def` that acts on the outside world.

        A parameter `idempotency_key` is given the key under which this act is known. `idempotent` says that the target
        acts once per key; `reconcile(key)` looks up what came of it, or None where it did not happen. With neither, it
        is never repeated when its outcome is unknown.
        """

        def declare(function: Callable[..., Awaitable[Any]]) -> Effect[Any]:
            name = function.__name__
            if not inspect.iscoroutinefunction(function):
                raise DeclarationError(f"Effect `{name}` must be an `async def`.")
            types = hints("Effect", name, function)
            parameters = inspect.signature(function).parameters
            arguments = [types.get(one, Any) for one in parameters if one != "idempotency_key"]
            takes_key = "idempotency_key" in parameters
            if idempotent and not takes_key:
                raise DeclarationError(f"Effect `{name}` is declared idempotent, but takes no `idempotency_key`.")
            effect: Effect[Any] = Effect(
                name,
                function,
                arguments=tuple[tuple(arguments)] if arguments else tuple[()],  # pyright: ignore
                takes_key=takes_key,
                idempotent=idempotent,
                reconcile=reconcile,
                max_tries=max_tries,
            )
            return add(self._effects, "effect", name, effect)

        return declare if function is None else declare(function)

    # ---- running

    def declared(self) -> Declared:
        """All declarations, checked together. Raises `DeclarationError`."""
        from extrovert.engine.calls import Answerer
        from extrovert.engine.declared import Declared
        from extrovert.models.policy import PolicyModel

        known = {f"policy:{name}" for name in self._policies}
        for agent in self._agents.values():
            if agent.model and agent.model not in known:
                raise DeclarationError(
                    f"Agent `{agent.name}` asks model `{agent.model}`, which this version cannot reach. Give it a "
                    f"policy: model=<a function declared with @app.policy>."
                )

        def answerers(seed: int) -> dict[str, Answerer]:
            return {f"policy:{name}": PolicyModel(policy, seed) for name, policy in self._policies.items()}

        return Declared(
            name=self.name,
            streams=list(self._streams.values()),
            tables=list(self._tables.values()),
            views=list(self._views.values()),
            agents=list(self._agents.values()),
            effects=list(self._effects.values()),
            sources=list(self._sources.values()),
            operators=list(self._operators.values()),
            answerers=answerers,
        )

    @asynccontextmanager
    async def serving(self, data: Path | str = ".extrovert", **settings: Any) -> AsyncGenerator[Engine]:
        """Runs the app inside another program, in real time, with its state in the directory `data`."""
        from extrovert.engine.hosting import hosted

        async with hosted(self.declared(), Path(data), **settings) as engine:
            yield engine
