"""The turn as an agent function sees it: what it may ask, and what it may change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload

from msgspec import Raw
from typing_extensions import TypeForm

from extrovert.context.freshness import bound_us
from extrovert.context.index import Index
from extrovert.context.keyed import Keyed
from extrovert.context.learner import Learner
from extrovert.context.range_index import RangeIndex
from extrovert.context.search import Search
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import Refuse, TurnError
from extrovert.core.ids import canonical, chance
from extrovert.core.record import Record
from extrovert.core.time import from_us, span_us, to_us
from extrovert.core.typed import typed
from extrovert.core.untrusted import marked
from extrovert.turns.asking import Asking, Gathering, parts_of
from extrovert.turns.assembling import asked_of
from extrovert.turns.declare import Agent, Asks, Effect
from extrovert.turns.delegating import RUN, delegate
from extrovert.turns.exchange import Exchange
from extrovert.turns.guards import Condition
from extrovert.turns.intended import Intended
from extrovert.turns.lookups import Looked
from extrovert.turns.memo import Memo
from extrovert.turns.permitted import Permitted, ToApprove
from extrovert.turns.prompt import Prompt
from extrovert.turns.request import Answer, Place, Question, Refusal, Request
from extrovert.turns.scope import TurnScope
from extrovert.turns.staged import Staged
from extrovert.turns.tainted import Taint
from extrovert.turns.toolbox import Toolbox
from extrovert.turns.tools import Tool
from extrovert.turns.waits import Approval, ApprovalAsked, Awaited, Sleep

__all__ = ["Turn"]

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R", bound=Record)
P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
U = TypeVar("U")
ToolLike = Callable[..., Any] | Effect[...] | Looked | Tool
L = TypeVar("L", bound=Keyed[Any, Any] | Search[Any, Any] | Index[Any, Any] | RangeIndex[Any, Any])


class Turn:
    """One run of an agent. Between two asks it is plain Python over live context; all that it changes is buffered
    until it commits.

    `events` are the events that woke a turn on a stream, oldest first. `changes` names the reads because of which the
    turn was run again, as `table/key`: a prompt may say what has changed. `old` is what the last ended turn of this key
    saw, where the agent takes it. `id` names the turn, and later its decision. `silent` names the streams whose sources
    have been silent for longer than the agent allows, where it goes on by its fallback.
    """

    def __init__(
        self,
        identity: str,
        agent: Agent[Any],
        key: Any,
        scope: TurnScope,
        *,
        events: list[Any],
        started_us: int,
        seed: int,
        answers: Mapping[Place, Answer],
        refusals: Mapping[Place, tuple[Refusal, ...]],
        changes: Sequence[str] = (),
        clock_us: int = 0,
        positions: Sequence[Place] = (),
        silent: tuple[str, ...] = (),
        value: Any = None,
        old: Any = None,
        known: Callable[[str], bool] = lambda _decision: True,
    ) -> None:
        self.id = identity
        self.agent = agent.name
        self.key = key
        self.events = events
        self.old = old
        self.changes = tuple(changes)
        self.silent = silent
        self.instructions = agent.instructions
        self.staged = Staged(agent.name, scope)
        self.memo = Memo(answers, refusals, positions, clock_us, started_us)
        self.fresh_us: dict[str, int] = {}
        self.gathers = False
        self._agent = agent
        self._scope = scope
        self._seed = seed
        self._draws = 0
        self._known = known
        self._value = value
        if scope.context.tainting.any:
            self.staged.bounds = self._bounded()

    @property
    def tainted(self) -> tuple[str, ...]:
        """The text from outside that this turn has read so far, by what was read: `reviews/R1: Review.text`.

        What it may still do is limited then, if a model is asked: see `when_tainted` of `App.agent`.
        """
        return () if self.staged.bounds is None else self.staged.bounds.taint.names

    # ---- asking

    async def ask(
        self,
        about: Record | str | Prompt,
        *,
        output: TypeForm[T],
        of: Learner[Any] | None = None,
        tools: Sequence[ToolLike] = (),
        max_steps: int = 10,
    ) -> T:
        """The answer of the agent's model or policy about `about` (facts as a record, a text, or a `Prompt`), as
        an `output`; or that `of` a learner.

        It is remembered: asked again in the same turn, the same question finds the same answer.

        A model may call `tools` before it answers, in at most `max_steps` requests. They run within the turn: what they
        read is tracked, what they write or intend is staged until the turn commits. A tool is a function with types and
        a docstring (one that waits is an `async def`; a first parameter of the type `Turn` is filled in), an effect, a
        table, index, view, window or search, which is looked up, or a `Tool`. `Refuse(reason)` in it is told to the
        model, and takes back what this call has staged.
        """
        by = self._whom(of)
        told = self._agent.instructions if by.prompted else ""
        question, prompt = asked_of(about, self._scope, prompted=by.prompted)
        request = partial(
            Request, "ask", by.model, question, output, instructions=told, parameters=by.parameters, prompt=prompt
        )
        if not tools:
            return await Asking(self, request())
        box = Toolbox(tools)

        def step(exchange: tuple[Exchange, ...]) -> Request:
            return request(tools=box.specs, exchange=exchange)

        return await box.answer(self, step, max_steps)

    def _whom(self, of: Learner[Any] | None) -> Agent[Any] | Asks:
        """Whom an ask goes to."""
        if of is None:
            return self._agent.stale_fallback if self.silent else self._agent
        if getattr(self._scope.context.operators.get(of.name), "declared", None) is not of:
            raise TurnError(
                f"Agent `{self.agent}` asks learner `{of.name}`, which another app has declared. Declare it with this "
                f"one: app.learner(…)."
            )
        return Asks(of.asked_as, parameters=of.parameters)

    async def call(
        self,
        function: Callable[..., Awaitable[T]],
        *arguments: Any,
        output: TypeForm[T],
        max_age: timedelta | None = None,
    ) -> T:
        """The result of an outside read, `await function(*arguments)`, remembered like an answer.

        Arguments and result must be values that JSON can hold. With `max_age` a result that is older when the turn
        commits is read anew.
        """
        name = f"{function.__module__}.{function.__qualname__}"
        max_age_us = None if max_age is None else span_us(max_age)
        self.leaves(name, arguments)
        request = Request("call", name, list(arguments), output, function=function, max_age_us=max_age_us)
        return await Asking(self, request)

    async def run(
        self, agent: Any, prompt: str | Prompt, *, output: TypeForm[T], deps: Any = None, tools: Sequence[ToolLike] = ()
    ) -> T:
        """The result of a whole agent of Pydantic AI, as an `output`: its output type, or one that is read alike.

        Its model is that of this turn's agent; each request to that is remembered, like what its own tools gave. These
        run outside: give it as `tools` what is to read live context, to write or to act, as in `ask`.
        """
        by = self._whom(None)
        text, _ = asked_of(prompt, self._scope, prompted=True)
        return typed(output).decode(await delegate(self, agent, str(text), deps=deps, tools=tools, by=by))

    async def sleep_until(self, moment: datetime) -> None:
        """Waits until `moment`, also over a restart; then the turn runs again, over what is true by then."""
        await Asking(self, Request("sleep", "clock", Sleep(to_us(moment)), None))

    async def approval(
        self, what: Record | str, *, who: str = "", until: datetime | None = None, otherwise: bool = False
    ) -> Approval:
        """A person's answer to whether `what` may be done: `extrovert approvals` shows it, to `who` it concerns.

        Say in `what` exactly what is to be done. When the answer comes the turn runs again: if it then asks about
        something else, because the world has changed, that is a new question. Where nobody has answered when it is
        `until`, the answer is `otherwise`.
        """
        return await self._approval(what, who, None if until is None else to_us(until), otherwise)

    async def _approval(
        self, what: Record | str, who: str, until_us: int | None = None, otherwise: bool = False, *, exact: bool = False
    ) -> Approval:
        asked = ApprovalAsked(Raw(canonical(what)), who, until_us, otherwise)
        if self._agent.shadow:
            asked = asked.but(until_us=0, otherwise=True)  # nobody is asked, and it goes on as if that were granted
        return await Asking(self, Request("approval", "person", asked, Approval, exact=exact))

    @overload
    async def next(self, stream: Stream[T], *, key: Any = None) -> T: ...
    @overload
    async def next(self, stream: Stream[T], *, key: Any = None, until: datetime) -> T | None: ...
    async def next(self, stream: Stream[Any], *, key: Any = None, until: datetime | None = None) -> Any:
        """The next event of `stream`, of the key `key` (None: of any), or None where there was none until `until`.

        From the first wait on, the turn misses none: asked again, it is the event after that.
        """
        return await self._next(Awaited(stream.name, key, None if until is None else to_us(until)), stream)

    @overload
    async def request(self, to: Stream[U], event: U, reply: Stream[T], *, key: Any) -> T: ...
    @overload
    async def request(self, to: Stream[U], event: U, reply: Stream[T], *, key: Any, until: datetime) -> T | None: ...
    async def request(
        self, to: Stream[Any], event: Any, reply: Stream[Any], *, key: Any, until: datetime | None = None
    ) -> Any:
        """Sends `event` to the stream `to`, now, and waits for the next event of `reply` under `key`: its answer.

        A request is a question, not an act: it goes out before the turn commits, and stays out if the turn asks
        something else in the end. Whoever listens on `to` (another agent) answers by an event.
        """
        self.staged.check_emit(to, event)
        if self.staged.bounds is not None:
            self.staged.bounds.send(to, event)
        until_us = None if until is None else to_us(until)
        sent = Raw(canonical(event))
        return await self._next(Awaited(reply.name, key, until_us, to.name, to.key_of(event), sent), reply)

    async def _next(self, awaited: Awaited, stream: Stream[Any]) -> Any:
        return await Asking(self, Request("next", stream.name, awaited, stream.event | None))

    @overload
    async def gather(self, one: Coroutine[Any, Any, A], /) -> tuple[A]: ...
    @overload
    async def gather(self, one: Coroutine[Any, Any, A], two: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
    @overload
    async def gather(
        self, one: Coroutine[Any, Any, A], two: Coroutine[Any, Any, B], three: Coroutine[Any, Any, C], /
    ) -> tuple[A, B, C]: ...
    @overload
    async def gather(self, *parts: Coroutine[Any, Any, A]) -> tuple[A, ...]: ...
    async def gather(self, *parts: Any) -> Any:
        """The results of several parts of a turn, which wait together: `await turn.gather(turn.ask(…), turn.call(…))`.

        A part is what a turn offers to await, or a coroutine that awaits such. What one raises ends all.
        """
        return tuple(await Gathering(self, parts_of(parts)))

    def fresh(self, of: L, within: timedelta) -> L:
        """`of`, a table, window, view, search or index, whose sources must have been heard within that time.

        As with `fresh_within=` it is looked at before the turn asks anything and when it commits, and `stale=` of its
        agent says what happens else: `turn.fresh(flights, timedelta(seconds=1))[flight_id]`.
        """
        limit_us = bound_us(within)
        for stream in self._scope.context.origins.of(of):
            self.fresh_us[stream] = min(self.fresh_us.get(stream, limit_us), limit_us)
        return of

    def now(self) -> datetime:
        """The engine's time, the same until an ask is answered. To act on the time of day, use `before(t)`."""
        return from_us(self.memo.at_us)

    def chance(self) -> float:
        """A number between 0 and 1, drawn for this turn: the same in each of its attempts."""
        self._draws += 1
        return chance(self._seed, self.id, self._draws)

    # ---- changing

    def put(self, table: Table[K, R], row: R, *, guard: Condition | None = None) -> None:
        """Writes a row when the turn commits, if `guard` holds then; the turn itself reads it back at once."""
        if guard is not None:
            self.require(guard)
        self.staged.put(table, row)

    def delete(self, table: Table[K, Any], key: K) -> None:
        """Deletes the row at `key` when the turn commits."""
        self.staged.delete(table, key)

    def emit(self, stream: Stream[T], event: T, *, at: datetime | None = None) -> None:
        """Appends an event to a stream when the turn commits, or, if that is later, at the moment `at`."""
        self.staged.emit(stream, event, at)

    def effect(self, effect: Effect[P], *arguments: P.args, **named: P.kwargs) -> Intended:
        """Intends an effect: performed once the decision is durable. Its arguments are kept in the ledger.

        What is returned takes a condition, `.guard(…)`, and a business key, `.once(…)`.
        """
        if named:
            raise TurnError(f"Effect `{effect.name}` was given named arguments; give them in order.")
        return self.staged.effect(effect, arguments)

    def require(self, condition: Condition) -> None:
        """The decision is committed only if `condition` holds then, in the world as the decision makes it."""
        self.staged.conditions.append(condition)

    def undo(self, decision: str) -> None:
        """When this turn commits, the effects of the decision of this id are taken back, the latest first.

        Those that are not performed yet are withdrawn; those in flight are undone when they have settled. Raises
        `TurnError` where nothing is known of such a decision that could be taken back.
        """
        if not self._known(decision):
            raise TurnError(
                f"Agent `{self.agent}` undoes decision `{decision}`, of which nothing is known that could be taken "
                f"back: there is none of this name, or it has intended no effect, or all have settled and have no "
                f"undo=, or their horizon has passed. A decision's id is its `turn.id`, `agent:key@offset`."
            )
        if self.staged.bounds is not None:
            self.staged.bounds.undo()
        self.staged.undone.append(decision)

    # ---- used by the engine

    @property
    def may_differ(self) -> bool:
        """Whether an attempt from its start may come out otherwise though nothing that it read has changed: by the age
        of a source or an answer, or by the order in which several answers came."""
        return self.memo.aged or self.gathers or bool(self.fresh_us or self.silent) or self._agent.fresh_us is not None

    def asks(self) -> None:
        """A question is about to be asked."""
        if self.staged.bounds is not None:
            self.staged.bounds.taint.look()

    def answered(self, question: Question, answer: Any) -> None:
        """A question is answered."""
        request, bounds = question.request, self.staged.bounds
        told = request.kind == "approval" or (request.kind == "call" and not request.model.startswith(RUN))
        if told and bounds is None and marked(request.output):
            bounds = self.staged.bounds = self._bounded()
        if bounds is not None and told:
            bounds.taint.told(f"{request.kind} of {request.model}", answer, request.output)
        elif bounds is not None and request.kind == "next":
            bounds.taint.heard(request.model, answer)
        if bounds is not None:
            bounds.answered(question)

    def leaves(self, name: str, arguments: Sequence[Any]) -> None:
        """Something outside is to be called with these arguments. Raises `Refuse` where they may not leave."""
        if self.staged.bounds is not None:
            self.staged.bounds.call(name, arguments)

    def led(self, tainted: tuple[str, ...]) -> None:
        """An earlier try of this attempt was refused, after it had read this text from outside."""
        if tainted:
            self.staged.bounds = self.staged.bounds or self._bounded()
            self.staged.bounds.taint.led(tainted)

    def to_approve(self) -> ToApprove | None:
        """What of all that is staged waits for a person, at the end of an attempt. Raises `Refuse` for what may not be
        done."""
        return None if self.staged.bounds is None else self.staged.bounds.check(self.staged)

    async def approved(self, wanted: ToApprove) -> None:
        """Waits until a person has approved of exactly this. Raises `Refuse` where they deny it, and what staged code
        does."""
        permits = self._agent.when_tainted
        said = await self._approval(wanted, "" if permits is None else permits.who, exact=True)
        if not said:
            raise Refuse(f"denied by {said.by or 'nobody'}{f': {said.note}' if said.note else ''}")

    def _bounded(self) -> Permitted:
        """What the turn may do, as it is once text from outside can come."""
        agent, taint = self._agent, Taint(self._scope.context.tainting, self._scope)
        if agent.source == "stream":
            for event in self.events:
                taint.heard(agent.on, event)
        else:
            taint.woken(agent.source, agent.on, self.key, self._value, self.old)
        return Permitted(agent, taint, self._scope, self.id, self.key)
