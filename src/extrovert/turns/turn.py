"""The turn as an agent function sees it: what it may ask, and what it may change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar, overload

import msgspec
from msgspec import Raw
from typing_extensions import TypeForm

from extrovert.context.freshness import bound_us
from extrovert.context.index import Index
from extrovert.context.keyed import Keyed
from extrovert.context.range_index import RangeIndex
from extrovert.context.search import Search
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import GuardFailed, TurnError
from extrovert.core.ids import canonical, chance
from extrovert.core.record import Record
from extrovert.core.time import from_us, span_us, to_us
from extrovert.core.zones import without_zone
from extrovert.turns.asking import Asking, Gathering, parts_of
from extrovert.turns.declare import Agent, Effect
from extrovert.turns.guards import Condition
from extrovert.turns.intended import Intended
from extrovert.turns.request import Answer, Place, Question, Refusal, Request
from extrovert.turns.scope import TurnScope
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
        self.emitted: list[tuple[Stream[Any], Any, int | None]] = []
        self.intended: list[Intended] = []
        self.conditions: list[Condition] = []
        self.undone: list[str] = []
        self.fresh_us: dict[str, int] = {}
        self.used: list[Answer] = []
        self.asked: list[Place] = []
        self.latest: Question | None = None
        self.latest_ask: tuple[Question, Answer] | None = None
        self._agent = agent
        self._scope = scope
        self._now_us = started_us
        self._seed = seed
        self._draws = 0
        self._aged = False
        self.gathers = False
        self._answers = answers
        self._clock_us = clock_us
        self._positions = positions
        self._known = known
        self._refusals = refusals
        self._occurrences: dict[str, int] = {}

    # ---- asking

    async def ask(self, about: Record | str, *, output: TypeForm[T]) -> T:
        """The answer of the agent's model or policy about `about` (facts as a record, or a prompt), as an `output`.

        It is remembered: asked again in the same turn, the same question finds the same answer.
        """
        by = self._agent.stale_fallback if self.silent else self._agent
        told = self._agent.instructions if by.prompted else ""
        request = Request("ask", by.model, about, output, instructions=told, parameters=by.parameters)
        return await Asking(self, request)

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
        request = Request("call", name, list(arguments), output, function=function, max_age_us=max_age_us)
        return await Asking(self, request)

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
        asked = ApprovalAsked(Raw(canonical(what)), who, None if until is None else to_us(until), otherwise)
        if self._agent.shadow:
            asked = asked.but(until_us=0, otherwise=True)  # nobody is asked, and it goes on as if that were granted
        return await Asking(self, Request("approval", "person", asked, Approval))

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
        self._check_emit(to, event)
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
        return from_us(self._now_us)

    def chance(self) -> float:
        """A number between 0 and 1, drawn for this turn: the same in each of its attempts."""
        self._draws += 1
        return chance(self._seed, self.id, self._draws)

    # ---- changing

    def put(self, table: Table[K, R], row: R, *, guard: Condition | None = None) -> None:
        """Writes a row when the turn commits, if `guard` holds then; the turn itself reads it back at once."""
        if guard is not None:
            self.require(guard)
        self._check(f"table `{table.name}`", row, table.record)
        key = getattr(row, table.key)
        self._may_write(table, key, row)
        timeline = self._scope.context.tables[table.name].timeline
        try:
            if timeline is not None:
                timeline.check(row)
        except ValueError as error:
            raise TurnError(f"Agent `{self.agent}` gave table `{table.name}` row `{key}`: {error}.") from error
        self._scope.writes.setdefault(table.name, {})[key] = row

    def delete(self, table: Table[K, Any], key: K) -> None:
        """Deletes the row at `key` when the turn commits."""
        self._may_write(table, key, None)
        self._scope.writes.setdefault(table.name, {})[key] = None

    def emit(self, stream: Stream[T], event: T, *, at: datetime | None = None) -> None:
        """Appends an event to a stream when the turn commits, or, if that is later, at the moment `at`."""
        self._check_emit(stream, event)
        try:
            due_us = None if at is None else to_us(at)
        except ValueError as error:
            raise TurnError(f"Agent `{self.agent}` emitted to stream `{stream.name}` with at=: {error}.") from error
        self.emitted.append((stream, event, due_us))

    def effect(self, effect: Effect[P], *arguments: P.args, **named: P.kwargs) -> Intended:
        """Intends an effect: performed once the decision is durable. Its arguments are kept in the ledger.

        What is returned takes a condition, `.guard(…)`, and a business key, `.once(…)`.
        """
        if named:
            raise TurnError(f"Effect `{effect.name}` was given named arguments; give them in order.")
        intended = Intended(effect, arguments)
        self.intended.append(intended)
        return intended

    def require(self, condition: Condition) -> None:
        """The decision is committed only if `condition` holds then, in the world as the decision makes it."""
        self.conditions.append(condition)

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
        self.undone.append(decision)

    def _check_emit(self, stream: Stream[Any], event: Any) -> None:
        if stream.made_by:
            raise TurnError(
                f"Agent `{self.agent}` emitted to stream `{stream.name}`, whose events are made by {stream.made_by}."
            )
        self._check(f"stream `{stream.name}`", event, stream.event)

    def _check(self, to: str, record: Any, wanted: Any) -> None:
        """A record is kept as JSON: one that would not come back the same type is an error here, not in the log."""
        try:
            if not isinstance(record, wanted):
                raise TypeError(f"it is a {type(record).__name__}")
            msgspec.json.decode(canonical(record), type=wanted)
            wrong = without_zone(record, wanted)
            if wrong:
                raise ValueError(wrong)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise TurnError(f"Agent `{self.agent}` gave {to} a record that it cannot hold: {error}.") from error

    def _may_write(self, table: Table[Any, Any], key: Any, row: Any) -> None:
        """One field has one writer: the source's are not a turn's to change. One row has one shard."""
        if self._scope.border is not None and (written := row or self._scope.row(table.name, key)) is not None:
            self._scope.border.writes(table, written)
        if not table.fed:
            return
        if table.made_by:
            raise TurnError(
                f"Agent `{self.agent}` wrote to table `{table.name}`, whose rows are made by {table.made_by}. Write "
                f"what they are made of."
            )
        if not table.turns_own:
            raise TurnError(
                f"Agent `{self.agent}` wrote to table `{table.name}`, which its source writes. Keep what turns decide "
                f"in a table of its own, or declare the fields that turns own: turns_own=(...)."
            )
        present = self._scope.row(table.name, key)
        if row is None or present is None:
            raise TurnError(
                f"Agent `{self.agent}` {'deleted' if row is None else 'added'} row `{key}` of table `{table.name}`; "
                f"its source decides which rows there are."
            )
        wrong = [
            n for n in row.__struct_fields__ if n not in table.turns_own and getattr(row, n) != getattr(present, n)
        ]
        if wrong:
            raise TurnError(
                f"Agent `{self.agent}` changed {', '.join(wrong)} of row `{key}` of table `{table.name}`; "
                f"turns own only {', '.join(sorted(table.turns_own))}."
            )

    # ---- used by the engine

    @property
    def may_differ(self) -> bool:
        """Whether an attempt from its start may come out otherwise though nothing that it read has changed: by the age
        of a source or an answer, or by the order in which several answers came."""
        return self._aged or self.gathers or bool(self.fresh_us or self.silent) or self._agent.fresh_us is not None

    def question(self, request: Request) -> Question:
        """The request as it is to be sent (with refusals), and its places."""
        base = self._next_place(request)
        self.asked.append(base)
        refusals = self._refusals.get(base)
        if not refusals:
            return Question(request, base, base)
        request = request.refused(refusals)
        return Question(request, self._place(request), base)

    def check_guards(self) -> None:
        """Raises `GuardFailed` where a condition of the decision or of an effect does not hold, as it would commit."""
        guarded = [one.condition for one in self.intended if one.condition is not None]
        for condition in (*self.conditions, *guarded):
            if not condition.holds():
                raise GuardFailed(f"guard `{condition}` does not hold")

    def knows(self, question: Question) -> bool:
        """Whether the question is answered."""
        return question.place in self._answers

    def take(self, question: Question) -> Raw:
        """The answer to a question that is answered, as JSON."""
        answer = self._answers[question.place]
        self.used.append(answer)
        self.latest = question
        if question.request.kind == "ask":
            self.latest_ask = question, answer
        self._now_us = max(self._now_us, answer.at_us)
        return answer.value

    def _next_place(self, request: Request) -> Place:
        """Where the answer is remembered: in a guarded turn that of the question that was asked in this position."""
        position = len(self.asked)
        if position >= len(self._positions):
            return self._place(request)
        place = self._positions[position]
        self._occurrences[place[0]] = max(self._occurrences.get(place[0], 0), place[1] + 1)
        return place

    def _place(self, request: Request) -> Place:
        """The hash of a request, and which occurrence in this attempt it is; answers that are too old are passed by."""
        occurrence = self._occurrences.get(request.hash, 0)
        if request.max_age_us is not None:
            self._aged = True
            oldest_us = self._clock_us - request.max_age_us
            while (answer := self._answers.get((request.hash, occurrence))) is not None and answer.at_us < oldest_us:
                occurrence += 1
        self._occurrences[request.hash] = occurrence + 1
        return request.hash, occurrence
